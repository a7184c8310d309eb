"""What a message shows as a layout is one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mmedit_build.errors import UserError
from mmedit_build.sources import coco, nq, vqav2
from mmedit_build.sources.layout import Layout

LAYOUTS: list[Layout[Any]] = [nq.FACTS, vqav2.QUESTIONS, vqav2.ANNOTATIONS, coco.OFFICIAL, coco.KARPATHY]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.kind)
def test_the_example_is_in_the_layout_and_is_shown(layout: Layout[Any], tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(layout.example)
    assert layout.load(file)
    file.write_text("[]")
    with pytest.raises(UserError) as caught:
        layout.load(file)
    assert f"is not a {layout.kind} file" in str(caught.value)
    assert f"looks like {layout.example}." in str(caught.value)


def test_a_pipe_and_a_name_without_end_are_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path / ("x" * 300), tmp_path / "a\0b"):
        with pytest.raises(UserError, match=r"Cannot read the Natural Questions file .*; check its path"):
            nq.FACTS.load(path)
