"""What all methods came to, as one table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.reality.fluency import PREFERENCES, Beside, Preference, preferences
from benchmarks.reality.running import Kept
from evaluation.report.formats import NO_VALUE, Table, cell
from evaluation.results.records import CaseResult, read_results
from evaluation.results.summary import Estimate, Measure, estimate, estimated

MEASURES: dict[str, Measure] = {
    "reliability": Measure("legacy", "reliability", "exact_match"),
    "rephrases": Measure("legacy", "text_generality", "exact_match"),
    "neighbors": Measure("legacy", "text_locality", "answer_top1", "same_question"),
    "unrelated": Measure("legacy", "text_locality", "answer_top1", "far"),
}
COLUMNS = ("method", "edits", *MEASURES, *PREFERENCES.values(), "perplexity", "s an edit")
NOTE = (
    "In percent, with 95% intervals over edits. Reliability and rephrases: all tokens of the target are the "
    "likeliest. Neighbors and unrelated: tokens of the answer that are still the likeliest. ES, PS, NS: the "
    "target is likelier than the true answer, for neighbors the other way round. Perplexity of what the "
    "edited model writes about the subject, by the unedited one: the geometric mean."
)


def table(out: Path, names: Sequence[str]) -> Table:
    """Of the methods that have results."""
    found = [name for name in names if (out / "vqa" / name).is_dir()]
    return Table("Facts of SmolLM2-135M", COLUMNS, tuple(_row(out, name) for name in found), NOTE)


def _row(out: Path, name: str) -> tuple[str, ...]:
    results = read_results(out / "vqa" / name)[1]
    scored = [one for one in results if one.scored]
    known = Kept(out / "beside", name).known
    both = [(one, known[one.id]) for one in scored if one.id in known]
    seconds = sum(one.plan_seconds for one in scored) / max(1, len(scored))
    return (
        name,
        f"{len(scored)} of {len(results)}" if len(scored) < len(results) else str(len(scored)),
        *(cell(estimated(scored, measure), measure) for measure in MEASURES.values()),
        *(_share(both, name) for name in PREFERENCES.values()),
        _perplexity([beside for _, beside in both]),
        f"{seconds:.1f}",
    )


def _share(both: Sequence[tuple[CaseResult, Beside]], name: Preference) -> str:
    scores = {result.id: preferences(result, beside) for result, beside in both}
    one = _estimate({edit: of[name] for edit, of in scores.items() if name in of}, share=True)
    return NO_VALUE if one is None else _written(one, 100)


def _perplexity(known: Sequence[Beside]) -> str:
    """The geometric mean: a single broken text would be all that a mean shows."""
    logs = {one.id: math.log(one.perplexity) for one in known if one.perplexity is not None}
    one = _estimate(logs, share=False)
    if one is None:
        return NO_VALUE
    mean, low, high = (math.exp(value) for value in (one.mean, one.low, one.high))
    return _written(replace(one, mean=mean, low=low, high=high), 1)


def _estimate(found: Mapping[str, float], *, share: bool) -> Estimate | None:
    return estimate(found, {edit: edit for edit in found}, share=share)


def _written(one: Estimate, times: float) -> str:
    mean, low, high = (f"{times * value:.1f}" for value in (one.mean, one.low, one.high))
    return f"{mean} [{low}, {high}]"
