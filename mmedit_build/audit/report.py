"""The outcome of an audit: for each task and split, what each measure found."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mmedit_build.audit.dataset import Target
from mmedit_build.audit.judging import Judge, Kind, Measure
from mmedit_build.audit.measures import MEASURES
from mmedit_build.audit.targets import open_target
from mmedit_build.image_files import UNREADABLE, open_encoded, read_image
from mmedit_build.rows import SPLITS, TASKS, EditRow, Split, Task

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
    ids: tuple[str, ...]
    """The rows with something that was found, all of them."""

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
    """Audit what was opened already."""
    groups = {
        (task, split): [edit for edit in target.edits if (edit.task, edit.split) == (task, split)]
        for task in TASKS
        for split in SPLITS
    }
    measures = (*MEASURES, *([_broken_images(target.files)] if target.files else []))
    return Report(
        target.name,
        tuple(
            _judged(task, split, edits, groups[task, _other(split)], measures)
            for (task, split), edits in groups.items()
            if edits
        ),
    )


def faults(report: Report) -> list[str]:
    """What must not be in a build of ours but is, in words."""
    return [
        f"{finding.title.lower()} in {group.name}: {in_words(finding)}, such as {finding.ids[0]}"
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


def _judged(
    task: Task, split: Split, these: Sequence[EditRow], others: Sequence[EditRow], measures: Sequence[Measure]
) -> Group:
    return Group(task, split, len(these), tuple(_finding(measure, these, others) for measure in measures))


def _finding(measure: Measure, these: Sequence[EditRow], others: Sequence[EditRow]) -> Finding:
    judge = measure.briefing(these, others)
    judged = [(edit.id, *judge(edit)) for edit in these]
    return Finding(
        name=measure.name,
        kind=measure.kind,
        title=measure.title,
        definition=measure.definition,
        count=sum(found for _, found, _ in judged),
        of=sum(looked for _, _, looked in judged),
        ids=tuple(row_id for row_id, found, _ in judged if found),
    )


def _as_json(finding: Finding) -> dict[str, object]:
    return {
        "count": finding.count,
        "of": finding.of,
        "share": finding.share,
        "examples": list(finding.ids[:EXAMPLES]) if finding.kind != "number" else [],
    }


def _broken_images(files: Mapping[str, Sequence[Path]]) -> Measure:
    def briefing(these: Sequence[EditRow], _others: Sequence[EditRow]) -> Judge:
        named = [files.get(edit.id, ()) for edit in these]
        with ThreadPoolExecutor() as pool:
            broken = dict(zip((edit.id for edit in these), pool.map(_broken, named), strict=True))
        return lambda edit: broken[edit.id]

    return Measure(*BROKEN_IMAGES, briefing)


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
