"""Traces as files of pictures, as a page of their own, and as a section of the evaluation report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

from evaluation.drawing.markup import Html, join, tag
from evaluation.drawing.style import STYLE as REPORT_STYLE
from evaluation.drawing.svg import clip, figure
from evaluation.tracing import pictures
from evaluation.tracing.average import (
    TOGETHER,
    Advice,
    advise,
    by_image_token,
    by_role,
    of_prompt,
    traced_only,
)
from evaluation.tracing.pictures import heat_file, heat_map
from evaluation.tracing.records import Settings, Traced, read_settings, read_traces
from evaluation.tracing.terms import KINDS, SITES, Kind
from mmedit_build.page import document
from mmedit_build.store import write_atomic

NAME = "trace.html"
TITLE = "Causal tracing"
STYLE = pictures.STYLE
"""What a page needs for the section besides the style of reports."""
HEADS: dict[Kind, str] = {"text": "Facts in words", "image": "Questions about images"}
WHAT: dict[Kind, str] = {"text": "the subject's tokens", "image": "all image tokens"}
EXAMPLES = 3


def write_page(folder: Path) -> Path:
    """Write the page of a folder of traces beside them."""
    lead = tag(
        "p", "Which positions and layers the answers of an unedited model come through.", class_="lead"
    )
    foot = tag("footer", "Written by mmedit-eval trace.")
    body = join([tag("h1", TITLE), lead, section(folder, title=""), foot])
    path = folder / NAME
    write_atomic(path, document(TITLE, REPORT_STYLE + STYLE, body))
    return path


def section(folder: Path, title: str = TITLE) -> Html:
    """All that the traces of a folder show; needs `STYLE`."""
    settings = read_settings(folder)
    found = {kind: read_traces(folder, kind) for kind in KINDS}
    parts = [tag("h2", title)] if title else []
    parts.append(tag("p", _about(settings), class_="lead"))
    parts += [_kind(kind, traces) for kind, traces in found.items() if traced_only(traces)]
    return tag("section", *parts, id="tracing")


def write_pictures(folder: Path) -> list[Path]:
    """Write the averaged heat maps, one SVG file each."""
    written: list[Path] = []
    for kind in KINDS:
        traces = traced_only(read_traces(folder, kind))
        for site in SITES if traces else ():
            title = f"{HEADS[kind]}: {pictures.TITLES[site].lower()}"
            written.append(_put(folder / f"{kind}-{site}.svg", heat_file(by_role(traces, site), title)))
            if kind == "image":
                by_token = heat_file(by_image_token(traces, site), title)
                written.append(_put(folder / f"{kind}-{site}-tokens.svg", by_token))
    return written


def advice_of(traces: Sequence[Traced]) -> str:
    """The layers to edit, in words."""
    return " ".join(["Layers to edit.", *map(_advised, advise(traced_only(traces)))])


def totals(traces: Sequence[Traced]) -> tuple[int, float, float]:
    """How many prompts were traced, and their mean p(answer), clean and corrupted."""
    kept = traced_only(traces)
    return len(kept), fmean(one.clean for one in kept), fmean(one.corrupted for one in kept)


def _advised(advice: Advice) -> str:
    effect = advice.effect
    numbers = f"{effect.mean:.2f} (95%: {effect.low:.2f} to {effect.high:.2f}, {effect.edits} prompts)"
    if not advice.clear:
        return f"No MLP stands out for {advice.where}: the effect is {numbers} at most."
    several = ""
    if len(advice.layers) > 1:
        several = f", or the layers {advice.layers[0]} to {advice.layers[-1]} with methods that edit several"
    return (
        f"For {advice.where}, edit the MLP of layer {advice.layer}{several}: its effect there is {numbers}."
    )


def _about(settings: Settings) -> str:
    together = "one layer" if settings.window == 1 else f"{settings.window} neighboring layers"
    return (
        f"Model {settings.model}, {settings.layers} layers, on {settings.dataset}. The embeddings of a "
        f"subject or of the image get noise of {settings.noise:g} standard deviations ({settings.samples} "
        "samples); then a state of the clean run is put back at one position. The indirect effect is by how "
        "much that raises the probability of the first token of the answer. Hidden states are put back at "
        f"one layer, outputs of MLPs and attentions at {together}."
    )


def _kind(kind: Kind, traces: Sequence[Traced]) -> Html:
    kept = traced_only(traces)
    number, clean, corrupted = totals(traces)
    skipped = len(traces) - number
    left_out = f", {skipped} more were not answered right and left out" if skipped else ""
    numbers = (
        f"{number} prompts{left_out}. With {WHAT[kind]} corrupted, the mean probability of the answer falls "
        f"from {clean:.2f} to {corrupted:.2f}, so {clean - corrupted:.2f} is all there is to restore."
    )
    parts = [tag("h3", HEADS[kind]), tag("p", numbers, class_="lead")]
    parts.append(tag("p", advice_of(traces), class_="advice"))
    parts += _figures(kind, kept)
    return join(parts)


def _figures(kind: Kind, traces: Sequence[Traced]) -> Iterator[Html]:
    note = (
        "Means over prompts. Of parts with several tokens, the mean of restoring one at a time; "
        f"{TOGETHER[kind]}: all at once. Blue raises the probability, red lowers it; each picture has its "
        "own scale."
    )
    yield figure("By part of the prompt", note, [heat_map(by_role(traces, site)) for site in SITES])
    if kind == "image":
        maps = [heat_map(by_image_token(traces, site)) for site in SITES]
        yield figure("By visual token", "Each restored alone, all others being corrupted.", maps)
    shown = [_example(one) for one in strongest(traces)]
    summary = tag("summary", f"{len(shown)} single prompts, those that the noise hurts most")
    yield tag("details", summary, *shown, class_="more")


def strongest(traces: Sequence[Traced]) -> list[Traced]:
    """The prompts to show: those whose answer the noise takes away most, as there is most to restore."""
    return sorted(traces, key=lambda one: -one.total)[:EXAMPLES]


def _example(traced: Traced) -> Html:
    subject = "" if traced.subject is None else f" Subject: {traced.subject}."
    note = (
        f"{traced.clean:.2f} clean, {traced.corrupted:.2f} corrupted, of the token {traced.token!r}.{subject}"
    )
    title = f"{clip(traced.prompt, 120)} {traced.answer}"
    return figure(title, note, [heat_map(of_prompt(traced, site)) for site in SITES])


def _put(path: Path, data: bytes) -> Path:
    write_atomic(path, data)
    return path
