"""Verdicts of a judge as a leaderboard takes them: read again from the replies, and on the very answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import TypeAdapter

from evaluation.leaderboard.entries import Claim, claims_of
from evaluation.leaderboard.rescoring import Fault
from evaluation.results.records import CaseResult
from evaluation.results.summary import Results
from evaluation.results.verdicts import Verdict, as_judged, judged_of
from evaluation.run.grading import verdict_of

_LINE = TypeAdapter(Verdict)


def verdict_text(verdicts: Sequence[Verdict]) -> bytes:
    """The lines that are handed in."""
    return b"".join(_LINE.dump_json(one) + b"\n" for one in verdicts)


def judged_claims(results: Sequence[CaseResult], verdicts: Sequence[Verdict]) -> dict[str, Claim]:
    """The means of what is judged."""
    return claims_of(Results(as_judged(results, verdicts)))


def judged_again(lines: bytes, results: Sequence[CaseResult]) -> tuple[str, Mapping[str, Claim]]:
    """Who judged, and the means anew; a Fault if a verdict is not its reply's, or on other answers."""
    verdicts = [_LINE.validate_json(line) for line in lines.splitlines()]
    if len({(one.judge, one.prompt) for one in verdicts}) != 1:
        raise Fault("its verdicts are not all of one judge, by one prompt")
    answered = {judged_of(result.task, probe) for result in results for probe in result.probes}
    if len({one.said for one in verdicts}) != len(verdicts):
        raise Fault("there are two verdicts on the same answer")
    for one in verdicts:
        if one.said not in answered:
            raise Fault("there is a verdict on an answer that is not among its own")
        if one.right != verdict_of(one.raw):
            raise Fault(f"a verdict is given as {one.right}, and its reply says {verdict_of(one.raw)}")
    return verdicts[0].judge, judged_claims(results, verdicts)
