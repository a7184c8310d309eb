"""Evaluations by several workers: the same files with the same numbers, however many there are."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from evaluation.results.records import HEADER, LINES
from evaluation.run import evaluate as whole
from evaluation.run.experiment import Experiment, Method
from evaluation.run.orders import Ask, Judge, Judges, Learn
from evaluation.run.streams.orders import Follow
from mmedit_build.console import silent
from mmedit_build.engine.base import Craft, Crew, Engine, Take
from mmedit_build.engine.local import HERE, Local
from tests.evaluation.run.streams.conftest import SMALL, long_dataset, many  # noqa: F401
from tests.evaluation.run.streams.conftest import experiment as streamed  # noqa: F401
from tests.evaluation.run.streams.reading import numbers
from tests.evaluation.whole import evaluate

CLOCKS = {"plan_seconds", "probe_seconds"}


@dataclass
class Crowd:
    """Some workers in this process, which have tasks in any order, and do some twice as after a death."""

    workers: int
    deaths: int = 0
    dealt: list[Any] = field(default_factory=list)

    @contextmanager
    def crew(self, craft: Craft, most: int) -> Iterator[Crew]:
        assert isinstance(craft, Judges)
        self._workers = [Judges(craft.experiment) for _ in range(min(self.workers, most))]
        for worker in self._workers:
            worker.open()
        yield self

    def deal(self, tasks: Any, take: Take) -> None:
        rng = random.Random(len(self.dealt))
        again = rng.sample(range(len(tasks)), min(self.deaths, len(tasks)))
        places = [*range(len(tasks)), *again]
        rng.shuffle(places)
        for place in places:
            self.dealt.append(tasks[place])
            rng.choice(self._workers)(tasks[place], partial(take, place))


@pytest.fixture
def some(streamed: Experiment, monkeypatch: pytest.MonkeyPatch) -> Experiment:  # noqa: F811
    """Single edits, in groups of two."""
    monkeypatch.setattr("evaluation.run.runs.GROUP", 2)
    monkeypatch.setattr("evaluation.run.evaluate.GROUP", 2)
    return streamed.model_copy(update={"stream": (), "methods": methods("ft", "mend")})


def methods(*names: str) -> dict[str, Method]:
    return {name: Method(options=SMALL[name]) for name in names}


def elsewhere(experiment: Experiment, name: str) -> Experiment:
    return experiment.model_copy(
        update={"out": experiment.out.with_name(name), "cache": experiment.out.with_name(f"{name}-cache")}
    )


def told(experiment: Experiment, engine: Engine) -> dict[str, Any]:
    """All lines of an evaluation, but what clocks said, in the order of their files."""
    folders = evaluate(experiment, silent, engine)
    return {str(folder.relative_to(experiment.out)): lines(folder) for folder in folders}


def lines(folder: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (folder / LINES).read_text().splitlines()]
    header = json.loads((folder / HEADER).read_text())
    assert header["finished"]
    assert header["scored"] == len(found) == len({one["id"] for one in found})
    return [{name: of for name, of in one.items() if name not in CLOCKS} for one in found]


def test_the_numbers_do_not_depend_on_workers_nor_on_their_deaths(
    some: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluation.run.asking.GROUP", 2)
    alone = told(elsewhere(some, "alone"), HERE)
    for workers in (2, 4):
        crowd = Crowd(workers, deaths=2)
        assert told(elsewhere(some, f"{workers}"), crowd) == alone
        asked = Counter(key for one in crowd.dealt if isinstance(one, Ask) for key in one.portion.keys)
        assert len(asked) > 20
        assert {one.method for one in crowd.dealt if isinstance(one, Learn)} == {"mend"}
        assert len([one for one in crowd.dealt if isinstance(one, Judge) and one.method == "ft"]) == 4 + 2


def test_processes_give_the_same_numbers_and_tell_the_same_mistakes(some: Experiment) -> None:
    few = some.model_copy(update={"methods": methods("ft"), "limit": 3, "at_once": (1, 2)})
    alone = told(elsewhere(few, "alone"), HERE)
    wrong = {"ike": Method(options={"encoder": "no/where"}), **few.methods}
    several = elsewhere(few, "several").model_copy(update={"methods": wrong})
    settled = whole.evaluate(several, silent, Local(2))
    assert re.search(r"All is done but ike for vqa: .*no/where", str(settled.failed))
    assert {str(one.relative_to(several.out)): lines(one) for one in settled.done} == alone


def test_chains_of_a_stream_are_dealt_whole(streamed: Experiment) -> None:  # noqa: F811
    some = streamed.model_copy(update={"methods": methods("ft", "t-patcher")})
    alone = evaluate(elsewhere(some, "alone"), silent)
    crowd = Crowd(2, deaths=1)
    for one, other in zip(alone[1:], evaluate(elsewhere(some, "crowd"), silent, crowd)[1:], strict=True):
        assert numbers(one) == numbers(other)
    assert sorted({one.order for one in crowd.dealt if isinstance(one, Follow)}) == [0, 1]
