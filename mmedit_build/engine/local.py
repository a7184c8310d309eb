"""Has tasks done on this machine: in this process, or in several, each with a device of its own if there are
several."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

from mmedit_build.console import log_files
from mmedit_build.engine.base import Craft, Crew, Take
from mmedit_build.engine.devices import devices_for, environment_for
from mmedit_build.engine.serving import Ended, Raised, serve
from mmedit_build.errors import UserError


@dataclass(frozen=True)
class Local:
    """So many processes; one is this one, unless it is told a device."""

    workers: int = 1
    devices: tuple[str, ...] = ()
    """Which the workers have in turn; empty: the GPUs that there are, where no model is told one by name."""

    @contextmanager
    def crew(self, craft: Craft, most: int) -> Iterator[Crew]:
        workers = min(self.workers, most)
        if workers == 1 and not self.devices:
            craft.open()
            yield Here(craft)
            return
        crew = Processes(craft, workers, devices_for(workers, self.devices, craft.devices()))
        try:
            yield crew
        except BaseException:
            # Nobody waits for what is under way, and workers hear of no Ctrl-C themselves.
            crew.end()
            raise
        crew.dismiss()


SHARED = "MMEDIT_SHARED_THREADS"
"""Set where the number of threads is a worker's share of the cores, and not the user's wish."""
HERE = Local()
"""This process alone."""


@dataclass(frozen=True)
class Here:
    """This process as the only worker."""

    craft: Craft

    def deal(self, tasks: Iterable[Any], take: Take) -> None:
        for number, task in enumerate(tasks):
            self.craft(task, partial(take, number))


class Processes:
    """Workers in processes, which begin to open their craft at once."""

    def __init__(self, craft: Craft, workers: int, devices: Sequence[str]) -> None:
        # Not forked: threads of torch and clients of servers do not survive a fork.
        context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []
        for number in range(workers):
            own = environment_for(devices[number % len(devices)]) if devices else {}
            with _interrupts_held_back(), _environment({**_share(workers), **own}, forced=own):
                self._workers.append(_Worker(context, craft))

    def deal(self, tasks: Iterable[Any], take: Take) -> None:
        waiting, errors = enumerate(tasks), list[BaseException]()
        for worker in self._workers:
            worker.begin(waiting)
        while busy := {worker.pipe: worker for worker in self._workers if worker.task is not None}:
            for pipe in wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]
                given = worker.hear()
                if isinstance(given, Raised):
                    errors.append(given.error)
                    waiting = enumerate(())
                if isinstance(given, Raised | Ended):
                    worker.begin(waiting)
                elif worker.task is not None:
                    take(worker.task, given)
        if errors:
            raise errors[0]

    def dismiss(self) -> None:
        """Let the workers end by themselves."""
        for worker in self._workers:
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join()

    def end(self) -> None:
        """End them in whatever they are."""
        for worker in self._workers:
            worker.process.terminate()
        self.dismiss()


class _Worker:
    """A process, and the task that it is at."""

    def __init__(self, context: multiprocessing.context.SpawnContext, craft: Craft) -> None:
        self.pipe: Connection
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, craft, log_files()))
        self.process.start()
        theirs.close()
        self.task: int | None = None

    def begin(self, waiting: Iterator[tuple[int, Any]]) -> None:
        """Take the next task, if there is one."""
        self.task, task = next(waiting, (None, None))
        if self.task is not None:
            try:
                self.pipe.send(task)
            except OSError as error:
                raise _gone() from error

    def hear(self) -> Any:
        """What it says next."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError) as error:
            raise _gone() from error


def _gone() -> UserError:
    return UserError(
        "A worker process ended before its time, perhaps for lack of memory; what was finished is kept. Run "
        "the same command again, with fewer --workers."
    )


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Ctrl-C, which a terminal sends to all processes, reaches this one afterwards, and those started inside
    never: the first to be told ends the others, in whatever they are."""
    # Started with the first process otherwise, and that lets signals through again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _share(workers: int) -> dict[str, str]:
    """What processes find of which this many are started: their share of the cores, and no bars that would
    cross ours."""
    return {
        **({} if "OMP_NUM_THREADS" in os.environ else {SHARED: "1"}),
        "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // workers)),
        "TRANSFORMERS_VERBOSITY": "error",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }


@contextmanager
def _environment(wanted: Mapping[str, str], forced: Mapping[str, str]) -> Iterator[None]:
    """Variables that processes started inside find; those that the user set stay, but for the forced ones."""
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update({name: of for name, of in wanted.items() if before[name] is None or name in forced})
    try:
        yield
    finally:
        for name, of in before.items():
            if of is None:
                del os.environ[name]
            else:
                os.environ[name] = of
