"""One run of a stage that does nothing, in a process of its own, so that its peak is its own."""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.growth.memory import peak
from mmedit_build.engine.local import Local
from mmedit_build.engine.run import Job, run
from mmedit_build.rows import Example

SHARD, OTHER = 512, 500
"""Rows of a shard, and of one that is cut anew."""


@dataclass(frozen=True)
class Measured:
    """Microseconds of the processor a row, and peaks in megabytes."""

    rows: int
    first: float
    first_peak: float
    again: float
    again_peak: float
    cut: float
    cut_peak: float

    def sentence(self) -> str:
        return (
            f"{self.rows:,} rows: first {self.first:.0f} us a row, {self.first_peak:.0f} MB; "
            f"all done {self.again:.0f} us, {self.again_peak:.0f} MB; "
            f"cut anew {self.cut:.0f} us, {self.cut_peak:.0f} MB"
        )


@dataclass(frozen=True)
class Rows:
    """Questions like those of VQAv2, made whenever they are gone through."""

    number: int

    def __len__(self) -> int:
        return self.number

    def __iter__(self) -> Iterator[Example]:
        answers = ("yes", "yes", "no", "yes", "yes", "yes", "yes", "no", "yes", "yes")
        for number in range(self.number):
            yield Example(
                id=f"vqa/val2014/{number}",
                task="vqa",
                image=f"sources/val2014/COCO_val2014_{number // 5:012d}.jpg",
                image_id=str(number // 5),
                question=f"Is the man number {number} wearing a hat?",
                question_type="is the man",
                answers=answers,
                caption="A man in a street with a hat in his hand.",
            )


@dataclass
class Nothing:
    """Keeps every row as it is."""

    def devices(self) -> Sequence[str]:
        return ()

    def open(self) -> None: ...

    def __call__(self, rows: Sequence[Example]) -> Sequence[Example]:
        return rows


def main(folder: Path, number: int, kind: str) -> None:
    """Run, read all outcomes as the next stage would, and print what that took beyond making the rows."""
    rows = Rows(number)
    begun = time.process_time()
    deque(rows, maxlen=0)
    passes = 1 if kind == "again" else 2
    making = passes * (time.process_time() - begun)
    begun = time.process_time()
    size = OTHER if kind == "cut" else SHARD
    job = Job(folder / "stage", Nothing(), rows, Example, {}, size)
    deque(run(job, Local(1), retry_failed=False, advance=lambda *_: None), maxlen=0)
    spent = time.process_time() - begun - making
    sys.stdout.write(json.dumps([round(spent / number * 1e6, 2), round(peak(), 1)]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
