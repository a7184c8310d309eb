"""What it takes to audit and to publish more and more edits: each in a process of its own.

The edits are made up and have small drawings, a fact and a question about an image each, so that what grows
are rows and not pictures.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.growth.memory import peak
from mmedit_build.engine.shards import write_rows
from mmedit_build.rows import EditRow, Imagined, Locality, LocalityItem, Rephrase, Split
from mmedit_build.work import ROWS, Work

STAGE = "attach"
DRAWINGS = 512
FACTS = 10
"""How many edits share one."""
KINDS = ("make", "audit", "publish", "published")


@dataclass(frozen=True)
class Dealt:
    """Microseconds of the processor a row, and peaks in megabytes, of the audit of a build, of publishing it,
    of the audit of what was published, and of an export and an import as `exchange` has them."""

    rows: int
    audit: float
    audit_peak: float
    publish: float
    publish_peak: float
    published: float
    published_peak: float
    export: float
    export_peak: float
    imported: float
    imported_peak: float

    def sentence(self) -> str:
        return (
            f"{self.rows:,} edits: audit {self.audit:.0f} us a row, {self.audit_peak:.0f} MB; "
            f"publish {self.publish:.0f} us, {self.publish_peak:.0f} MB; "
            f"audit of the published {self.published:.0f} us, {self.published_peak:.0f} MB; "
            f"export {self.export:.0f} us, {self.export_peak:.0f} MB; "
            f"import {self.imported:.0f} us, {self.imported_peak:.0f} MB"
        )


def make(work: Work, number: int) -> None:
    """The work folder of a build whose last stage is finished."""
    for place in range(DRAWINGS):
        color = (place % 256, place // 2 % 256, 99)
        for kind in ("sources", "images"):
            path = work.folder / kind / f"{place}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (16, 16), color).save(path)
    write_rows(work.stage(STAGE) / ROWS, edits(number))


def edits(number: int) -> Iterator[EditRow]:
    for place in range(number):
        split: Split = "test" if place % 10 == 0 else "train"
        yield EditRow(
            id=f"vqa/val2014/{place}",
            task="vqa",
            image=f"sources/{place % DRAWINGS}.png",
            image_id=str(place),
            question=f"Is the man number {place} wearing a hat?",
            question_type="is the man",
            answers=("yes", "yes", "no", "yes", "yes", "yes", "yes", "no", "yes", "yes"),
            caption="A man in a street with a hat in his hand.",
            target="yes",
            prediction="no",
            first_prediction="no",
            confidence=0.5,
            scores={"official": 0.0, "evalai": 0.0},
            base="made up",
            split=split,
            rephrase=Rephrase(
                text=f"Does the man number {place} wear a hat?", model="chat", prompt="none", candidates=()
            ),
            imagined=Imagined(
                image=f"images/{place % DRAWINGS}.png",
                digest=f"{place:064x}",
                seed=place,
                prompt="A man in a street.",
                strategy="none",
                model="none",
                candidates=(),
            ),
            locality=Locality(text=(_fact(split, place),), image=(_other(number + place),)),
        )


def _fact(split: Split, place: int) -> LocalityItem:
    name = f"{split}/{place // 10 // FACTS}"
    return LocalityItem(
        id=f"nq/{name}",
        relation="far",
        image=None,
        image_id=None,
        question=f"who wrote the book {name}",
        answers=("Ada Lovelace",),
        answer="Ada Lovelace",
    )


def _other(place: int) -> LocalityItem:
    return LocalityItem(
        id=f"okvqa/{place}",
        relation="far",
        image=f"sources/{place % DRAWINGS}.png",
        image_id=str(place),
        question="What is this tool for?",
        answers=("digging",) * 10,
        answer="digging",
    )


def _doing(kind: str, work: Work, number: int) -> Callable[[], object]:
    """What one of KINDS is, with all imported that it takes, and nothing else, as peaks hold that too."""
    if kind == "make":
        return partial(make, work, number)
    if kind == "publish":
        return _publishing(work)
    from mmedit_build.audit.run import run_audit

    dataset = work.folder if kind == "audit" else work.dataset
    return partial(run_audit, str(dataset), work.folder / f"{kind}.json", work.folder / f"{kind}.html")


def _publishing(work: Work) -> Callable[[], object]:
    from mmedit_build.anew import Anew
    from mmedit_build.build import stored_rows
    from mmedit_build.publishing import build_dataset
    from mmedit_build.recipe import Recipe

    recipe = Recipe.model_validate(_sections())
    return partial(build_dataset, Anew(lambda: stored_rows(work, STAGE)), work, recipe, {}, {})


def _sections() -> dict[str, Any]:
    source = {"questions": "q.json", "annotations": "a.json", "images": "images"}
    served = {"kind": "endpoint", "model": "chat", "base_url": "http://localhost:1/v1"}
    return {
        "name": "growth",
        "about": "Made up.",
        "base": {"model": "none"},
        "sources": {"vqa": [source]},
        "mine": {"vqa": {"sizes": {"train": 9, "test": 1}}},
        "rephrase": {"model": served},
        "imagine": {"model": {"model": "none"}},
        "attach": {"image": [source]},
        "publish": {"title": "Made up"},
    }


def main(folder: Path, number: int, kind: str) -> None:
    """Do one of KINDS, and print what that took."""
    do = _doing(kind, Work(folder / "work"), number)
    begun = time.process_time()
    do()
    spent = time.process_time() - begun
    sys.stdout.write(json.dumps([round(spent / number * 1e6, 2), round(peak(), 1)]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
