"""Machines of a cluster that share no folder: what they work on lies in storage, and comes when read."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mmedit_build.engine.ray import NAMESPACE, OnRay
from mmedit_build.engine.run import Job, run
from mmedit_build.engine.shards import Tally
from mmedit_build.engine.travelling import let_paths_travel
from mmedit_build.files import exists, read_bytes
from mmedit_build.places import place
from mmedit_build.storage.addresses import is_copy
from mmedit_build.storage.session import session
from mmedit_build.store import write_atomic
from tests.mmedit_build.engine.conftest import Number, numbers
from tests.storage import new_bucket, s3_server

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.timeout(400)
NODES = 2


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The folders of copies: of the machine of the command, and of each node."""
    return [tmp_path_factory.mktemp(name) for name in ("command", "first", "second")]


@pytest.fixture(scope="module")
def bucket(homes: list[Path]) -> Iterator[str]:
    with s3_server() as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in {**environment, "MMEDIT_STORAGE": str(homes[0])}.items():
            patch.setenv(name, value)
        yield new_bucket()


@pytest.fixture(scope="module")
def cluster(bucket: str, homes: list[Path]) -> Iterator[Any]:  # noqa: ARG001  # nodes know the server
    from ray.cluster_utils import Cluster

    room = {"object_store_memory": 80 * 2**20}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **room})
    for home in homes[1:]:
        made.add_node(num_cpus=1, env_vars={"MMEDIT_STORAGE": str(home)}, **room)
    ray.init(made.address, namespace=NAMESPACE, logging_level=logging.ERROR, log_to_driver=False)
    let_paths_travel()
    yield made
    ray.shutdown()
    made.shutdown()


@dataclass
class Painting:
    """Reads a picture, and writes another one beside it."""

    images: Path

    def devices(self) -> Sequence[str]:
        return ()

    def open(self) -> None:
        assert is_copy(self.images)

    def __call__(self, rows: Sequence[Number]) -> Iterator[Number]:
        assert not exists(self.images / "there-is-none.png")
        for row in rows:
            read = int(read_bytes(self.images / f"{row.value}.png", 100))
            write_atomic(self.images / "painted" / f"{row.value}.png", str(read + 1).encode())
            yield Number(row.id, read + 1)


def quiet(number: int, tally: Tally) -> None:
    pass


@pytest.mark.usefixtures("cluster")
def test_pictures_travel_to_the_machines_that_read_them_and_back(bucket: str, homes: list[Path]) -> None:
    with session():
        work = place(f"{bucket}/run")
        for row in numbers(24):
            write_atomic(work / "images" / f"{row.value}.png", str(row.value).encode())
        job = Job(work / "stage", Painting(work / "images"), numbers(24), Number, {}, 4)
        outcomes = run(job, OnRay(NODES), retry_failed=False, advance=quiet)
        assert list(outcomes) == [Number(row.id, row.value + 1) for row in numbers(24)]
        # What workers wrote is here now, for the stages that follow.
        painted = {path.name: int(path.read_bytes()) for path in (work / "images/painted").iterdir()}
        assert painted == {f"{row.value}.png": row.value + 1 for row in numbers(24)}
    read = [{path.name for path in home.rglob("*.png") if path.parent.name == "images"} for home in homes[1:]]
    # Each machine has only what it was to read, and neither has all.
    assert read[0] | read[1] == {f"{row.value}.png" for row in numbers(24)}
    assert all(len(of_one) < 24 for of_one in read)
