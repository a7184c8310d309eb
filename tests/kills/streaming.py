"""Small streams, our own or a publication's, killed while edits are made and asked again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import yaml

from evaluation.cli import main
from evaluation.results.presets import PRESETS
from evaluation.results.streams import STREAM, read_stream
from mmedit_build.store import PARTIAL
from tests.evaluation.run.streams.reading import numbers
from tests.kills.subject import Content, Moment, Seen, Subject, there

METHODS = {
    "ft": {"steps": 6},
    "mend": {"steps": 40, "validate_every": 10, "batch_size": 4},
    "rome": {"steps": 4, "samples": 100, "prefix_count": 1},
    "t-patcher": {"steps": 20, "memory": 100},
}
ORDERS = 2
"""Of our own streams."""


def streams(
    dataset: Path, stream: str, limit: int | None = None, methods: Sequence[str] = tuple(METHODS)
) -> Subject:
    """Streams of some of these methods on the first questions of a dataset."""
    where = f"out/vqa/presets/{stream}" if stream in PRESETS else "out/vqa/streams"

    def words(folder: Path) -> Sequence[str]:
        experiment = {
            "methods": {name: {"options": METHODS[name]} for name in methods},
            "dataset": str(dataset),
            "task": "vqa",
            "protocols": ["legacy"],
            "stream": stream,
            "device": "cpu",
            "holdout": 0.4,
            "out": str(folder / "out"),
            "cache": str(folder / "cache"),
            **({} if stream in PRESETS else {"orders": ORDERS}),
            **({} if limit is None else {"limit": limit}),
        }
        (folder / "experiment.yaml").write_text(yaml.safe_dump(experiment, sort_keys=False))
        return ["--config", str(folder / "experiment.yaml")]

    moments = [Moment(name, there(f"{where}/{name}/{STREAM}"), _finished(where, name)) for name in methods]
    last = moments[-1]
    report = Moment("report", last.ended, there("out/report.html"))
    return Subject(f"stream {stream}", main, words, (*moments, report), _content, _left)


def _finished(where: str, name: str) -> Seen:
    def seen(folder: Path) -> bool:
        path = folder / where / name / STREAM
        return path.is_file() and bool(json.loads(path.read_bytes())["finished"])

    return seen


def _content(folder: Path) -> Content:
    """All results and headers but for times and what a machine does differently each time."""
    found: dict[str, list[tuple[str, object]]] = {}
    for path in sorted((folder / "out").rglob(STREAM)):
        name, (checkpoints, online) = str(path.parent.relative_to(folder)), numbers(path.parent)
        found[f"{name}/checkpoints"] = [(f"{one.order}/{one.edits}", one) for one in checkpoints]
        found[f"{name}/online"] = [(f"{one.order}/{one.position}", one) for one in online]
        header = read_stream(path.parent)[0]
        counts = (header.settings, header.finished, header.edits, header.scored, header.fit)
        found[f"{name}/{STREAM}"] = [(STREAM, counts)]
    return found


def _left(folder: Path) -> list[Path]:
    """Half-written files, fits that are done, and patches from which nothing goes on."""
    found = [path for path in folder.rglob("*") if path.name.endswith(PARTIAL) or path.suffix == ".work"]
    return [*found, *(folder / "out").rglob("*.safetensors")]
