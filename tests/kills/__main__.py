"""Kill builds, evaluations and streams many times: python -m tests.kills --each 17 --scratch FOLDER."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.kills.building import BUILD
from tests.kills.judging import evaluation
from tests.kills.rounds import kill_evenly
from tests.kills.streaming import streams


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["build", "evaluation", "streams"])
    parser.add_argument("--each", type=int, default=10, help="Kills of each stage or method.")
    parser.add_argument("--scratch", type=Path, required=True, help="An empty folder.")
    parser.add_argument("--dataset", default="runs/miniature/dataset", help="What methods are judged on.")
    parser.add_argument("--stream", default="3,20,60", help="Which streams; also the name of a preset.")
    parser.add_argument("--limit", type=int, help="Only the first so many edits of streams.")
    parser.add_argument("--seed", default="0")
    given = parser.parse_args()
    dataset = Path(given.dataset).absolute()
    if given.what == "streams":
        subject = streams(dataset, given.stream, given.limit)
    else:
        subject = BUILD if given.what == "build" else evaluation(dataset)
    count = kill_evenly(subject, given.scratch, given.each, seed=given.seed, tell=_tell)
    return int(count.damage.any)


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
