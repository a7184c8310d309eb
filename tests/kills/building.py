"""A small build, killed in each of its stages."""

from __future__ import annotations

import json
from pathlib import Path

from mmedit_build.cli import main
from mmedit_build.store import PARTIAL
from mmedit_build.work import STAGES, Work
from tests.kills.subject import Content, Moment, Subject, there

RECIPE = Path(__file__).with_name("tiny.yaml")


def _words(folder: Path) -> list[str]:
    return ["run", str(RECIPE), "--work", str(folder / "work")]


def _content(folder: Path) -> Content:
    """Rows, painted images and the dataset, byte for byte."""
    work = Work(folder / "work")
    rows = {
        stage: [
            (json.loads(line)["id"], line)
            for line in (work.stage(stage) / "rows.jsonl").read_bytes().splitlines()
        ]
        for stage in STAGES
    }
    files = [*sorted(work.images.rglob("*")), *sorted(work.dataset.rglob("*"))]
    kept = [(str(path.relative_to(folder)), path.read_bytes()) for path in files if path.is_file()]
    return rows | {"files": kept}


def _left(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.endswith(PARTIAL)]


def _stage(name: str, begins: str) -> Moment:
    """From the end of the one before, loading included."""
    return Moment(name, there(f"work/{begins}"), there(f"work/{name}/rows.jsonl"))


BUILD = Subject(
    "build",
    main,
    _words,
    (
        Moment("draw", there("work/sources/*"), there("work/mine/manifest.json")),
        _stage("mine", "mine/manifest.json"),
        _stage("rephrase", "mine/rows.jsonl"),
        _stage("imagine", "rephrase/rows.jsonl"),
        _stage("attach", "imagine/rows.jsonl"),
        _stage("extend", "attach/rows.jsonl"),
        Moment("publish", there("work/extend/rows.jsonl"), there("work/rows.png")),
    ),
    _content,
    _left,
)
