"""Edits to look at: their pictures, what was asked, and what every method made the model answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from evaluation.data.cases import Case, Picture
from evaluation.drawing.markup import Html, join, tag
from evaluation.report.answers import RELATIONS, Judged, answers_table, cut, outcome
from evaluation.report.board import Board
from evaluation.report.pictures import find_cases
from evaluation.report.runs import Run, setup
from evaluation.results.summary import outlines, together
from mmedit_build.image_files import read_image
from mmedit_build.thumbnails import data_url

CASES = 120
"""Edits of a task that are shown at most."""
THUMBNAIL = 160
"""The longest side of their pictures in pixels."""
BUDGET = 3_600_000
"""Letters that all cards may have together: the page has to open on a phone, too."""

Value = TypeVar("Value")
Places = Sequence[tuple[Run, int]]
"""Where the results of an edit stand: in which runs, and there as which."""


@dataclass(frozen=True, slots=True)
class Cards:
    """The edits that are shown, of how many, and whether with pictures."""

    shown: Sequence[Html]
    number: int
    pictures: bool


def make_cards(boards: Sequence[Board], images: Path | None = None) -> Cards:
    """As many edits as fit, evenly spaced over each task's."""
    cards: list[list[Html]] = []
    number, pictures = 0, False
    for board in boards:
        edits = list(_edits(board, images))
        number += len(edits)
        pictures = pictures or any(case is not None for _, case in edits)
        shown = evenly(edits, CASES)
        cards.append([_card(_judged(board, places), case) for places, case in shown])
    return Cards(_fitting(cards), number, pictures)


def evenly(values: Sequence[Value], number: int) -> list[Value]:
    """At most that many of them, from all over the sequence."""
    number = min(number, len(values))
    return [values[place * len(values) // number] for place in range(number)]


def _fitting(cards: list[list[Html]]) -> list[Html]:
    """Fewer cards of each task where all together are too large."""
    while (size := sum(len(card) for of_task in cards for card in of_task)) > BUDGET:
        cards = [evenly(one, min(len(one) - 1, len(one) * BUDGET // size)) for one in cards]
    return [card for of_task in cards for card in of_task]


def _edits(board: Board, images: Path | None) -> Iterator[tuple[Places, Case | None]]:
    """The edits of each setup in the order of its results; with their pictures, if these are at hand."""
    setups: dict[tuple[str, ...], list[Run]] = {}
    for run in board.runs:
        setups.setdefault(setup(run), []).append(run)
    for runs in setups.values():
        cases = find_cases(runs[0].header.settings, images)
        places: dict[str, list[tuple[Run, int]]] = {}
        for run in runs:
            for place, result in enumerate(outlines(run.results)):
                places.setdefault(result.id, []).append((run, place))
        yield from ((of_id, cases.get(name)) for name, of_id in places.items())


def _judged(board: Board, places: Places) -> Judged:
    return Judged(board, [(run, run.results[place]) for run, place in places])


def _card(judged: Judged, case: Case | None) -> Html:
    edit = judged.edit
    # The first of a kind is about the edit itself.
    known = {kind: judged.question(probe) for (kind, _), probe in reversed(judged.probes.items())}
    before = judged.probes.get(("reliability", ""))
    lines = {
        "Question" if edit.task == "vqa" else "Prompt": edit.question,
        "Rephrase": known.get("text_generality"),
        "Answer before": None if before is None else before.before,
        "Target": edit.target,
    }
    words = [tag("dt", name) + tag("dd", cut(text)) for name, text in lines.items() if text is not None]
    kind = ", ".join(dict.fromkeys([edit.task, edit.question_type]))
    source = tag("p", f"{kind}: {edit.id}", class_="source")
    about = tag("div", tag("dl", *map(Html, words)), source)
    shown = Html() if case is None else _pictures(case)
    answers = tag("details", outcome(judged), answers_table(judged), open=True)
    top = tag("div", shown, about, class_="about")
    return tag("article", top, answers, data_task=edit.task, data_type=edit.question_type)


def _pictures(case: Case) -> Html:
    """The edit's images, and those of locality items that have another one."""
    named = {"Image": case.image, "Rephrased image": None}
    for probe in case.of("image_generality", "image_locality"):
        if probe.kind == "image_generality":
            named["Rephrased image"] = probe.image
        elif probe.relation in ("far", "same_question", "near_right", "far_right"):
            named[f"Locality, {RELATIONS[probe.relation]}"] = probe.image
    return tag("div", *(_figure(name, picture) for name, picture in named.items()), class_="pictures")


def _figure(name: str, picture: Picture | None) -> Html:
    url = None if picture is None else data_url(_encoded(picture), THUMBNAIL, lossless=0)
    shown = tag("img", src=url, alt=name) if url else tag("div", "no image", class_="absent")
    return tag("figure", shown, tag("figcaption", name))


def _encoded(picture: Picture) -> bytes:
    try:
        return picture if isinstance(picture, bytes) else read_image(picture)
    except OSError:
        return b""


def filters(boards: Sequence[Board]) -> Html:
    """Controls that choose edits; without scripts they stay hidden, and all edits are listed."""
    methods = dict.fromkeys(run.name for board in boards for run in board.edited)
    results = [together(run.results) for board in boards for run in board.runs]
    types = sorted({one.question_type for of_run in results for one in of_run.outlines})
    kinds = {kind: None for of_run in results for kind in of_run.kinds}
    parts = [
        _select("method", "Method", {name: name for name in methods}, "all methods"),
        _select("task", "Task", {board.task: board.task for board in boards}, "all tasks"),
        _select("type", "Question type", {name: name for name in types}, "all types"),
        _select("probe", "Probe", {kind: kind.replace("_", " ") for kind in kinds}, "any probe"),
        tag(
            "label",
            tag("input", type="checkbox", name="failures", value="1"),
            " failures only",
            class_="check",
        ),
        tag("label", "Search", tag("input", type="search", name="text", placeholder="words")),
    ]
    return join(
        [
            tag("form", *parts, id="filters", hidden=True),
            tag("p", id="count", class_="lead", aria_live="polite"),
        ]
    )


def _select(name: str, title: str, options: dict[str, str], everything: str) -> Html:
    shown = [
        tag("option", everything, value=""),
        *(tag("option", text, value=one) for one, text in options.items()),
    ]
    return tag("label", title, tag("select", *shown, name=name))
