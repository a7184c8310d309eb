"""What it takes to export more and more edits as MMEdit's JSON, and to import them: each in its own process.

The edits are those of `datasets`, but each names three images of its own, which are not there: what grows are
rows and names, not pictures.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.growth.datasets import STAGE, edits
from benchmarks.growth.memory import peak
from mmedit_build.engine.shards import write_rows
from mmedit_build.rows import EditRow
from mmedit_build.work import ROWS, Work

KINDS = ("make", "export", "import")


def _edits(number: int) -> Iterator[EditRow]:
    for place, edit in enumerate(edits(number)):
        assert edit.imagined is not None
        assert edit.locality is not None
        items = (replace(one, image_id=f"other/{place}.png") for one in edit.locality.image)
        yield replace(
            edit,
            image_id=f"{place}.png",
            imagined=replace(edit.imagined, image=f"painted/{place}.png"),
            locality=replace(edit.locality, image=tuple(items)),
        )


def _doing(kind: str, work: Work, number: int) -> Callable[[], object]:
    """What one of KINDS is, with all imported that it takes."""
    if kind == "make":
        return lambda: write_rows(work.stage(STAGE) / ROWS, _edits(number))
    # Imported here, as peaks hold that too.
    import mmedit_build.formats.exchange
    import mmedit_build.review.heeding  # noqa: F401
    from mmedit_build import cli

    out = work.folder / "exported"
    if kind == "export":
        return partial(cli.export, out, work=work.folder)
    return partial(cli.import_, out, work.folder / "imported")


def main(folder: Path, number: int, kind: str) -> None:
    """Do one of KINDS, and print what that took."""
    do = _doing(kind, Work(folder / "work"), number)
    begun = time.process_time()
    with redirect_stdout(sys.stderr):
        do()
    spent = time.process_time() - begun
    sys.stdout.write(json.dumps([round(spent / number * 1e6, 2), round(peak(), 1)]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
