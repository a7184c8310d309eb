"""What stands beside made-up results: verdicts of a judge, and streams."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

from evaluation.protocols.base import ProtocolName
from evaluation.results.records import HEADER, CaseResult, read_header, result_lines
from evaluation.results.streams import (
    Checkpoint,
    Kept,
    Placed,
    StreamFolder,
    checkpoint_lines,
    online_lines,
)
from evaluation.results.verdicts import Said, Verdict, judged_of, verdict_lines
from evaluation.run.experiment import UNEDITED
from evaluation.run.streams.dealing import SAMPLE

ORDERS = 3
NUMBERS = (1, 10, 100, 1000, 3000)
FIXED = 100
"""Edits of whose locality questions the fixed set is made."""


def add_besides(folder: Path) -> None:
    """Verdicts on all free answers of each run, and a stream of each method."""
    for header in sorted(folder.rglob(HEADER)):
        run = header.parent
        results = [result for _, result in result_lines(run).scan()]
        _add_verdicts(run, results)
        if run.name != UNEDITED:
            _add_stream(run, results)


def _add_verdicts(run: Path, results: list[CaseResult]) -> None:
    draw = random.Random(str(run.name))
    asked = (judged_of(result.task, probe) for result in results for probe in result.probes)
    different = dict.fromkeys(said for said in asked if said is not None)
    verdict_lines(run).write(_verdict(said, draw) for said in different)


def _verdict(said: Said, draw: random.Random) -> Verdict:
    """Once in twenty the judge says otherwise than the match."""
    right = (said.answer == said.target) != (draw.random() < 0.05)
    return Verdict(
        judge="made-up",
        prompt="grade#0",
        question=said.question,
        target=said.target,
        answer=said.answer,
        raw="Right." if right else "Wrong.",
        right=right,
    )


def _add_stream(run: Path, results: list[CaseResult]) -> None:
    """Edits in several orders, of which the more are forgotten the more there are."""
    header = read_header(run)
    streamed = replace(header, settings=replace(header.settings, stream=len(results)))
    folder = run.parent / "streams" / run.name
    folder.mkdir(parents=True)
    StreamFolder(folder).write_header(streamed)
    numbers = [number for number in NUMBERS if number <= len(results)]
    online, checkpoints = [], []
    for order in range(ORDERS):
        draw = random.Random(f"{run.name} {order}")
        # The same for all methods.
        dealt = random.Random(order).sample(results, len(results))
        online += [
            Placed(order=order, position=place, result=replace(one, probes=one.probes[:1]))
            for place, one in enumerate(dealt)
        ]
        for number in numbers:
            chosen = sorted(draw.sample(range(number), min(number, SAMPLE)))
            kept = tuple(Placed(order=order, position=place, result=dealt[place]) for place in chosen)
            checkpoints.append(_checkpoint(order, number, kept, results[:FIXED]))
    online_lines(folder).write(online)
    checkpoint_lines(folder).write(checkpoints)


def _checkpoint(order: int, number: int, kept: tuple[Placed, ...], asked: list[CaseResult]) -> Checkpoint:
    probes = [
        (one, probe)
        for one in asked
        for probe in one.probes
        if (probe.kind, probe.relation) in (("text_locality", "far"), ("image_locality", "far"))
    ]
    fixed = tuple(
        Kept(image=one.image_id, knew=_both(1.0), knows=_both(probe.scores["wild"]["right"]), result=probe)
        for one, probe in probes
    )
    return Checkpoint(
        order=order,
        edits=number,
        retention=kept,
        fixed=fixed,
        patch_bytes=1000 * number,
        plan_seconds=1.0,
        query_seconds=0.2,
        unedited_seconds=0.1,
        peak_bytes=10**9,
    )


def _both(score: float) -> dict[ProtocolName, bool]:
    return {"legacy": score == 1, "wild": score == 1}
