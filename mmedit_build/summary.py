"""What became of the rows of a stage, counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from mmedit_build.engine.base import Rejected
from mmedit_build.engine.shards import Tally
from mmedit_build.errors import UserError
from mmedit_build.files import is_file
from mmedit_build.json_files import read_json
from mmedit_build.store import write_atomic

_NAMES = re.compile(r"\S*[/\\]\S*|'[^']*'|\d[\d,.]*")


class Summary(BaseModel):
    """Counts of one stage."""

    stage: str
    entered: int
    kept: int
    rejected: dict[str, int]
    """By reason."""
    failed: dict[str, int]
    """By reason, without the names in it; these rows are tried again with --retry-failed."""
    finished: bool = True
    made_of: str | None = None
    """A digest of the rows of the stage before."""
    chosen_by: dict[str, Any] | None = None
    """What decided which of the outcomes became rows, in stages that choose."""

    def sentence(self) -> str:
        """The counts for people, with what they can do about failed rows."""
        rejected, failed = sum(self.rejected.values()), sum(self.failed.values())
        text = f"{self.stage}: {self.entered} rows in, {self.kept} out, {rejected} rejected, {failed} failed."
        if self.failed:
            reason = next(iter(self.failed)).rstrip(".")
            text += f" Most failed because: {reason}. Mend that and add --retry-failed to try them again."
        return text

    def write(self, folder: Path) -> None:
        write_atomic(folder / "summary.json", self.model_dump_json(indent=2).encode() + b"\n")

    @classmethod
    def read(cls, folder: Path) -> Summary | None:
        path = folder / "summary.json"
        if not is_file(path):
            return None
        try:
            return cls.model_validate(read_json(path, "delete its folder and run that stage again"))
        except ValidationError as error:
            raise UserError(f"{path} does not hold counts; delete it and run the stage again.") from error


def summarize(
    stage: str, tally: Tally, left_out: Iterable[Rejected[Any]] = (), *, finished: bool = True
) -> Summary:
    """The counts; `left_out` are rows that a stage had kept and that were dropped when all were known."""
    dropped = Counter(one.reason for one in left_out)
    failed: Counter[str] = Counter()
    for reason, number in tally.failed.items():
        # Five thousand missing images are one reason.
        failed[_NAMES.sub("...", reason)] += number
    return Summary(
        stage=stage,
        entered=tally.total,
        kept=tally.kept - dropped.total(),
        rejected=dict((tally.rejected + dropped).most_common()),
        failed=dict(failed.most_common()),
        finished=finished,
    )
