"""Means of traces over prompts, by what a position is, and the layers that they suggest to edit.

A prompt counts with the mean over its positions of a role. Intervals are bootstrap percentiles at 95%,
images drawn rather than their questions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from evaluation.results.summary import Estimate, estimate
from evaluation.tracing.records import Traced
from evaluation.tracing.terms import ROLES, SITES, Kind, Role, Site

Values = tuple[float, ...]
TOGETHER: dict[Kind, str] = {"text": "whole subject", "image": "whole image"}
WHERE: dict[Role, str] = {
    "image": "the image",
    "template": "the template",
    "question": "the words of the question",
    "last": "the last token",
}
FEW = 64
"""How many image tokens of a single prompt are still shown."""
SHARE = 0.5
"""Layers beside the peak are suggested with it as long as they have this share of its effect."""


@dataclass(frozen=True, slots=True)
class Line:
    """The effects of one sort of position, by layer, and over how many prompts they are means."""

    name: str
    values: Values
    prompts: int


@dataclass(frozen=True, slots=True)
class Map:
    """One picture: lines of positions over the layers."""

    site: Site
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Advice:
    """Where the effect of MLPs peaks."""

    where: str
    layer: int
    layers: range
    """The peak with its neighbors of a like effect."""
    effect: Estimate

    @property
    def clear(self) -> bool:
        """Whether there is a peak at all."""
        return self.effect.low > 0


def traced_only(traces: Sequence[Traced]) -> list[Traced]:
    """Without the prompts that were skipped."""
    return [one for one in traces if one.skipped is None]


def by_role(traces: Sequence[Traced], site: Site) -> Map:
    """The mean over prompts of each role that there is, and of all corrupted positions restored together.

    The name of a role that not all prompts have tells how many do.
    """
    whole = Line(TOGETHER[traces[0].kind], _mean([one.together[site] for one in traces]), len(traces))
    lines = [whole]
    for role, name in ROLES.items():
        found = list(_of_role(traces, site, role).values())
        if found:
            some = "" if len(found) == len(traces) else f" ({len(found)})"
            lines.append(Line(name + some, _mean(found), len(found)))
    return Map(site, tuple(lines))


def by_image_token(traces: Sequence[Traced], site: Site) -> Map:
    """The mean over prompts of each position of the image."""
    number = traces[0].roles.count("image")
    lines = []
    for position in range(number):
        values = _mean([tuple(row[position] for row in one.effects[site]) for one in traces])
        lines.append(Line(f"image {position + 1}", values, len(traces)))
    return Map(site, tuple(lines))


def of_prompt(traced: Traced, site: Site) -> Map:
    """One prompt, position by position; those of the image are left out where they are very many."""
    whole = Line(TOGETHER[traced.kind], traced.together[site], 1)
    columns = zip(*traced.effects[site], strict=True)
    shown = zip(traced.tokens, traced.roles, columns, strict=True)
    few = traced.roles.count("image") <= FEW
    lines = [Line(token, values, 1) for token, role, values in shown if few or role != "image"]
    return Map(site, (whole, *lines))


def advise(traces: Sequence[Traced]) -> list[Advice]:
    """Where the effect of MLPs peaks: at the subject's last token, or else at those that tell most.

    Without a subject these are the prompt's last token, where editors then look an edit up, and the strongest
    of the positions before it.
    """
    found = {role: of for role in ROLES if (of := _of_role(traces, "mlp", role))}
    groups = {one.id: one.group for one in traces}
    subject = {**found.get("subject_last", {}), **found.get("subject_end", {})}
    if subject:
        return [_peak("the subject's last token", subject, groups)]
    others = [role for role in found if role != "last"]
    best = max(others, key=lambda role: max(_mean(list(found[role].values()))), default=None)
    chosen: list[Role] = ["last", *([] if best is None else [best])]
    return [_peak(WHERE.get(role, ROLES[role]), found[role], groups) for role in chosen if role in found]


def _peak(where: str, found: Mapping[str, Values], groups: Mapping[str, str]) -> Advice:
    values = _mean(list(found.values()))
    layer = values.index(max(values))
    effect = estimate({row_id: of[layer] for row_id, of in found.items()}, groups)
    assert effect is not None
    return Advice(where, layer, _around(values, layer), effect)


def peaks(traces: Sequence[Traced]) -> list[tuple[Site, str, int, float]]:
    """The strongest line of each picture, the whole of what was corrupted left out, its layer and effect."""
    found = []
    for site in SITES:
        lines = by_role(traces, site).lines[1:]
        line = max(lines, key=lambda one: max(one.values))
        found.append((site, line.name, line.values.index(max(line.values)), max(line.values)))
    return found


def _around(values: Values, peak: int) -> range:
    least = SHARE * values[peak]
    start = end = peak
    while start > 0 and values[start - 1] >= least:
        start -= 1
    while end + 1 < len(values) and values[end + 1] >= least:
        end += 1
    return range(start, end + 1)


def _of_role(traces: Sequence[Traced], site: Site, role: Role) -> dict[str, Values]:
    """By prompt, the mean over its positions of the role at each layer."""
    found: dict[str, Values] = {}
    for one in traces:
        places = [place for place, its in enumerate(one.roles) if its == role]
        if places:
            found[one.id] = tuple(fmean(row[place] for place in places) for row in one.effects[site])
    return found


def _mean(rows: Sequence[Values]) -> Values:
    return tuple(map(fmean, zip(*rows, strict=True)))
