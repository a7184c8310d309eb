"""The same edits judged by `run` and by `run_plain`, in turn: time, passes, equality and memory."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.speed.floor import operations, rate
from benchmarks.speed.models import Setting, learn, make_editor
from benchmarks.speed.plain import run_plain
from editors.base import Editor, State
from evaluation.results.records import CaseResult
from evaluation.run import asking
from evaluation.run.base_outputs import key_of
from evaluation.run.judging import Judging
from evaluation.run.lifting import shared_layer
from evaluation.run.peak import peak, reset_peak
from evaluation.run.room import room
from evaluation.run.single import run
from mmedit_build.mllm import MLLM, Below, Query

PLAIN_MEMORY_EDITS = 2
"""Edits after which the peak of the plain mode is read: it keeps nothing from one to the next."""


@dataclass(frozen=True, slots=True)
class Work:
    """What something took, for each edit."""

    seconds: float
    """Of processor time: with one thread that is the time on the clock of a quiet machine."""
    clock: float
    """Seconds on the clock, whatever else the machine did."""
    vision: float
    """Images encoded."""
    layers: float
    """Rows sent through a decoder layer."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes of a process that did nothing but judge."""

    model: int
    """With the model loaded and a query answered."""
    cache: int
    """Hidden states, keys and values, and image features that are kept on purpose, at most."""
    peak: int

    @property
    def ratio(self) -> float:
        """The peak without the cache, in times the model's."""
        return (self.peak - self.cache) / self.model


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One method, judged in both modes: medians over the repeats."""

    method: str
    edits: int
    probes: int
    unedited: Work
    """To ask the unedited model, once for all methods; the plain mode does it for each edit."""
    reusing: Work
    plain: Work
    ratios: tuple[float, ...]
    """Processor time of the plain mode over that of the reusing one, in each repeat."""
    operations: float
    """Floating-point operations of the reusing mode, for each edit."""
    floors: tuple[float, ...]
    """Seconds that these take at the rate of a linear module, measured before and after the reusing mode."""
    legacy_equal: bool
    answers_equal: bool
    apart: float
    """The largest difference between log-probabilities of targets, before or after an edit."""
    reusing_memory: Footprint | None
    plain_memory: Footprint | None

    @property
    def ratio(self) -> float:
        return median(self.ratios)

    @property
    def floor(self) -> float:
        return median(self.floors)

    @property
    def reached(self) -> float:
        """Which share of the time that judging takes is the arithmetic's."""
        return self.floor / self.reusing.seconds


def compare(method: str, setting: Setting, repeats: int, *, memory: bool = True) -> Comparison:
    """Judge the edits in both modes, one after the other, as often as `repeats` says."""
    state = learn(method, setting)
    rounds = [_round(method, setting, state) for _ in range(repeats)]
    results, plain = (_sorted(one) for one in rounds[0][4])
    done = _operations(method, setting, state) / len(setting.cases)
    return Comparison(
        method=method,
        edits=len(setting.cases),
        probes=sum(len(one.probes) for one in results),
        unedited=_median([one[0] for one in rounds]),
        reusing=_median([one[1] for one in rounds]),
        plain=_median([one[2] for one in rounds]),
        ratios=tuple(one[2].seconds / one[1].seconds for one in rounds),
        operations=done,
        floors=tuple(done / one[3] for one in rounds),
        **_differences(results, plain),
        reusing_memory=footprint_of(method, setting, state, plain=False) if memory else None,
        plain_memory=footprint_of(method, setting, state, plain=True) if memory else None,
    )


@contextmanager
def working(mllm: MLLM, edits: int) -> Iterator[list[Work]]:
    """Gives the work of a block, in a list, once it has ended."""
    found: list[Work] = []
    counts = mllm.counts.vision, mllm.counts.layers
    clock, start = time.perf_counter(), time.process_time()
    yield found
    seconds, clock = time.process_time() - start, time.perf_counter() - clock
    passes = mllm.counts.vision - counts[0], mllm.counts.layers - counts[1]
    found.append(Work(*(one / edits for one in (seconds, clock, *passes))))


