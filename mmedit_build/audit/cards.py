"""Rows of a dataset as cards: their pictures, their texts, and where their faults are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from mmedit_build.audit.judging import Kind
from mmedit_build.audit.report import Finding, Report
from mmedit_build.audit.samples import Item, Pictures, Sample
from mmedit_build.formats.rows import Hop
from mmedit_build.rows import TASKS
from mmedit_build.thumbnails import data_url

PER_FINDING = 2
"""How many rows show the same fault in the same split."""
WITHOUT_FAULT = 12
"""How many rows are shown if there are no faults, and how many without any where there are."""
RELATIONS = {
    **{"far": "", "same_image": "same image", "same_question": "same question"},
    **{"no_image": "without the image", "similar_question": "similar question"},
    **{"near_right": "nearest", "far_right": "farthest"},
}
_ABOUT = {
    "Rephrase": ("broken_yes_no", "identical_rephrases", "quoted_rephrases"),
    "Question": ("leaked_questions", "leaked_pairs", "leaked_entity_edits"),
    "Prediction": (
        "containment",
        "equal_without_articles",
        "equal_without_punctuation",
        "format_failures",
    ),
    "Target": ("weak_targets",),
    "Text locality": ("leaked_text_items",),
    "Image locality": ("leaked_image_items", "leaked_locality_images", "weak_items", "minority_items"),
}
"""The line of a card that a fault is about."""

Marks = Mapping[str, Sequence[Finding]]
"""What was found in each row, by its id."""


def found_in(report: Report) -> Marks:
    """The faults of each row that has any."""
    marks: dict[str, list[Finding]] = {}
    for group in report.groups:
        for finding in group.findings:
            for row_id in finding.ids if finding.kind != "number" else ():
                marks.setdefault(row_id, []).append(finding)
    return marks


def choose(report: Report, samples: Sequence[Sample], marks: Marks) -> list[Sample]:
    """A few rows for each fault, and some without faults from all over the dataset."""
    chosen: dict[str, None] = {}
    for group in sorted(report.groups, key=lambda group: (TASKS.index(group.task), group.split)):
        for finding in group.findings:
            fresh = [row_id for row_id in finding.ids if row_id not in chosen and finding.kind != "number"]
            chosen.update(dict.fromkeys(fresh[:PER_FINDING]))
    clean = [sample.id for sample in samples if sample.id not in marks]
    step = max(1, len(clean) // WITHOUT_FAULT)
    chosen.update(dict.fromkeys(clean[::step][:WITHOUT_FAULT]))
    by_id = {sample.id: sample for sample in samples}
    return [by_id[row_id] for row_id in chosen]


def card(sample: Sample, findings: Sequence[Finding], pictures: Pictures | None) -> str:
    """One row as HTML."""
    chips = "".join(f'<li class="{finding.kind}">{escape(finding.title)}</li>' for finding in findings)
    return (
        "<article>"
        + ("" if pictures is None else _pictures(pictures))
        + (f'<ul class="marks">{chips}</ul>' if chips else "")
        + f"<dl>{_lines(sample, findings)}</dl>"
        + f'<p class="source">{escape(sample.task)} {escape(sample.split)}: {escape(sample.id)}</p>'
        + "</article>"
    )


def _pictures(pictures: Pictures) -> str:
    figures = _figure(pictures.image, "Original") + _figure(pictures.image_rephrase, "Rephrased")
    return f'<div class="pictures">{figures}</div>'


def _figure(encoded: bytes | None, caption: str) -> str:
    url = None if encoded is None else data_url(encoded)
    shown = f'<img src="{url}" alt="{caption} image">' if url else '<div class="absent">no image</div>'
    return f"<figure>{shown}<figcaption>{caption}</figcaption></figure>"


def _lines(sample: Sample, findings: Sequence[Finding]) -> str:
    kinds = {finding.name: finding.kind for finding in findings}
    lines = [
        ("Question" if sample.task == "vqa" else "Prompt", _text(sample.question)),
        *([] if sample.rephrase is None else [("Rephrase", _text(sample.rephrase))]),
        *([] if sample.prediction is None else [("Prediction", _text(sample.prediction))]),
        ("Target", _text(sample.target)),
        *(("Text locality", _item(item)) for item in sample.text_items or ()),
        *(("Image locality", _item(item)) for item in sample.image_items or ()),
        *((hop.steps.capitalize(), _hop(hop)) for hop in sample.hops),
    ]
    labels = [label for label, _ in lines]
    # Measures do not say which of several items they mean.
    marked = {label: _kind_of(label, kinds) if labels.count(label) == 1 else "" for label in labels}
    return "".join(
        f'<dt>{label}</dt><dd class="{marked[label] if text else "void"}">{text or "empty"}</dd>'
        for label, text in lines
    )


def _text(text: str) -> str:
    return escape(text.strip())


def _item(item: Item) -> str:
    relation = RELATIONS[item.relation]
    note = f" <small>({relation})</small>" if relation else ""
    return f"{_text(item.question)} <b>{_text(item.answer)}</b>{note}"


def _hop(hop: Hop) -> str:
    note = f" <small>({_text(hop.words)})</small>" if hop.words else ""
    return f"{_text(hop.question)} <b>{_text(hop.answer)}</b>{note}"


def _kind_of(label: str, kinds: Mapping[str, Kind]) -> str:
    about = [kinds[name] for name in _ABOUT.get(label, ()) if name in kinds]
    return "never" if "never" in about else about[0] if about else ""
