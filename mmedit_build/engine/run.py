"""Runs a stage over shards: what is planned, what is known already, and what is written, on any engine."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic

from mmedit_build.engine.base import Engine, Failed, HasId, Out, Rejected, Stage
from mmedit_build.engine.known import Known, Outcomes
from mmedit_build.engine.pace import Pace, add_pace
from mmedit_build.engine.planning import Planned, parts, plan
from mmedit_build.engine.settings import check_settings
from mmedit_build.engine.shards import Key, Outcome, Shard, Shards, Tally

logger = logging.getLogger(__name__)

Advance = Callable[[int, Tally], None]
"""Hears, after each shard, how many more rows are done, and the tally of all."""
Task = tuple[Shard, Mapping[Key, Any]]
"""A shard, and what is known of its rows."""


@dataclass(frozen=True)
class Job(Generic[Out]):
    """A stage, the rows to run it over, and where its outcomes go."""

    folder: Path
    stage: Stage[Any, Out]
    rows: Iterable[HasId]
    """Gone through once to plan, and once more for shards that are not done; in the same order each time."""
    row_type: type[Out]
    settings: Mapping[str, Any]
    """All that decides about the outcomes besides the rows; other settings than before are refused."""
    shard_rows: int
    beside: Mapping[str, Any] = field(default_factory=dict)
    """By row id, what else its outcome depends on; when that changes, the row is worked on anew."""
    most_workers: int | None = None
    """More are not worth what it takes to start them."""

    @property
    def shards(self) -> Shards[Out]:
        return Shards(self.folder, self.row_type)


def run(
    job: Job[Out],
    engine: Engine,
    *,
    retry_failed: bool,
    advance: Advance,
    tried: Container[str] = frozenset(),
) -> Outcomes[Out]:
    """Finish all shards that are not finished yet; the outcomes of all rows, in their order.

    With `retry_failed`, rows that failed are worked on again but for those that are `tried`.
    """
    check_settings(job.folder, job.settings)
    shards, planned = job.shards, plan(job.rows, job.shard_rows, job.beside)
    known = Known(shards, planned, tried if retry_failed else None)
    todo, tally = known.todo(), known.tally
    logger.info("%s: %d of %d shards to do; %s", job.folder.name, len(todo), len(planned), tally)
    advance(tally.total, tally)
    if todo:
        _finish_all(job, engine, _tasks(job, planned, known, todo), len(todo), tally, advance)
    for number in known.scattered():
        _write_known(shards, planned[number], known.of(number))
    known.forget_repeats()
    return Outcomes(shards, planned, tally)


def _tasks(
    job: Job[Out], planned: Sequence[Planned], known: Known[Out], todo: Sequence[int]
) -> Iterator[Task]:
    """The shards to do, each made when it is asked for."""
    wanted = set(todo)
    for number, rows in enumerate(parts(job.rows, job.shard_rows)):
        if number in wanted:
            yield Shard(planned[number].name, rows, planned[number].texts), known.of(number)


def _write_known(shards: Shards[Out], planned: Planned, known: Mapping[Key, Outcome[Out]]) -> None:
    """A shard of which nothing is left to do."""
    ids = {of: row_id for row_id, of in known}
    keys = [(ids[of], of) for of in planned.texts]
    shards.write(planned.name, keys, (known[key] for key in keys))


def _finish_all(
    job: Job[Out], engine: Engine, tasks: Iterator[Task], number: int, tally: Tally, advance: Advance
) -> None:
    finished: set[int] = set()
    pace = Pace()

    def take(place: int, done: Done) -> None:
        nonlocal pace
        # A shard whose worker died is done again, and may have been written before.
        if place in finished:
            return
        finished.add(place)
        new = done.tally
        tally.merge(new)
        pace += Pace(new.total, done.seconds)
        logger.info("%s: %d of %d shards finished; %s", job.folder.name, len(finished), number, tally)
        advance(new.total, tally)

    most = min(number, job.most_workers or number)
    try:
        with engine.crew(Finishing(job.stage, job.shards), most) as crew:
            crew.deal(tasks, take)
    finally:
        add_pace(job.folder, pace)


@dataclass(frozen=True, slots=True)
class Done:
    """What a worker tells of a shard that it finished."""

    tally: Tally
    """Of the rows that it worked on."""
    seconds: float
    """That these took."""


@dataclass
class Finishing(Generic[Out]):
    """Finishes shards: runs a stage over their rows, and writes them."""

    stage: Stage[Any, Out]
    shards: Shards[Out]

    def devices(self) -> Sequence[str]:
        return self.stage.devices()

    def open(self) -> None:
        self.stage.open()

    def __call__(self, task: Task, give: Callable[[Done], None]) -> None:
        """Run the stage over the rows of a shard that are not known yet, and save the whole shard."""
        shard, known = task
        todo = [row for row, key in zip(shard.rows, shard.keys, strict=True) if key not in known]
        start = time.perf_counter()
        new = _by_id(self.stage(todo), todo)
        seconds = time.perf_counter() - start
        for outcome in new.values():
            if isinstance(outcome, Failed):
                logger.warning("%s failed: %s", outcome.id, outcome.reason)
        outcomes = [known[key] if key in known else new[key[0]] for key in shard.keys]
        self.shards.write(shard.name, shard.keys, outcomes)
        give(Done(Tally().add(new.values()), seconds))


def _by_id(
    outcomes: Iterable[Out | Rejected[Any] | Failed], rows: Sequence[HasId]
) -> dict[str, Outcome[Out]]:
    listed = list(outcomes)
    found: dict[str, Outcome[Out]] = {outcome.id: outcome for outcome in listed}
    if len(listed) != len(rows) or set(found) != {row.id for row in rows}:
        raise RuntimeError("a stage must give exactly one outcome for each row")
    return found
