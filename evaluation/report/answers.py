"""The answers to all that was asked about one edit: a row for each method, a column for each probe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.data.cases import KINDS, Kind, Relative
from evaluation.drawing.markup import Html, join, tag
from evaluation.drawing.svg import clip
from evaluation.protocols.base import ProtocolName
from evaluation.protocols.known import PROTOCOLS, metric
from evaluation.report.board import Board, percent
from evaluation.report.folding import unfolding
from evaluation.report.runs import Run, is_unedited
from evaluation.report.sections import swatch
from evaluation.results.records import CaseResult, ProbeResult
from mmedit_build.rows import Task

FAILED = 0.5
"""A probe whose score is less has failed; most scores are 0 or 1."""
LONGEST = 400
"""Letters of a text that are shown."""
TITLES: dict[Kind, str] = {
    "reliability": "Reliability",
    "text_generality": "Text generality",
    "image_generality": "Image generality",
    "portability": "Portability",
    "text_locality": "Text locality",
    "image_locality": "Image locality",
    "gain": "Gain",
}
RELATIONS: dict[Relative, str] = {
    **{"far": "far", "same_image": "same image", "same_question": "same question"},
    **{"no_image": "without image", "similar_question": "similar question"},
    **{"near_right": "nearest", "far_right": "farthest", "near_wrong": "nearest", "far_wrong": "farthest"},
    **{"1-hop": "1 hop", "2-hop": "2 hops", "3-hop": "3 hops", "4-hop": "4 hops"},
    **{"second": "second edit", "composed": "both edits"},
}
_SIGNS = {"pass": ("✓", "passed"), "part": ("~", "partly"), "fail": ("✗", "failed")}

Key = tuple[Kind, str]
"""Which probe: its kind, and the locality item."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One edit with the results of all methods."""

    board: Board
    results: Sequence[tuple[Run, CaseResult]]

    @property
    def edit(self) -> CaseResult:
        return self.results[0][1]

    @property
    def probes(self) -> dict[Key, ProbeResult]:
        """All that was asked, in the order of kinds, as the first method has it."""
        found = {_key(probe): probe for _, one in reversed(self.results) for probe in one.probes}
        order = {_key(probe): None for _, one in self.results for probe in one.probes}
        return {key: found[key] for kind in KINDS for key in order if key[0] == kind}

    def question(self, probe: ProbeResult) -> str:
        """What a probe asks, without what the model's family puts around the edit's own question."""
        own = self.probes.get(("reliability", ""))
        if own is None or not self.edit.question or self.edit.question not in own.prompt:
            return probe.prompt
        before, _, after = own.prompt.partition(self.edit.question)
        if not (probe.prompt.startswith(before) and probe.prompt.endswith(after)):
            return probe.prompt
        return probe.prompt[len(before) : len(probe.prompt) - len(after)] or probe.prompt


def answers_table(judged: Judged) -> Html:
    """What was answered before any edit, and under each method."""
    probes = judged.probes
    heads = [_head(judged, probe) for probe in probes.values()]
    head = tag("thead", tag("tr", tag("td"), *heads))
    named = judged.board.foremost
    edited = [(run, _row(judged, run, one)) for run, one in judged.results if not is_unedited(run)]
    before = [_before(judged)] if probes else []
    first = _table([head], [*before, *(row for run, row in edited if run.name in named)])
    others = [(run, row) for run, row in edited if run.name not in named]
    if not others:
        return first
    return join([first, unfolding([run for run, _ in others], _table([], [row for _, row in others]))])


def _table(head: Sequence[Html], rows: Sequence[Html]) -> Html:
    return tag("div", tag("table", *head, tag("tbody", *rows), class_="answers"), class_="scroll")


def outcome(judged: Judged) -> Html:
    """In a line, how many probes each method passed, of those that it had to."""
    parts = []
    for run, one in judged.results:
        if not is_unedited(run) and one.scored:
            wanted = [probe for probe in one.probes if probe.kind != "gain"]
            passed = sum(state(judged.board.task, probe) != "fail" for probe in wanted)
            kind = "all" if passed == len(wanted) else None
            parts.append(tag("span", run.name, " ", tag("b", f"{passed}/{len(wanted)}"), class_=kind))
    return tag("summary", tag("span", "Answers", class_="what"), *parts)


