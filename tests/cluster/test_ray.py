"""Actors of a Ray cluster of three nodes on this machine: the same rows, whoever dies meanwhile."""

from __future__ import annotations

import logging
import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from mmedit_build.console import log_to
from mmedit_build.engine.base import Failed
from mmedit_build.engine.local import Local
from mmedit_build.engine.ray import NAMESPACE, OnRay, _Dealing
from mmedit_build.engine.run import Job, run
from mmedit_build.engine.shards import Tally
from mmedit_build.errors import UserError
from mmedit_build.recipe import Endpoint, Price
from mmedit_build.services.chat import ChatRequest, Message, Reply
from mmedit_build.services.opening import open_chat
from tests.mmedit_build.engine.conftest import Number, numbers

ray = pytest.importorskip("ray")
NODES = 3
# Seven processes of Ray take their time to start where others want the processors too.
pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 80 * 2**20})
    for _ in range(NODES - 1):
        made.add_node(num_cpus=1, object_store_memory=80 * 2**20)
    ray.init(made.address, namespace=NAMESPACE, logging_level=logging.ERROR, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


def quiet(number: int, tally: Tally) -> None:
    pass


def finished(job: Job[Any], engine: Any) -> list[Any]:
    return list(run(job, engine, retry_failed=False, advance=quiet))


@pytest.mark.usefixtures("cluster")
def test_actors_give_the_same_rows_and_engines_can_be_changed(job: Job[Any]) -> None:
    alone = finished(replace(job, folder=job.folder.with_name("alone")), Local())
    half = replace(job, rows=list(job.rows)[:20])
    with log_to(log := job.folder.with_name("log.txt")):
        finished(half, OnRay(2))
    assert finished(job, Local()) == alone
    assert "n/5 failed: five" in log.read_text(), "workers log where the command does"


@dataclass
class Slow:
    """Waits, and tells in a file who is at work."""

    pids: Path
    seconds: float = 0.05
    deadly: str = ""
    """The row at which its worker dies."""

    def devices(self) -> Sequence[str]:
        return ()

    def open(self) -> None:
        (self.pids / str(os.getpid())).touch()

    def __call__(self, rows: Sequence[Number]) -> Iterator[Number]:
        for row in rows:
            time.sleep(self.seconds)
            if row.id == self.deadly:
                os.kill(os.getpid(), signal.SIGKILL)
            with (self.pids / "seen").open("a") as file:
                file.write(f"{row.id}\n")
            yield Number(row.id, row.value + 1)


@pytest.fixture
def slow(tmp_path: Path) -> Job[Number]:
    return Job(tmp_path / "slow", Slow(tmp_path), numbers(60), Number, {}, 4)


def killing(slow: Job[Any], times: int) -> Callable[[int, Tally], None]:
    """Kills a worker at random after each of the first shards."""
    rng, left = random.Random(0), [times]

    def advance(number: int, _: Tally) -> None:
        alive = [path for path in slow.stage.pids.iterdir() if path.name.isdigit()]  # type: ignore[attr-defined]
        if number and left[0] and alive:
            left[0] -= 1
            victim = rng.choice(alive)
            victim.unlink()
            os.kill(int(victim.name), signal.SIGKILL)

    return advance


def test_workers_and_machines_that_die_lose_nothing_and_repeat_only_their_shards(
    slow: Job[Any], cluster: Any
) -> None:
    node, kill = cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20), killing(slow, 3)
    removed: list[Any] = []

    def advance(number: int, tally: Tally) -> None:
        kill(number, tally)
        if tally.total >= 20 and not removed:
            removed.append(cluster.remove_node(node, allow_graceful=False))

    outcomes = run(slow, OnRay(3), retry_failed=False, advance=advance)
    assert list(outcomes) == [Number(row.id, row.value + 1) for row in numbers(60)]
    seen = (slow.stage.pids / "seen").read_text().split()  # type: ignore[attr-defined]
    assert set(seen) == {row.id for row in slow.rows}
    # Of each of the four that died, one shard at most.
    assert len(seen) <= 60 + 4 * slow.shard_rows


def wait_until_back(actor: Any) -> None:
    """Until there is a new process of an actor that was killed."""
    while True:
        try:
            ray.get(actor.__ray_ready__.remote())
            return
        except ray.exceptions.ActorUnavailableError:
            time.sleep(0.1)


