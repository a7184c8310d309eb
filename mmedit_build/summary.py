"""What became of the rows of a stage, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from mmedit_build.engine.base import Failed, Rejected
from mmedit_build.engine.shards import read_json
from mmedit_build.store import write_atomic


class Summary(BaseModel):
    """Counts of one stage."""

    stage: str
    entered: int
    kept: int
    rejected: dict[str, int]
    """By reason."""
    failed: dict[str, int]
    """By reason; these rows are tried again with --retry-failed."""
    finished: bool = True

    def sentence(self) -> str:
        """The counts for people, with what they can do about failed rows."""
        rejected, failed = sum(self.rejected.values()), sum(self.failed.values())
        text = f"{self.stage}: {self.entered} rows in, {self.kept} out, {rejected} rejected, {failed} failed."
        if self.failed:
            reason = next(iter(self.failed))
            text += f" Most failed because: {reason} Mend that and add --retry-failed to try them again."
        return text

    def write(self, folder: Path) -> None:
        write_atomic(folder / "summary.json", self.model_dump_json(indent=2).encode() + b"\n")

    @classmethod
    def read(cls, folder: Path) -> Summary | None:
        path = folder / "summary.json"
        return cls.model_validate(read_json(path)) if path.exists() else None


def summarize(
    stage: str,
    outcomes: Iterable[object],
    left_out: Iterable[Rejected[Any]] = (),
    *,
    finished: bool = True,
) -> Summary:
    """Count outcomes; `left_out` are rows that a stage had kept and that were dropped when all were known."""
    kept = 0
    rejected: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for outcome in outcomes:
        if isinstance(outcome, Rejected):
            rejected[outcome.reason] += 1
        elif isinstance(outcome, Failed):
            failed[outcome.reason] += 1
        else:
            kept += 1
    dropped = Counter(one.reason for one in left_out)
    return Summary(
        stage=stage,
        entered=kept + rejected.total() + failed.total(),
        kept=kept - dropped.total(),
        rejected=dict((rejected + dropped).most_common()),
        failed=dict(failed.most_common()),
        finished=finished,
    )