def state(task: Task, probe: ProbeResult, protocol: ProtocolName | None = None) -> str:
    """pass, part or fail, by the score of the main table; of free answers if there are any."""
    score = _score(task, probe, protocol or _main(probe))
    if score is None:
        return "part"
    return "fail" if score < FAILED else "part" if score < 1 else "pass"


def cut(words: str) -> str:
    """A text as it is shown."""
    return clip(words.strip(), LONGEST)


def _main(probe: ProbeResult) -> ProtocolName:
    """The protocol that a cell shows: that of free answers, if there are any."""
    return max(probe.scores, key=lambda name: PROTOCOLS[name].writes)


def _score(task: Task, probe: ProbeResult, protocol: ProtocolName) -> float | None:
    return probe.scores.get(protocol, {}).get(PROTOCOLS[protocol].main(task, probe.kind))


def _key(probe: ProbeResult) -> Key:
    return probe.kind, probe.item


def _title(probe: ProbeResult) -> str:
    told = probe.relation not in (None, "far") or probe.kind == "image_locality"
    relation = f", {RELATIONS[probe.relation]}" if told and probe.relation else ""
    return TITLES[probe.kind] + relation


def _head(judged: Judged, probe: ProbeResult) -> Html:
    own = probe.kind == "reliability" and probe.relation is None
    asked = "as above" if own else cut(judged.question(probe))
    if probe.kind == "image_generality":
        asked = "as above, rephrased image"
    return tag("th", _title(probe), tag("span", asked), scope="col")


def _before(judged: Judged) -> Html:
    cells = [
        tag(
            *("td", tag("div", _answer(probe.before))),
            data_label=_title(probe),
            data_asked=cut(judged.question(probe)),
        )
        for probe in judged.probes.values()
    ]
    return tag("tr", tag("th", "before", scope="row"), *cells, class_="before")


def _row(judged: Judged, run: Run, one: CaseResult) -> Html:
    name = tag("th", swatch(judged.board.looks[run.name]), run.name, scope="row")
    if not one.scored:
        reason = tag("td", f"skipped: {one.skipped}", colspan=max(1, len(judged.probes)), class_="skipped")
        return tag("tr", name, reason, data_method=run.name, data_failed="")
    found = {_key(probe): probe for probe in one.probes}
    cells = [_cell(judged.board.task, found.get(key)) for key in judged.probes]
    failed = [probe.kind for probe in one.probes if state(judged.board.task, probe) == "fail"]
    return tag("tr", name, *cells, data_method=run.name, data_failed=" ".join(dict.fromkeys(failed)))


def _cell(task: Task, probe: ProbeResult | None) -> Html:
    if probe is None:
        return tag("td", "not asked", class_="void")
    now = state(task, probe)
    sign, words = _SIGNS[now]
    shown = [tag("b", sign, role="img", aria_label=words), " ", _answer(probe.after)]
    score = _score(task, probe, _main(probe))
    if score is not None and 0 < score < 1:
        shown.append(tag("small", f" {percent(score)}"))
    for other in probe.scores:
        if (state(task, probe, other) == "fail") != (now == "fail"):
            shown.append(tag("small", f" {other} {100 * (_score(task, probe, other) or 0):.0f}"))
    return tag("td", tag("div", *shown), class_=now, data_label=_title(probe), title=_tip(probe))


def _answer(said: str | None) -> Html:
    if said is None:
        return tag("i", "not written")
    return tag("i", "nothing") if not said.strip() else join([cut(said)])


def _tip(probe: ProbeResult) -> str:
    scores = [
        f"{protocol} {metric(protocol, name).title} {value:.3g}"
        for protocol, found in probe.scores.items()
        for name, value in found.items()
    ]
    if probe.log_prob_before is None or probe.log_prob_after is None:
        return "; ".join(scores)
    logs = f"log p of “{cut(probe.target)}” {probe.log_prob_before:.2f}, then {probe.log_prob_after:.2f}"
    return "; ".join([*scores, logs])
