"""Has tasks done by actors of a Ray cluster: on this machine, or on all that have the same files.

A worker that dies, or whose machine does, is started anew by Ray; its task is done again, a few times at
most. What stands in the work folder and in results stays the truth, as with processes of this machine.
"""

from __future__ import annotations

import logging
import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmedit_build.console import log_files
from mmedit_build.engine.base import Craft, Crew, Take
from mmedit_build.engine.devices import check_unnamed
from mmedit_build.engine.local import SHARED
from mmedit_build.engine.serving import Ended, Raised
from mmedit_build.engine.travelling import let_paths_travel
from mmedit_build.errors import UserError
from mmedit_build.storage.session import shared

logger = logging.getLogger(__name__)

MOST_TRIES = 5
"""How often a task is begun whose workers die at it."""
MOST_RESTARTS = 20
"""How often a worker is started anew."""
PATIENCE = 30.0
"""Seconds without a word after which it is told what is waited for."""
NAMESPACE = "mmedit"


def connect(address: str | None, workers: int | None) -> OnRay:
    """Join a cluster, or start one on this machine; it is left when the command ends."""
    # Nothing is sent to the authors of Ray unless the user asks for it.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise UserError(
            'Ray is not installed: `pip install "mmedit[ray]"` does that, on every machine of the cluster.'
        ) from error
    if not ray.is_initialized():
        quiet = {SHARED: "1", "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        try:
            ray.init(
                address=address or "local",
                namespace=NAMESPACE,
                runtime_env={"env_vars": quiet},
                logging_level=logging.ERROR,
                log_to_driver=False,
                **({} if address else {"include_dashboard": False}),
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise UserError(
                f"There is no Ray cluster at '{address or 'local'}': start one with `ray start --head`, or "
                "leave out --address."
            ) from error
    let_paths_travel()
    return OnRay(workers)


@dataclass(frozen=True)
class OnRay:
    """Actors of the cluster that this process has joined."""

    workers: int | None = None
    """Left out: as many as there is room for."""

    @contextmanager
    def crew(self, craft: Craft, most: int) -> Iterator[Crew]:
        with shared(), self._actors(craft, most) as actors:
            yield actors

    @contextmanager
    def _actors(self, craft: Craft, most: int) -> Iterator[Actors]:
        import ray

        check_unnamed(craft.devices())
        there = ray.cluster_resources()
        gpu = any(device != "cpu" for device in craft.devices()) and there.get("GPU", 0) >= 1
        room = int(there.get("GPU" if gpu else "CPU", 1))
        actors = Actors(craft, min(most, self.workers or max(1, room)), gpu=gpu)
        try:
            yield actors
        finally:
            actors.end()


@dataclass
class _Worker:
    """An actor as it is seen from here."""

    actor: Any
    heard: Any = None
    """What comes next of it: that it has opened its craft, or a piece of its task."""
    task: int | None = None
    opened: bool = False


@dataclass
class Actors:
    """Workers that begin to open their craft at once; each has tasks once it has."""

    craft: Craft
    number: int
    gpu: bool
    _workers: list[_Worker] = field(default_factory=list)

    def __post_init__(self) -> None:
        import ray

        from mmedit_build.engine.actors import Keeper, Worker

        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        # What is paid for is asked and kept where this command runs, whoever wants it. Those whom workers
        # that died had something asked for are still at it.
        self._keeper: Any = (
            ray.remote(Keeper)
            .options(
                num_cpus=0,
                max_restarts=-1,
                max_task_retries=-1,
                max_concurrency=2 * self.number,
                scheduling_strategy=here,
            )
            .remote(log_files())
        )
        kind = ray.remote(Worker).options(
            num_cpus=1, num_gpus=int(self.gpu), max_restarts=MOST_RESTARTS, scheduling_strategy="SPREAD"
        )
        # Once, however many workers there are.
        self._shared = ray.put(self.craft)
        for _ in range(self.number):
            worker = _Worker(kind.remote())
            self._open(worker)
            self._workers.append(worker)

    def _open(self, worker: _Worker) -> None:
        worker.heard = worker.actor.opened.remote(self._shared, self._keeper, Path.cwd(), log_files())

    def deal(self, tasks: Iterable[Any], take: Take) -> None:
        dealing = _Dealing(tasks, take)
        while dealing.waiting or any(worker.task is not None for worker in self._workers):
            for worker in self._workers:
                if worker.opened and worker.task is None:
                    dealing.begin(worker)
            if not dealing.waiting and all(worker.task is None for worker in self._workers):
                break
            self._hear(dealing)
        if dealing.errors:
            raise dealing.errors[0]

    def _hear(self, dealing: _Dealing) -> None:
        """What one worker says next."""
        import ray

        by_sound = {worker.heard: worker for worker in self._workers if worker.heard is not None}
        if not by_sound:
            raise UserError(
                "All workers died again and again, perhaps for lack of memory; what was finished is kept. "
                "Run the same command again with fewer --workers."
            )
        ready, _ = ray.wait(list(by_sound), num_returns=1, timeout=PATIENCE)
        if not ready:
            free = ray.available_resources()
            said = ", ".join(f"{free.get(name, 0):g} {name}" for name in ("CPU", "GPU"))
            logger.info("No word from workers for %.0f seconds; the cluster has %s free", PATIENCE, said)
            return
        worker = by_sound[ready[0]]
        try:
            sound = worker.heard if worker.task is None else next(worker.heard)
            dealing.hear(worker, ray.get(sound))
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except (StopIteration, ray.exceptions.RayError) as error:
            self._died(worker, error, dealing)

    def _died(self, worker: _Worker, error: Exception, dealing: _Dealing) -> None:
        """Wait until it is there again; if it does not come, for the others."""
        import ray

        if worker.opened:
            logger.warning("A worker died (%s); it is started anew", type(error).__name__)
        elif not isinstance(error, ray.exceptions.ActorUnavailableError):
            logger.warning("A worker does not come back (%s)", type(error).__name__)
            worker.heard = None
            return
        self._open(worker)
        dealing.lost(worker)

    def end(self) -> None:
        """End them in whatever they are."""
        import ray

        for actor in (*(worker.actor for worker in self._workers), self._keeper):
            ray.kill(actor)


class _Dealing:
    """Some tasks on their way."""

    def __init__(self, tasks: Iterable[Any], take: Take) -> None:
        self._fresh: Iterator[tuple[int, Any]] | None = enumerate(tasks)
        """None once there is none left."""
        self._again: deque[int] = deque()
        self._begun: dict[int, Any] = {}
        """Tasks that are not done, as whoever is at one may die."""
        self._take = take
        self._tries: Counter[int] = Counter()
        self.errors: list[BaseException] = []

    @property
    def waiting(self) -> bool:
        """Whether there may be tasks that nobody is at."""
        return bool(self._again) or self._fresh is not None

    def begin(self, worker: _Worker) -> None:
        """Give a worker the next task, if there is one."""
        worker.task, worker.heard = self._next(), None
        if worker.task is not None:
            self._tries[worker.task] += 1
            do = worker.actor.do.options(num_returns="streaming")
            worker.heard = do.remote(self._begun[worker.task])

    def _next(self) -> int | None:
        if self._again:
            return self._again.popleft()
        number, task = next(self._fresh or iter(()), (None, None))
        if number is None:
            self._fresh = None
        else:
            self._begun[number] = task
        return number

    def _stop(self) -> None:
        """Begin nothing more."""
        self._again.clear()
        self._fresh = None

    def hear(self, worker: _Worker, said: Any) -> None:
        if isinstance(said, Raised):
            self.errors.append(said.error)
            self._stop()
        if worker.task is None:
            worker.opened, worker.heard = not isinstance(said, Raised), None
        elif isinstance(said, Raised | Ended):
            del self._begun[worker.task]
            worker.task = worker.heard = None
        else:
            self._take(worker.task, said)

    def lost(self, worker: _Worker) -> None:
        """Have the task of a worker that died done again, but not for ever."""
        number, worker.task, worker.opened = worker.task, None, False
        if number is None or self.errors:
            return
        if self._tries[number] < MOST_TRIES:
            self._again.append(number)
            return
        self._stop()
        self.errors.append(
            UserError(
                f"A worker died {MOST_TRIES} times at the same task, perhaps for lack of memory; what was "
                "finished is kept. Run the same command again with fewer --workers or smaller batches."
            )
        )
