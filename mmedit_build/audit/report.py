"""The outcome of an audit: for each task and split, what each measure found."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from mmedit_build.audit.counting import Counted, Judged
from mmedit_build.audit.dataset import FilesOf, Target
from mmedit_build.audit.judging import Kind, Measure
from mmedit_build.audit.keeping import Texts
from mmedit_build.audit.measures import MEASURES
from mmedit_build.audit.targets import open_target
from mmedit_build.image_files import UNREADABLE, open_encoded, read_image
from mmedit_build.rows import SPLITS, TASKS, EditRow, Split, Task

AT_ONCE = 512
"""Rows whose images are looked at together."""
EXAMPLES = 5
"""How many ids the JSON form names for each finding."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one measure found in one split."""

    name: str
    kind: Kind
    title: str
    definition: str
    count: int
    of: int
    rows: array[int]
    """Those with something that was found, by their numbers in the dataset."""
    names: Texts = field(compare=False, repr=False)
    """The ids of all rows of the dataset."""

    @property
    def ids(self) -> list[str]:
        """The ids of the rows with something that was found."""
        return self.some(len(self.rows))

    def some(self, number: int) -> list[str]:
        """The first so many of them."""
        return self.names.at(self.rows[:number])

    @property
    def share(self) -> float | None:
        """None where there was nothing to look at."""
        return self.count / self.of if self.of else None


@dataclass(frozen=True, slots=True)
class Group:
    """One split of one task."""

    task: Task
    split: Split
    rows: int
    findings: tuple[Finding, ...]

    @property
    def name(self) -> str:
        return f"{self.task} {self.split}"

    def finding(self, name: str) -> Finding:
        """The finding of a measure."""
        return next(finding for finding in self.findings if finding.name == name)


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in a dataset."""

    target: str
    rows: int
    groups: tuple[Group, ...]

    def group(self, task: Task, split: Split) -> Group:
        """The findings of one split of one task."""
        return next(group for group in self.groups if (group.task, group.split) == (task, split))

    def to_json(self) -> str:
        """The numbers, and a few ids for each."""
        groups = [
            {
                "task": group.task,
                "split": group.split,
                "rows": group.rows,
                "findings": {finding.name: _as_json(finding) for finding in group.findings},
            }
            for group in self.groups
        ]
        return json.dumps({"target": self.target, "groups": groups}, indent=2, ensure_ascii=False) + "\n"

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Header and lines for people: one line for each measure, one column for each split of each task."""
        header = ["", *(group.name for group in self.groups)]
        lines = [["Rows", *(f"{group.rows:,}" for group in self.groups)]]
        for findings in zip(*(group.findings for group in self.groups), strict=True):
            if any(finding.of for finding in findings):
                lines.append([findings[0].title, *(in_words(finding) for finding in findings)])
        return header, lines


def audit(target: str) -> Report:
    """Audit a work folder, a published dataset, a dataset on the Hub, or released JSON."""
    return audit_target(open_target(target))


def audit_target(target: Target) -> Report:
    """Audit what was opened already, in one pass over its edits."""
    measures = (*MEASURES, *([_broken_images(target.files)] if target.files else []))
    splits: dict[tuple[Task, Split], _Split] = {
        (task, split): _Split(measures) for task in TASKS for split in SPLITS
    }
    names = Texts()
    for place, edit in enumerate(target.edits):
        assert edit.split is not None, "targets hold edits of splits alone"
        names.add(edit.id)
        splits[edit.task, edit.split].see(place, edit)
    return Report(
        target.name,
        len(names),
        tuple(
            Group(task, split, len(here.places), tuple(here.findings(splits[task, _other(split)], names)))
            for (task, split), here in splits.items()
            if here.places
        ),
    )


class _Split:
    """One split of one task while its edits are seen."""

    def __init__(self, measures: Sequence[Measure]) -> None:
        self.places = array("q")
        """The numbers of its rows in the dataset."""
        self._counters = [(measure, measure.counting()) for measure in measures]

    def see(self, place: int, edit: EditRow) -> None:
        self.places.append(place)
        for _, counter in self._counters:
            counter.see(edit)

    def findings(self, other: _Split, names: Texts) -> Iterator[Finding]:
        places = np.frombuffer(self.places, np.int64)
        for (measure, counter), (_, beside) in zip(self._counters, other._counters, strict=True):
            found = counter.counted(beside)
            about = (measure.name, measure.kind, measure.title, measure.definition)
            rows = array("q", places[found.rows].tobytes())
            yield Finding(*about, found.count, found.of, rows, names)


def faults(report: Report) -> list[str]:
    """What must not be in a build of ours but is, in words."""
    return [
        f"{finding.title.lower()} in {group.name}: {in_words(finding)}, such as {finding.some(1)[0]}"
        for group in report.groups
        for finding in group.findings
        if finding.kind == "never" and finding.count
    ]


def in_words(finding: Finding) -> str:
    """Count and share; a dash where there was nothing to look at."""
    if finding.share is None:
        return "-"
    counted = f"{finding.count:,} of {finding.of:,}"
    return f"{counted} ({percent(finding.share)})" if finding.count else counted


def percent(share: float) -> str:
    """A share that is neither 0 nor 1 is never rounded to one of them."""
    if 0 < share < 0.0005:
        return "<0.1%"
    return ">99.9%" if 0.9995 <= share < 1 else f"{share:.1%}"


def decodes(encoded: bytes) -> bool:
    """Whether the bytes are a whole image."""
    try:
        with open_encoded(encoded) as image:
            # A JPEG is decoded to a small size, which costs little and finds missing pixels all the same.
            image.draft("RGB", (64, 64))
            image.load()
    except UNREADABLE:
        return False
    return True


def _other(split: Split) -> Split:
    return "test" if split == "train" else "train"


def _as_json(finding: Finding) -> dict[str, object]:
    return {
        "count": finding.count,
        "of": finding.of,
        "share": finding.share,
        "examples": finding.some(EXAMPLES) if finding.kind != "number" else [],
    }


def _broken_images(files: FilesOf) -> Measure:
    return Measure(*BROKEN_IMAGES, lambda: _Broken(files))


class _Broken(Judged):
    """Looks at some rows' files at a time, as many as there are processors at once."""

    def __init__(self, files: FilesOf) -> None:
        super().__init__(lambda edit: (0, len(files(edit))))
        self._files = files
        self._waiting: list[Sequence[Path]] = []

    def see(self, edit: EditRow) -> None:
        self._waiting.append(self._files(edit))
        if len(self._waiting) == AT_ONCE:
            self._look()

    def counted(self, other: Self) -> Counted:
        self._look()
        return super().counted(other)

    def _look(self) -> None:
        with ThreadPoolExecutor() as pool:
            for found in pool.map(_broken, self._waiting):
                self.note(*found)
        self._waiting = []


BROKEN_IMAGES: tuple[str, Kind, str, str] = (
    "broken_images",
    "never",
    "Broken images",
    "Of the images and rephrased images that are files: the file is missing or is no whole image.",
)


def _broken(named: Sequence[Path]) -> tuple[int, int]:
    return sum(not _readable(path) for path in named), len(named)


def _readable(path: Path) -> bool:
    try:
        return decodes(read_image(path))
    except OSError:
        return False
