from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.data.cases import Case, Picture
from mmedit_build.engine.shards import write_rows
from mmedit_build.publishing.tables import write_tables
from mmedit_build.rows import (
    SPLITS,
    EditRow,
    Imagined,
    Locality,
    LocalityItem,
    Rephrase,
    Split,
)
from mmedit_build.work import Work

FACT = LocalityItem(
    id="nq/1", relation="far", image=None, image_id=None, question="who", answers=("Ada", "A."), answer="Ada"
)


def edit(number: int, split: Split) -> EditRow:
    item = LocalityItem(
        id=f"okvqa/{number}",
        relation="same_image",
        image=f"images/{number}.jpg",
        image_id=str(number),
        question="what for",
        answers=("fun", "fun", "work"),
        answer="fun",
    )
    return EditRow(
        id=f"vqa/val2014/{number}",
        task="vqa",
        image=f"images/{number}.jpg",
        image_id=str(number),
        question="How many cats?",
        question_type="count",
        answers=("2",) * 9 + ("3",),
        target="2",
        prediction="4",
        first_prediction="4",
        confidence=None,
        scores={},
        base="m",
        split=split,
        rephrase=Rephrase(text="What number of cats?", model="chat", prompt="p", candidates=()),
        imagined=Imagined(
            image=f"images/{number}.png",
            digest="x",
            seed=2**63 + 1,
            prompt="",
            strategy="",
            model="",
            candidates=(),
        ),
        locality=Locality(text=(FACT,), image=(item,)),
    )


EDITS = [edit(number, SPLITS[number % 2]) for number in range(1, 5)]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A work folder, and in it the dataset, with images that are not looked into."""
    work = Work(tmp_path / "work")
    work.images.mkdir(parents=True)
    for number in range(1, 5):
        for ending in ("jpg", "png"):
            (work.images / f"{number}.{ending}").write_bytes(f"{number} {ending}".encode())
    write_rows(work.stage("attach") / "rows.jsonl", EDITS)
    publish(work, work.dataset)
    return work.folder


def publish(work: Work, folder: Path, *, embedded: bool = True) -> None:
    write_tables(EDITS, work, folder, embedded=embedded)


def by_id(cases: Sequence[Case]) -> dict[str, Case]:
    return {case.id: case for case in cases}


def painted(case: Case) -> list[Picture | None]:
    """The images of the probes that have one of their own."""
    return [probe.image for probe in case.of("image_generality")]


def without_pictures(case: Case) -> Case:
    probes = tuple(replace(probe, image=None) for probe in case.probes)
    return replace(case, image=b"", probes=probes)
