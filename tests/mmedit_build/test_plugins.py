"""What other packages add: found by their entry points, never in the place of ours."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from editors import editor_class, known_editors, load_editor
from editors.ft import FT
from evaluation.cli import app
from mmedit_build.errors import UserError
from mmedit_build.mllm.families.blip2 import Blip2
from mmedit_build.mllm.loading import _family_class
from tests.mmedit_build.conftest import Install

CODE = """
from editors.ft import FT, FTConfig

class Theirs(FT):
    \"\"\"Fine-tuning of somebody else.\"\"\"
"""


@pytest.fixture(autouse=True)
def _their_code(tmp_path: Path) -> Iterator[None]:
    """What the packages that tests install have as their module."""
    (tmp_path / "a_package_of_theirs.py").write_text(CODE)
    yield
    sys.modules.pop("a_package_of_theirs", None)


def test_an_editor_of_another_package_is_one_of_the_methods(install: Install) -> None:
    install("theirs", "[mmedit.editors]\ntheirs = a_package_of_theirs:Theirs\n")
    assert list(known_editors())[-1] == "theirs"
    assert issubclass(editor_class("theirs"), FT)
    assert load_editor("theirs", {"lr": 0.5}).config.lr == 0.5  # type: ignore[attr-defined]
    shown = CliRunner().invoke(app, ["list"]).stdout
    assert "theirs" in shown
    assert "Fine-tuning of somebody else." in CliRunner().invoke(app, ["list", "theirs"]).stdout


def test_a_family_of_another_package_serves_its_type(install: Install) -> None:
    with pytest.raises(UserError, match="a model of type 'their_vl', which the installed transformers"):
        _family_class("x", "their_vl")
    install("theirs", "[mmedit.families]\ntheir_vl = mmedit_build.mllm.families.blip2:Blip2\n")
    assert _family_class("x", "their_vl") is Blip2


@pytest.mark.parametrize(
    ("packages", "message"),
    [
        (
            {"theirs": "ft = a_package_of_theirs:Theirs"},
            "adds 'ft' to mmedit.editors as a_package_of_theirs:T",
        ),
        (
            {"theirs": "x = a_package_of_theirs:Theirs", "others": "x = a_package_of_theirs:Others"},
            "Two installed packages add 'x' to mmedit.editors",
        ),
        (
            {"theirs": "x = a_package_of_theirs:Nobody"},
            "The module a_package_of_theirs has no class 'Nobody'.",
        ),
        (
            {"theirs": "x = no_such_package:Theirs"},
            "no_such_package:Theirs cannot be imported: No module named",
        ),
        (
            {"theirs": "x = a_package_of_theirs:FTConfig"},
            "a_package_of_theirs:FTConfig is no editor, as it has",
        ),
    ],
)
def test_what_is_wrong_with_a_package_is_told(
    install: Install, packages: dict[str, str], message: str
) -> None:
    for name, points in packages.items():
        install(name, f"[mmedit.editors]\n{points}\n")
    with pytest.raises(UserError) as raised:
        editor_class("x")
    assert message in str(raised.value)
