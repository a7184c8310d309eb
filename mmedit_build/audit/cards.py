"""Rows of a dataset as cards: their pictures, their texts, and where their faults are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import islice

import numpy as np

from mmedit_build.audit.dataset import Pictures
from mmedit_build.audit.judging import Kind
from mmedit_build.audit.judgments import image_items, predicted, text_items
from mmedit_build.audit.report import Finding, Report
from mmedit_build.formats.edits import hops_of
from mmedit_build.formats.rows import Hop
from mmedit_build.rows import TASKS, EditRow, LocalityItem
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
    "Rephrase": ("broken_yes_no", "identical_rephrases", "quoted_rephrases", "reversed_rephrases"),
    "Question": ("leaked_questions", "leaked_pairs", "leaked_entity_edits"),
    "Prediction": (
        "containment",
        "equal_without_articles",
        "equal_without_punctuation",
        "format_failures",
        "style_captions",
    ),
    "Target": ("weak_targets",),
    "Text locality": ("leaked_text_items",),
    "Image locality": ("leaked_image_items", "leaked_locality_images", "weak_items", "minority_items"),
}
"""The line of a card that a fault is about."""


def faults_in(report: Report) -> list[Finding]:
    """What makes rows faulty, in the order of the page."""
    groups = sorted(report.groups, key=lambda group: (TASKS.index(group.task), group.split))
    return [finding for group in groups for finding in group.findings if finding.kind != "number"]


def choose(report: Report) -> dict[int, list[Finding]]:
    """A few rows for each fault, and some without faults from all over the dataset, by their numbers; with
    what was found in each."""
    faults = faults_in(report)
    clean = np.ones(report.rows, bool)
    chosen: dict[int, None] = {}
    for finding in faults:
        clean[np.frombuffer(finding.rows, np.int64)] = False
        fresh = (place for place in finding.rows if place not in chosen)
        chosen.update(dict.fromkeys(list(islice(fresh, PER_FINDING))))
    places = np.flatnonzero(clean)
    step = max(1, len(places) // WITHOUT_FAULT)
    chosen.update(dict.fromkeys(places[::step][:WITHOUT_FAULT].tolist()))
    return {place: [finding for finding in faults if place in finding.rows] for place in chosen}


def card(edit: EditRow, findings: Sequence[Finding], pictures: Pictures | None) -> str:
    """One row as HTML."""
    chips = "".join(f'<li class="{finding.kind}">{escape(finding.title)}</li>' for finding in findings)
    return (
        "<article>"
        + ("" if pictures is None else _pictures(pictures))
        + (f'<ul class="marks">{chips}</ul>' if chips else "")
        + f"<dl>{_lines(edit, findings)}</dl>"
        + f'<p class="source">{edit.task} {edit.split}: {escape(edit.id)}</p>'
        + "</article>"
    )


def _pictures(pictures: Pictures) -> str:
    figures = _figure(pictures.image, "Original") + _figure(pictures.image_rephrase, "Rephrased")
    return f'<div class="pictures">{figures}</div>'


def _figure(encoded: bytes | None, caption: str) -> str:
    url = None if encoded is None else data_url(encoded)
    shown = f'<img src="{url}" alt="{caption} image">' if url else '<div class="absent">no image</div>'
    return f"<figure>{shown}<figcaption>{caption}</figcaption></figure>"


def _lines(edit: EditRow, findings: Sequence[Finding]) -> str:
    kinds = {finding.name: finding.kind for finding in findings}
    lines = [
        ("Question" if edit.task == "vqa" else "Prompt", _text(edit.question)),
        *([] if edit.rephrase is None else [("Rephrase", _text(edit.rephrase.text))]),
        *([("Prediction", _text(edit.prediction))] if predicted(edit) else []),
        ("Target", _text(edit.target)),
        *(("Text locality", _item(item)) for item in text_items(edit)),
        *(("Image locality", _item(item)) for item in image_items(edit)),
        *((hop.steps.capitalize(), _hop(hop)) for hop in hops_of(edit)),
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


def _item(item: LocalityItem) -> str:
    relation = RELATIONS[item.relation]
    note = f" <small>({relation})</small>" if relation else ""
    return f"{_text(item.question)} <b>{_text(item.answer)}</b>{note}"


def _hop(hop: Hop) -> str:
    note = f" <small>({_text(hop.words)})</small>" if hop.words else ""
    return f"{_text(hop.question)} <b>{_text(hop.answer)}</b>{note}"


def _kind_of(label: str, kinds: Mapping[str, Kind]) -> str:
    about = [kinds[name] for name in _ABOUT.get(label, ()) if name in kinds]
    return "never" if "never" in about else about[0] if about else ""
