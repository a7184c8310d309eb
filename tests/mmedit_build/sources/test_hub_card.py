"""A card sends for nothing but the files beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mmedit_build.errors import UserError
from mmedit_build.recipe import HubFacts
from mmedit_build.sources.hub import read_hub_facts
from mmedit_build.sources.hub_card import check_card


def card(folder: Path, settings: Any, name: str = "README.md") -> None:
    text = yaml.safe_dump(settings)
    (folder / name).write_text(f"---\n{text}---\nA dataset.\n" if name == "README.md" else text)


def configs(**settings: Any) -> dict[str, Any]:
    return {"configs": [{"config_name": "default", **settings}]}


PLACES = (
    configs(data_files="http://127.0.0.1:9/evil.parquet"),
    configs(data_files=["data-*", "/etc/passwd"]),
    configs(data_files=[{"split": "validation", "path": "../private/*.parquet"}]),
    configs(data_files=[{"split": "validation", "path": ["data-*", "zip://x::http://127.0.0.1:9/evil.zip"]}]),
    configs(data_dir="/home"),
)


@pytest.mark.parametrize("settings", PLACES)
@pytest.mark.parametrize("name", ["README.md", ".huggingface.yaml"])
def test_files_elsewhere_are_refused(tmp_path: Path, settings: Any, name: str) -> None:
    card(tmp_path, settings, name)
    with pytest.raises(UserError, match=rf"{name} names the data file .*, which is not in the folder"):
        read_hub_facts(HubFacts(kind="hub", dataset=str(tmp_path)))


def test_files_beside_the_card_are_its_own(tmp_path: Path) -> None:
    check_card(tmp_path)
    card(tmp_path, configs(data_files=[{"split": "validation", "path": "data/validation-*"}]))
    check_card(tmp_path)
    (tmp_path / "README.md").write_text("A dataset without settings: http://example.org\n")
    check_card(tmp_path)


@pytest.mark.parametrize("text", ["---\na: [\n---\n", "---\n- a\n---\n", "---\n1: 2\n---\n", "\udcff"])
def test_a_broken_card_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "README.md").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError, match=r"Cannot read the card .*README\.md"):
        check_card(tmp_path)
