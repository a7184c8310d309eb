"""Runs a stage on this machine: in this process, or in several."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Container, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Generic

from mmedit_build.console import log_files, log_to
from mmedit_build.engine.base import Failed, HasId, Out, Rejected, Stage
from mmedit_build.engine.shards import Key, Outcome, Shard, Shards, Tally, check_settings, plan
from mmedit_build.errors import UserError

logger = logging.getLogger(__name__)

Advance = Callable[[int, Tally], None]
"""Hears, after each shard, how many more rows are done, and the tally of all."""


@dataclass(frozen=True)
class Job(Generic[Out]):
    """A stage, the rows to run it over, and where its outcomes go."""

    folder: Path
    stage: Stage[Any, Out]
    rows: Sequence[HasId]
    row_type: type[Out]
    settings: Mapping[str, Any]
    """All that decides about the outcomes besides the rows; other settings than before are refused."""
    shard_rows: int
    beside: Mapping[str, Any] = field(default_factory=dict)
    """By row id, what else its outcome depends on; when that changes, the row is worked on anew."""

    @property
    def shards(self) -> Shards[Out]:
        return Shards(self.folder, self.row_type)


def run(
    job: Job[Out],
    *,
    workers: int,
    retry_failed: bool,
    advance: Advance,
    tried: Container[str] = frozenset(),
) -> list[Outcome[Out]]:
    """Finish all shards that are not finished yet; the outcomes of all rows, in their order.

    With `retry_failed`, rows that failed are worked on again but for those that are `tried`.
    """
    check_settings(job.folder, job.settings)
    shards, planned = job.shards, plan(job.rows, job.shard_rows, job.beside)
    known = _known(shards, planned, tried if retry_failed else None)
    todo = [shard for shard in planned if any(key not in known for key in shard.keys)]
    tally = Tally().add(known[key] for shard in planned for key in shard.keys if key in known)
    logger.info("%s: %d of %d shards to do; %s", job.folder.name, len(todo), len(planned), tally)
    advance(tally.total, tally)
    # Closed, so that workers end at once with a run that ends here.
    with closing(_finish_all(job, todo, known, workers)) as finished:
        for shard, new in finished:
            tally.merge(new)
            logger.info("%s: shard %d finished; %s", job.folder.name, shard.number, tally)
            advance(new.total, tally)
    for shard in planned:
        if not shards.path(shard).exists():
            shards.write(shard, [known[key] for key in shard.keys])
    shards.forget_repeats(planned)
    return [outcome for shard in planned for outcome in shards.read(shard)]


def _known(
    shards: Shards[Out], planned: Sequence[Shard], tried: Container[str] | None
) -> dict[Key, Outcome[Out]]:
    """What is not worked on; failures stay if they are in `tried`, or that is None."""
    wanted = {key for shard in planned for key in shard.keys}
    return {
        key: outcome
        for key, outcome in shards.known().items()
        if key in wanted and (tried is None or not isinstance(outcome, Failed) or outcome.id in tried)
    }


def _finish_all(
    job: Job[Out], todo: Sequence[Shard], known: Mapping[Key, Outcome[Out]], workers: int
) -> Generator[tuple[Shard, Tally]]:
    tasks = [(shard, {key: known[key] for key in shard.keys if key in known}) for shard in todo]
    if not tasks:
        return
    logger.info("%s: %d rows in %d shards", job.folder.name, len(job.rows), len(todo))
    if workers == 1:
        worker = _Worker(job.stage, job.shards)
        for shard, before in tasks:
            yield shard, worker.finish(shard, before)
        return
    yield from _in_processes(job, tasks, min(workers, len(tasks)))


class _Worker(Generic[Out]):
    """Holds an opened stage."""

    def __init__(self, stage: Stage[Any, Out], shards: Shards[Out]) -> None:
        stage.open()
        self._stage = stage
        self._shards = shards

    def finish(self, shard: Shard, known: Mapping[Key, Outcome[Out]]) -> Tally:
        """Run the stage over the rows of a shard that are not known yet, and save the whole shard."""
        todo = [row for row, key in zip(shard.rows, shard.keys, strict=True) if key not in known]
        new = _by_id(self._stage(todo), todo)
        for outcome in new.values():
            if isinstance(outcome, Failed):
                logger.warning("%s failed: %s", outcome.id, outcome.reason)
        outcomes = [known[key] if key in known else new[key[0]] for key in shard.keys]
        self._shards.write(shard, outcomes)
        return Tally().add(new.values())


def _by_id(
    outcomes: Iterable[Out | Rejected[Any] | Failed], rows: Sequence[HasId]
) -> dict[str, Outcome[Out]]:
    listed = list(outcomes)
    found: dict[str, Outcome[Out]] = {outcome.id: outcome for outcome in listed}
    if len(listed) != len(rows) or set(found) != {row.id for row in rows}:
        raise RuntimeError("a stage must give exactly one outcome for each row")
    return found


_worker: _Worker[Any] | None = None


def _open_worker(stage: Stage[Any, Any], shards: Shards[Any], logs: Sequence[Path]) -> None:
    global _worker
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for path in logs:
        # For as long as the process lives.
        ExitStack().enter_context(log_to(path))
    _worker = _Worker(stage, shards)


def _end_with_parent() -> None:
    """A worker whose parent was killed would keep its models, and what it has queued, for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _finish_in_worker(shard: Shard, known: Mapping[Key, Any]) -> Tally:
    assert _worker is not None
    return _worker.finish(shard, known)


def _in_processes(
    job: Job[Out], tasks: Sequence[tuple[Shard, dict[Key, Outcome[Out]]]], workers: int
) -> Iterator[tuple[Shard, Tally]]:
    # Not forked: threads of torch and clients of servers do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with (
        _environment_of(workers),
        ProcessPoolExecutor(workers, context, _open_worker, (job.stage, job.shards, log_files())) as pool,
    ):
        others = multiprocessing.active_children()
        # Each task that finds no idle worker starts one.
        with _interrupts_held_back():
            futures = {pool.submit(_finish_in_worker, *task): task[0] for task in tasks}
        ours = [process for process in multiprocessing.active_children() if process not in others]
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as error:
            raise UserError(
                "A worker process ended before its time, perhaps for lack of memory; what was finished is "
                "kept. Run the same command again, with fewer --workers."
            ) from error
        except (KeyboardInterrupt, GeneratorExit):
            # Nobody waits for the shards under way, and workers hear of no Ctrl-C themselves.
            for process in ours:
                process.terminate()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Ctrl-C, which a terminal sends to all processes, reaches this one afterwards, and those started inside
    never: the first to be told ends the others, in whatever they are."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _environment_of(workers: int) -> Iterator[None]:
    """What processes started inside find: their share of the cores, and no bars that would cross ours."""
    wanted = {
        "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // workers)),
        "TRANSFORMERS_VERBOSITY": "error",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    ours = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            del os.environ[name]
