"""The report as a page: one HTML file made of result files alone, with tables, plots and edits to look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from evaluation.drawing.markup import Html, join, tag
from evaluation.drawing.style import STYLE
from evaluation.protocols.known import PROTOCOLS
from evaluation.report.at_once import at_once
from evaluation.report.board import Board, make_board
from evaluation.report.cases import Cards, filters, make_cards
from evaluation.report.components import components
from evaluation.report.distances import distances
from evaluation.report.divergence import divergences
from evaluation.report.folding import folded, lead
from evaluation.report.formats import TASK_TITLES
from evaluation.report.hops import portability
from evaluation.report.judged import judged
from evaluation.report.localities import localities
from evaluation.report.means import NOTE, looks_of, mean_board, mean_runs
from evaluation.report.models import models
from evaluation.report.overview import overview
from evaluation.report.plots import agreements, bars, radars, tradeoffs
from evaluation.report.runs import Run, split
from evaluation.report.script import SCRIPT, TABLES
from evaluation.report.sections import (
    costs,
    main_table,
    meanings,
    seed_by_seed,
    type_tables,
    warnings,
    what_was_run,
)
from evaluation.report.seeds import over
from evaluation.report.stream_tables import StreamRun
from evaluation.report.streams import section
from evaluation.results.records import Settings
from evaluation.run.experiment import UNEDITED
from evaluation.tracing import page as tracing
from mmedit_build.page import document
from mmedit_build.rows import TASKS, Task
from mmedit_build.store import write_atomic

NAME = "report.html"
TITLE = "Evaluation of edits"
MEANS = "Means in percent with 95% intervals over images; the best are bold."


def write_page(
    runs: dict[Task, list[Run]],
    folder: Path,
    images: Path | None = None,
    traces: Sequence[Path] = (),
    streams: Mapping[Task, Sequence[StreamRun]] = MappingProxyType({}),
) -> Path:
    """Write the page into a folder.

    `images` is the folder of the dataset's images, for datasets that only name them. `traces` are folders
    that causal tracing wrote.
    """
    path = folder / NAME
    write_atomic(path, render(runs, images, traces, streams))
    return path


def render(
    runs: dict[Task, list[Run]],
    images: Path | None = None,
    traces: Sequence[Path] = (),
    streams: Mapping[Task, Sequence[StreamRun]] = MappingProxyType({}),
    *,
    script: str = "",
) -> bytes:
    """The page, in UTF-8; `script` runs after its own."""
    parts = {task: split(runs.get(task, [])) for task in TASKS if task in runs or task in streams}
    looks = looks_of(runs)
    boards = [make_board(task, first, looks) for task, (first, _) in parts.items()]
    whole = [replace(board, runs=runs.get(board.task, [])) for board in boards]
    ran = [(board.task, run) for board in whole for run in board.runs]
    # Where streams are all that was made, no single edit is there to be looked at.
    edited = [board for board in boards if board.edited or board.task not in streams]
    streamed = [(task, one.run) for task, of_task in streams.items() for one in of_task]
    body = [
        tag("h1", TITLE),
        tag("p", _lead([run.header.settings for _, run in (*ran, *streamed)]), class_="lead"),
        _contents(boards, traces, cards=bool(edited)),
        *(
            _task(board, all_, parts[board.task][1], streams.get(board.task, ()))
            for board, all_ in zip(boards, whole, strict=True)
        ),
        *map(tracing.section, traces),
        _cases(edited, make_cards(edited, images)) if edited else Html(),
        tag("section", tag("h2", "What was run"), what_was_run(ran, streamed), id="runs"),
        tag("footer", "Written by mmedit-eval report from result files alone."),
    ]
    return document(
        TITLE, STYLE + tracing.STYLE if traces else STYLE, join(body), (SCRIPT if edited else TABLES) + script
    )


def _lead(settings: Sequence[Settings]) -> str:
    asked = list(dict.fromkeys(f"{one.model} on {one.dataset}" for one in settings))
    methods = ", ".join(dict.fromkeys(one.method for one in settings if one.method != UNEDITED))
    several = "s" * (len({one.model for one in settings}) > 1)
    return f"Model{several} {', '.join(asked)}, edited with {methods or 'nothing'}."


def _contents(boards: Sequence[Board], traces: Sequence[Path], *, cards: bool) -> Html:
    links = [tag("a", TASK_TITLES[board.task], href=f"#{board.task}") for board in boards]
    links += [tag("a", tracing.TITLE, href="#tracing")] if traces else []
    if cards:
        links.append(tag("a", "Edits to look at", href="#cases"))
    links.append(tag("a", "What was run", href="#runs"))
    return tag("nav", *links, aria_label="Contents")


def _task(board: Board, whole: Board, several: Sequence[Run], streams: Sequence[StreamRun]) -> Html:
    title, of_streams = tag("h2", TASK_TITLES[board.task]), section(board.task, streams, board.looks)
    if streams and not board.edited:
        return tag("section", title, of_streams, *_before(board), id=board.task)
    means = mean_board(board)
    note = NOTE if means is not board else ""
    parts = [
        title,
        tag("p", " ".join(filter(None, [MEANS, note, lead(means)])), class_="lead"),
        warnings(board),
        *_main(board, whole),
        meanings(board),
        tradeoffs(means),
        folded(means, bars),
        components(means),
        folded(means, radars),
        agreements(means),
        folded(means, divergences),
        folded(means, localities),
        folded(means, distances),
        folded(means, portability),
        judged(whole),
        models(board.task, board.runs),
        folded(means, type_tables),
        at_once(board, several),
        of_streams,
        overview(board.task, mean_runs(whole.runs)),
        costs(whole),
    ]
    return tag("section", *parts, id=board.task)


def _main(board: Board, whole: Board) -> list[Html]:
    """The main numbers. Where there are several seeds, they are first taken together."""
    if not (together := over(board.task, whole.runs)):
        return [main_table(board)]
    return [together, seed_by_seed(board)]


def _before(board: Board) -> list[Html]:
    """What the model answers before any edit, below the streams that are all that was made."""
    if not board.runs:
        return []
    return [tag("h3", "The unedited model"), warnings(board), main_table(board), meanings(board)]


def _cases(boards: Sequence[Board], cards: Cards) -> Html:
    parts = [
        tag("h2", "Edits to look at"),
        tag("p", " ".join(_about(boards, cards)), class_="lead"),
        filters(boards),
        tag("div", *cards.shown, class_="cards"),
    ]
    return tag("section", *parts, id="cases")


def _about(boards: Sequence[Board], cards: Cards) -> Iterator[str]:
    few = len(cards.shown) < cards.number
    yield f"{len(cards.shown):,} of {cards.number:,} edits, evenly spaced." if few else "All edits."
    if any(PROTOCOLS[name].writes for board in boards for name in board.protocols):
        yield "Signs tell whether free answers passed: the target where it is asked for, no change elsewhere."
        yield "Where another protocol says otherwise, its score is noted."
    else:
        yield "Signs tell whether the scores are at least 50."
    if not cards.pictures:
        yield "The pictures are not at hand: the dataset is not where it was, or not the same."
