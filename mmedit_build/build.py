"""A build: a recipe, a work folder, and how the stages in it are run and finished.

Each stage reads the rows of the one before it, runs over shards that survive a crash, and ends by writing its
own `rows.jsonl`. Running it again goes on where it stopped, or finds that there is nothing left to do.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from mmedit_build.anew import Anew
from mmedit_build.console import Advance
from mmedit_build.engine.base import Engine, Failed, HasId, Rejected, Stage
from mmedit_build.engine.known import Outcomes, ends_of
from mmedit_build.engine.local import HERE
from mmedit_build.engine.run import Job, run
from mmedit_build.engine.shards import NOTHING, Outcome, Shards, Tally, read_rows, write_rows
from mmedit_build.errors import UserError
from mmedit_build.files import is_file, read_bytes
from mmedit_build.json_files import MOST_BYTES
from mmedit_build.recipe import Recipe
from mmedit_build.rows import EditRow
from mmedit_build.store import write_atomic
from mmedit_build.summary import Summary, summarize
from mmedit_build.work import ROWS, STAGES, Work

logger = logging.getLogger(__name__)

NOT_DECIDING = {
    "device",
    "batch_size",
    "shard_rows",
    "concurrency",
    "requests_per_minute",
    "timeout",
    "retries",
    "price",
    "max_cost",
    "key_variable",
}
"""Settings that may change between two runs of a stage: they decide how it is done, and about what comes out
only in its last bits."""

LEFT_OUT = "left_out.jsonl"
"""Beside the rows of a stage: those that it had made when it chose among them, by reason."""
_LEFT_OUT = TypeAdapter(dict[str, EditRow])

Row = TypeVar("Row", bound=HasId)
Progress = Callable[[str, int | None], AbstractContextManager[Advance]]


@dataclass(frozen=True)
class Build:
    """What all stages share."""

    recipe: Recipe
    work: Work
    progress: Progress
    limit: int | None = None
    """Only the first so many rows of each stage; when mining, of questions and of captions."""
    engine: Engine = HERE
    most_workers: int | None = None
    """More are not worth what it takes to start them."""
    retry_failed: bool = False
    tried: Container[str] = frozenset()
    """Ids of rows that the same command worked on before: where these fail, they are not tried again."""

    def rows_of(self, stage: str, name: str = ROWS) -> list[EditRow]:
        """The rows that a stage ended with, as many as the build wants."""
        return list(islice(stored_rows(self.work, stage, name), self.limit))

    def finished(self) -> Anew[EditRow]:
        """The rows of the last stage that makes any, as many as the build wants."""
        stage = stages_of(self.recipe)[-1]
        return Anew(lambda: islice(stored_rows(self.work, stage), self.limit))

    def run(
        self,
        name: str,
        stage: Stage[Any, Row],
        rows: Sequence[HasId],
        row_type: type[Row],
        settings: Mapping[str, Any],
        shard_rows: int,
        beside: Mapping[str, Any] = NOTHING,
    ) -> Outcomes[Row]:
        """Run a stage over its rows, with a bar."""
        job = Job(
            self.work.stage(name),
            stage,
            rows,
            row_type,
            settings,
            shard_rows,
            beside,
            self.most_workers,
        )
        with self.progress(name, len(rows)) as advance:

            def tell(number: int, tally: Tally) -> None:
                advance(number, str(tally))

            return run(job, self.engine, retry_failed=self.retry_failed, advance=tell, tried=self.tried)


def stages_of(recipe: Recipe) -> tuple[str, ...]:
    """The stages of a build that make rows, in their order."""
    return tuple(name for name in STAGES if name != "extend" or recipe.extend is not None)


def rows_of(work: Work, stage: str, name: str = ROWS) -> list[EditRow]:
    """The rows that a stage ended with, made of what the stages before it have now."""
    return list(stored_rows(work, stage, name))


def stored_rows(work: Work, stage: str, name: str = ROWS) -> Iterator[EditRow]:
    """The same, one by one."""
    check_chain(work, stage)
    path = work.stage(stage) / name
    if not is_file(path):
        raise UserError(
            f"The stage {stage} is not finished in {work.folder}; "
            f"run `mmedit-build {stage}` or `mmedit-build run` first."
        )
    return read_rows(path, EditRow)


def left_out_of(work: Work, stage: str) -> list[EditRow]:
    """The rows that a stage made and does not pass on."""
    path = work.stage(stage) / LEFT_OUT
    try:
        lines = read_bytes(path, MOST_BYTES).splitlines()
        return [row for line in lines for row in _LEFT_OUT.validate_json(line).values()]
    except (OSError, ValidationError) as error:
        raise UserError(
            f"{path} does not hold the rows that {stage} left out; run `mmedit-build {stage}` again."
        ) from error


def check_chain(work: Work, stage: str) -> None:
    """Refuse the rows of a stage if a stage before it has other rows now than those it was made of."""
    for before, after in pairwise(STAGES[: STAGES.index(stage) + 1]):
        summary = Summary.read(work.stage(after))
        if summary and summary.made_of and summary.made_of != fingerprint(work, before):
            raise UserError(
                f"The rows of {before} in {work.folder} have changed since {after} was made of them; "
                f"run `mmedit-build {after}` again, or `mmedit-build run` for all."
            )


def fingerprint(work: Work, stage: str) -> str | None:
    """A digest of the rows that a stage ended with; None if it has none."""
    path = work.stage(stage) / ROWS
    if not is_file(path):
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8)).hexdigest()


def finish(
    work: Work,
    stage: str,
    tally: Tally,
    rows: Iterable[EditRow],
    left_out: Sequence[Rejected[Any]] = (),
    chosen_by: Mapping[str, Any] | None = None,
) -> Summary:
    """Write what a stage ends with, its summary last: it says that it is finished, and of which rows."""
    folder = work.stage(stage)
    write_rows(folder / ROWS, rows)
    write_atomic(
        folder / LEFT_OUT,
        b"".join(_LEFT_OUT.dump_json({one.reason: one.row}) + b"\n" for one in left_out if one.row),
    )
    # Rows that are made while they are written are counted by now.
    summary = summarize(stage, tally, left_out)
    before = STAGES[STAGES.index(stage) - 1] if stage != STAGES[0] else None
    made_of = before and fingerprint(work, before)
    summary = summary.model_copy(update={"made_of": made_of, "chosen_by": chosen_by})
    summary.write(folder)
    logger.info("%s: finished; %s", stage, tally)
    return summary


def kept(outcomes: Iterable[Outcome[Row]]) -> Iterator[Row]:
    """The rows that a stage passes on."""
    return (one for one in outcomes if not isinstance(one, Rejected | Failed))


def deciding(section: BaseModel | Iterable[BaseModel] | None, besides: frozenset[str] = frozenset()) -> Any:
    """A section of a recipe without what does not decide about outcomes."""
    if section is None or isinstance(section, BaseModel):
        return None if section is None else _without(section.model_dump(mode="json"), NOT_DECIDING | besides)
    return [deciding(one, besides) for one in section]


def _without(value: Any, names: Iterable[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without(inner, names) for key, inner in value.items() if key not in names}
    if isinstance(value, list):
        return [_without(inner, names) for inner in value]
    return value


def unfinished(work: Work, stage: str, row_type: type[HasId]) -> Summary | None:
    """Counts of a stage that is under way, from its shards; None if it has not begun."""
    tally = ends_of(Shards(work.stage(stage), row_type))
    return summarize(stage, tally, finished=False) if tally.total else None
