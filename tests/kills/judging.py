"""A small evaluation, killed while it asks, learns, judges and reports."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from evaluation.cli import main
from evaluation.results.records import HEADER, LINES, read_results
from evaluation.run.evaluate import LOG
from mmedit_build.store import PARTIAL
from tests.kills.subject import Content, Moment, Seen, Subject, there

STEPS = {"steps": 40, "validate_every": 10, "batch_size": 4}
LEARNING = ("mend", "ke", "serac")
METHODS = {
    "ft-vision": {"steps": 6},
    **dict.fromkeys(LEARNING, STEPS),
    "rome": {"steps": 4},
    "t-patcher": {"steps": 20},
}


def evaluation(dataset: Path) -> Subject:
    """Judging all these methods on the questions of a dataset."""

    def words(folder: Path) -> Sequence[str]:
        experiment = {
            "methods": {name: {"options": options} for name, options in METHODS.items()},
            "dataset": str(dataset),
            "task": "vqa",
            "device": "cpu",
            "holdout": 0.4,
            "out": str(folder / "out"),
            "cache": str(folder / "cache"),
        }
        (folder / "experiment.yaml").write_text(yaml.safe_dump(experiment, sort_keys=False))
        return ["--config", str(folder / "experiment.yaml")]

    return Subject("evaluation", main, words, _moments(), _content, _left)


def _moments() -> tuple[Moment, ...]:
    answers = there("cache/unedited/*/*.npz")
    moments = [
        Moment("asking", there(f"out/{LOG}"), answers),
        Moment("unedited", answers, _finished("unedited")),
    ]
    for name in METHODS:
        if name in LEARNING:
            learned = there(f"cache/fitted/{name}-*.safetensors")
            moments.append(Moment(f"{name} learns", there(f"cache/fitted/{name}-*.work"), learned))
            moments.append(Moment(name, learned, _finished(name)))
        else:
            moments.append(Moment(name, there(f"out/vqa/{name}/{HEADER}"), _finished(name)))
    return (*moments, Moment("report", _finished(name), there("out/report.html")))


def _finished(name: str) -> Seen:
    def seen(folder: Path) -> bool:
        path = folder / "out" / "vqa" / name / HEADER
        return path.is_file() and bool(json.loads(path.read_bytes())["finished"])

    return seen


def _content(folder: Path) -> Content:
    """All results and headers but for times and what a machine does differently each time."""
    found: dict[str, list[tuple[str, object]]] = {}
    for path in sorted((folder / "out").rglob(LINES)):
        header, results = read_results(path.parent)
        name = str(path.parent.relative_to(folder))
        found[name] = [(one.id, replace(one, plan_seconds=0.0, probe_seconds=0.0)) for one in results]
        counts = (header.settings, header.finished, header.edits, header.scored, header.skipped, header.fit)
        found[f"{name}/{HEADER}"] = [(HEADER, counts)]
    return found


def _left(folder: Path) -> list[Path]:
    """Half-written files, and folders of fits that are done."""
    return [path for path in folder.rglob("*") if path.name.endswith(PARTIAL) or path.suffix == ".work"]
