"""What a language model said of free answers: lines beside the results, which stay as they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import TypeAdapter

from evaluation.data.cases import LOCALITY
from evaluation.protocols.known import PROTOCOLS
from evaluation.results.lines import Lines
from evaluation.results.records import CaseResult, ProbeResult
from mmedit_build.errors import UserError
from mmedit_build.rows import Task

FILE = "verdicts.jsonl"
MATCH = "match"
"""What judges are compared with."""


JUDGED = "judged"
"""Stands in the place of the protocol in the keys of what judges say."""


AGREEMENT = f"{JUDGED}.any.agreement."
"""The key of how far judge and match agree on an edit's answers, of whatever kind."""


def judged_key(key: str) -> str:
    """Of what a match measures, by its key, the key of the verdicts on the same."""
    return f"{JUDGED}.{key.partition('.')[2]}"


class Said(NamedTuple):
    """What is judged; equal ones get one verdict, whichever edits they belong to."""

    question: str
    target: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a judge said of an answer."""

    version: Literal[1] = 1
    judge: str
    """The model, with its revision if it has one."""
    prompt: str
    """Name and digest of the prompt file."""
    question: str
    target: str
    answer: str
    raw: str
    """The reply as it came."""
    right: bool | None
    """None where the reply says neither, or both: then there is no verdict, and no score."""

    @property
    def said(self) -> Said:
        return Said(self.question, self.target, self.answer)


_VERDICTS = TypeAdapter(Verdict)


def verdict_lines(folder: Path) -> Lines[Verdict]:
    """The file of verdicts of a run."""
    return Lines(folder / FILE, _VERDICTS, "verdict")


def check_same(folder: Path, verdicts: Iterable[Verdict], judge: str, prompt: str) -> None:
    """Refuse to add to what another judge said, or one who was asked otherwise."""
    for one in verdicts:
        if (one.judge, one.prompt) != (judge, prompt):
            raise UserError(
                f"{folder / FILE} holds verdicts of {one.judge} by the prompt {one.prompt}, not of {judge} "
                f"by {prompt}: delete that file to have all judged anew."
            )


def judged_of(task: Task, probe: ProbeResult) -> Said | None:
    """What is judged of a probe: free answers to questions that the edit shall change.

    Captions are not answers that are right or wrong, of locality the answer before is the measure, and gain
    is what an edit may change but need not.
    """
    main = PROTOCOLS["wild"].main(task, probe.kind)
    if (
        probe.after is None
        or probe.kind in (*LOCALITY, "gain")
        or main != MATCH
        or MATCH not in probe.scores.get("wild", {})
    ):
        return None
    return Said(probe.question or probe.prompt, probe.target, probe.after)


def as_judged(results: Sequence[CaseResult], verdicts: Iterable[Verdict]) -> Iterator[CaseResult]:
    """The results with verdicts in the place of matches, and without any other score."""
    right = {one.said: one.right for one in verdicts}
    return (
        replace(result, probes=tuple(_as_judged(result.task, probe, right) for probe in result.probes))
        for result in results
    )


def _as_judged(task: Task, probe: ProbeResult, right: dict[Said, bool | None]) -> ProbeResult:
    said = judged_of(task, probe)
    verdict = None if said is None else right.get(said)
    return replace(probe, scores={} if verdict is None else {"wild": {MATCH: float(verdict)}})