def _round(
    method: str, setting: Setting, state: State | None
) -> tuple[Work, Work, Work, float, tuple[list[CaseResult], list[CaseResult]]]:
    """Both modes once, with models that know no image and outputs that are not known yet."""
    number = len(setting.cases)
    with tempfile.TemporaryDirectory() as folder:
        mllm = setting.mllm()
        judging, editor = setting.judging(mllm, Path(folder)), make_editor(method, state, mllm)
        _share(judging, editor)
        with working(mllm, number) as unedited:
            ask_unedited(judging, setting)
        before = rate(mllm)
        with working(mllm, number) as reusing:
            results = list(run(judging, editor, setting.cases))
        rates = (before + rate(mllm)) / 2
        mllm = setting.mllm()
        judging, editor = setting.judging(mllm, Path(folder)), make_editor(method, state, mllm)
        with working(mllm, number) as plain:
            others = list(run_plain(judging, editor, setting.cases))
    return unedited[0], reusing[0], plain[0], rates, (results, others)


def _operations(method: str, setting: Setting, state: State | None) -> int:
    """What the reusing mode computes."""
    with tempfile.TemporaryDirectory() as folder:
        mllm = setting.mllm()
        judging, editor = setting.judging(mllm, Path(folder)), make_editor(method, state, mllm)
        _share(judging, editor)
        ask_unedited(judging, setting)
        return operations(lambda: list(run(judging, editor, setting.cases)))


def _share(judging: Judging, editor: Editor) -> None:
    """Keep what the unedited model's pass leaves for the editor, as commands do."""
    judging.states.keep(shared_layer([editor], judging.mllm), room(judging.mllm.device))


def ask_unedited(judging: Judging, setting: Setting) -> None:
    """Have all known of the unedited model that judging compares with."""
    asked = judging.asked_unedited(setting.cases)
    asking.ask_unedited(judging, setting.cases, {key_of(probe) for probe in asked}, lambda _: None)
    # What probes build on is left.
    judging.ask_unedited(asked, lambda _: None)


def _sorted(results: Sequence[CaseResult]) -> list[CaseResult]:
    return sorted(results, key=lambda one: one.id)


def _median(works: Sequence[Work]) -> Work:
    return Work(
        median(one.seconds for one in works),
        median(one.clock for one in works),
        works[0].vision,
        works[0].layers,
    )


def _differences(one: Sequence[CaseResult], other: Sequence[CaseResult]) -> dict[str, Any]:
    pairs = [
        pair
        for first, second in zip(one, other, strict=True)
        for pair in zip(first.probes, second.probes, strict=True)
    ]
    apart = [
        abs(getattr(left, name) - getattr(right, name))
        for left, right in pairs
        for name in ("log_prob_before", "log_prob_after")
    ]
    skipped = [result for result in (*one, *other) if not result.scored]
    if skipped:
        raise ValueError(f"{skipped[0].id} was skipped, so nothing was measured: {skipped[0].skipped}")
    return {
        "legacy_equal": all(left.scores["legacy"] == right.scores["legacy"] for left, right in pairs),
        "answers_equal": all(
            (left.before, left.after) == (right.before, right.after) for left, right in pairs
        ),
        "apart": max(apart),
    }


class _Watched(MLLM):
    """Remembers how much was ever kept below a layer at once."""

    kept = 0

    def below(self, queries: Sequence[Query], layer: int, **options: Any) -> Below:
        below = super().below(queries, layer, **options)
        self.kept = max(self.kept, below.nbytes)
        return below


def footprint_of(method: str, setting: Setting, state: State | None, *, plain: bool) -> Footprint:
    """In a process of its own, since one that has done other work has other peaks."""
    context = get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1, mp_context=context) as pool:
        mllm = setting.mllm()
        judging = setting.judging(mllm, Path(folder))
        ask_unedited(judging, setting)
        del mllm, judging
        return pool.submit(_remembered, method, setting, state, Path(folder), plain).result()


def _remembered(method: str, setting: Setting, state: State | None, outputs: Path, plain: bool) -> Footprint:
    torch.set_num_threads(1)
    mllm = _Watched.load(setting.model, device="cpu")
    assert isinstance(mllm, _Watched)
    judging, editor = setting.judging(mllm, outputs), make_editor(method, state, mllm)
    cases = setting.cases[:PLAIN_MEMORY_EDITS] if plain else setting.cases
    mllm.write([judging.probes(cases[0])[0].query], max_new_tokens=1)
    reset_peak(mllm.devices)
    model = peak(mllm.devices)[0]
    judge: Callable[..., Iterator[CaseResult]] = run_plain if plain else run
    for _ in judge(judging, editor, cases):
        pass
    images = {probe.query.image for case in cases for probe in judging.probes(case)} - {None}
    features = (
        0
        if plain
        else sum(one.nbytes for one in mllm.image_features([Query(one, "") for one in images if one]))
    )
    return Footprint(model, mllm.kept + features, peak(mllm.devices)[0])