@pytest.mark.usefixtures("cluster")
def test_a_worker_that_dies_between_two_tasks_is_opened_again(
    slow: Job[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, killed = _Dealing.begin, list[Path]()

    def kill_and_begin(dealing: _Dealing, worker: Any) -> None:
        if not killed:
            killed.extend(slow.stage.pids.glob("[0-9]*"))  # type: ignore[attr-defined]
            os.kill(int(killed[0].name), signal.SIGKILL)
            wait_until_back(worker.actor)
        begin(dealing, worker)

    monkeypatch.setattr(_Dealing, "begin", kill_and_begin)
    few = numbers(4)
    assert finished(replace(slow, rows=few), OnRay(1)) == [Number(row.id, row.value + 1) for row in few]


@pytest.mark.usefixtures("cluster")
def test_a_task_at_which_workers_die_is_given_up_and_the_others_are_kept(
    slow: Job[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmedit_build.engine.ray.MOST_TRIES", 2)
    deadly = replace(slow, stage=replace(slow.stage, deadly="n/58", seconds=0.0))  # type: ignore[type-var]
    with pytest.raises(UserError, match="died 2 times at the same task"):
        finished(deadly, OnRay(1))
    assert len(finished(slow, Local())) == 60
    seen = (slow.stage.pids / "seen").read_text().split()  # type: ignore[attr-defined]
    assert len(seen) == 60 + 2


class Broken:
    def devices(self) -> Sequence[str]:
        return ()

    def open(self) -> None:
        raise UserError("There is no such model.")

    def __call__(self, rows: Any) -> Any:
        return rows


@pytest.mark.usefixtures("cluster")
def test_a_mistake_in_an_actor_is_the_sentence_that_it_is(job: Job[Any]) -> None:
    with pytest.raises(UserError, match=r"^There is no such model\.$"):
        finished(replace(job, stage=Broken()), OnRay(1))


@dataclass
class Asking:
    """Asks a served model."""

    model: Endpoint
    cache: Path

    def devices(self) -> Sequence[str]:
        return ()

    def open(self) -> None:
        self.cache.with_name(f"pid-{os.getpid()}").touch()
        self._chat = open_chat(self.model, self.cache)

    def __call__(self, rows: Sequence[Number]) -> Iterator[Number | Failed]:
        asked = [ChatRequest((Message("user", f"text {row.value % 6}"),), 1.0, 64) for row in rows]
        for row, reply in zip(rows, self._chat.ask(asked), strict=True):
            yield row if isinstance(reply, Reply) else Failed(row.id, reply.reason)


@pytest.mark.usefixtures("cluster")
def test_no_reply_is_paid_twice_and_the_ceiling_holds_for_all_workers(
    chat_server: Any, tmp_path: Path
) -> None:
    # A reply costs 600, a request at worst 6,590 or so.
    price = Price(input=10e6, output=100e6)
    model = Endpoint(model="m", base_url=chat_server.url, price=price, max_cost=1e6)
    asking = Job(tmp_path / "asking", Asking(model, tmp_path / "replies"), numbers(24), Number, {}, 3)
    assert finished(asking, OnRay(2)) == numbers(24)
    assert chat_server.billed == {f"text {number}": 1 for number in range(6)}
    poor = Asking(model.model_copy(update={"max_cost": 8_000}), tmp_path / "others")
    with pytest.raises(UserError, match="`max_cost: 8000` USD for m is reached"):
        finished(replace(asking, folder=tmp_path / "poor", stage=poor), OnRay(1))
    assert (sum(chat_server.billed.values()) - 6) * 600 <= 8_000


@pytest.mark.usefixtures("cluster")
def test_what_a_worker_has_under_way_when_it_dies_is_not_paid_twice(chat_server: Any, tmp_path: Path) -> None:
    chat_server.delay = 2.0
    model = Endpoint(model="m", base_url=chat_server.url)
    stage = Asking(model, tmp_path / "replies")
    killed: list[int] = []

    def kill_one(_seen: Any) -> None:
        if not killed:
            killed.append(int(next(tmp_path.glob("pid-*")).name[4:]))
            os.kill(killed[0], signal.SIGKILL)

    chat_server.judge = kill_one
    assert finished(Job(tmp_path / "asking", stage, numbers(12), Number, {}, 3), OnRay(1)) == numbers(12)
    assert len(list(tmp_path.glob("pid-*"))) == 2
    assert len(chat_server.seen) == 6
