"""What a page says in tables: the main numbers, types of questions, costs, and what was run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence

from evaluation.drawing.markup import Html, join, tag
from evaluation.protocols.base import ProtocolName
from evaluation.protocols.known import PROTOCOLS, metric
from evaluation.report.board import (
    ABOUT,
    NAMES,
    Board,
    bound,
    headed,
    in_words,
    percent,
)
from evaluation.report.formats import NO_VALUE, as_html, cases_of, scrolled
from evaluation.report.looks import Look, mark
from evaluation.report.overview import family_row
from evaluation.report.runs import Run, by_family, ids_of, is_unedited, notes
from evaluation.report.shading import Cell, Row, shaded, side_by_side
from evaluation.report.tables import cost_table
from evaluation.results.records import RunResult
from evaluation.results.summary import by_question_type, count_skipped, estimated, headline, outlines
from mmedit_build.rows import Task

TYPES = 12
"""Types of questions that are shown, the most frequent ones first."""


def swatch(look: Look) -> Html:
    """The mark of a method, before its name."""
    return tag("svg", mark(7, 7, look, ""), viewBox="0 0 14 14", class_="swatch", aria_hidden="true")


def main_table(board: Board) -> Html:
    """The layout of MMEdit's Table 2, the protocols side by side."""
    columns = board.columns
    groups = [
        tag("th", PROTOCOLS[one].title, colspan=len(columns), scope="colgroup", class_="group")
        for one in board.protocols
    ]
    titles = [
        tag("th", column, tag("span", board.metric(protocol, column)), scope="col", class_=_first(column))
        for protocol in board.protocols
        for column in columns
    ]
    head = tag("thead", tag("tr", tag("td"), *groups), tag("tr", tag("th", "method", scope="col"), *titles))
    bodies = [
        tag("tbody", family_row(family, 1 + len(titles)), *(_main_row(board, run) for run in of))
        for family, of in by_family(board.runs)
    ]
    return scrolled(
        tag("table", head, *bodies, class_="main", style=f"--rows:{len(columns) + 1}"), "Main results"
    )


def seed_by_seed(board: Board) -> Html:
    """The same below the means over seeds, for those who want it."""
    return tag("details", tag("summary", "Each seed by itself"), main_table(board), class_="more")


def _main_row(board: Board, run: Run) -> Html:
    scored = sum(result.scored for result in outlines(run.results))
    name = tag(
        *("th", swatch(board.looks[run.name]), tag("b", run.name), tag("span", f"{scored:,} edits")),
        scope="row",
    )
    cells = [
        _main_cell(board, protocol, column, run) for protocol in board.protocols for column in board.columns
    ]
    return tag("tr", name, *cells, class_="unedited" if is_unedited(run) else None)


def _main_cell(board: Board, protocol: ProtocolName, column: str, run: Run) -> Html:
    found = board.of(protocol, column, run.name)
    label = f"{protocol} {column}"
    if found is None:
        return tag("td", NO_VALUE, data_label=label, class_=_first(column))
    interval = tag("span", f"[{bound(found.low)}, {bound(found.high)}]")
    tip = f"{run.name}, {NAMES[column]}, {protocol}: {in_words(found)} of {found.images} images"
    mean = percent(found.mean)
    best = tag("b", mean) if board.is_best(protocol, column, run) else mean
    return tag(
        *("td", best, interval),
        data_label=label,
        title=tip,
        class_=_first(column),
        data_cases=board.cases(protocol, column, run),
    )


def _first(column: str) -> str | None:
    return "first" if column == "Rel" else None


def meanings(board: Board) -> Html:
    """What the columns ask, and what their scores count."""
    asked = [(NAMES[column], f"{ABOUT[column]}.") for column in board.columns]
    scores = {
        f"{of.title} ({protocol})": of.about
        for protocol in board.protocols
        for column in board.columns
        for of in [metric(protocol, headline(board.task, protocol)[column].metric)]
    }
    lines = [tag("dt", name) + tag("dd", about) for name, about in (*asked, *scores.items())]
    return tag(
        "details", tag("summary", "What the columns mean"), tag("dl", *map(Html, lines)), class_="more"
    )


def warnings(board: Board) -> Html:
    """What keeps numbers from being compared."""
    lines = [
        f"{run.name} is not finished: it has {len(run.results):,} edits so far."
        for run in board.runs
        if not run.header.finished
    ]
    if any(len({ids_of(run) for run in part.runs}) > 1 for _, part in board.by_setup()):
        lines.append(
            "The methods were not judged on the same edits, so their numbers may differ for that alone."
        )
    if len(board.by_setup()) > 1:
        lines.append("There is more than one model, dataset or way of asking, as the names of runs say.")
    lines += notes(board.runs)
    return join(tag("p", one, class_="warning") for one in lines)


def type_tables(board: Board) -> Html:
    """Each measure by the type of question, for each model; nothing if there is but one type."""
    found = [(model, part, counts) for model, part in board.by_setup() if len(counts := _types(part)) > 1]
    if not found:
        return Html()
    most = max(len(counts) for *_, counts in found)
    left = f" The {TYPES} most frequent of {most} types." if most > TYPES else ""
    parts = [tag("h3", "By type of question"), tag("p", f"Means in percent.{left}", class_="lead")]
    for protocol in reversed(board.protocols):
        tables = [
            _type_table(part, protocol, column, dict(counts.most_common(TYPES)), model)
            for model, part, counts in found
            for column in part.columns
        ]
        summary = tag("summary", PROTOCOLS[protocol].title)
        first = protocol == board.protocols[-1]
        beside = side_by_side(tables, max(len(part.runs) for _, part, _ in found))
        parts.append(tag("details", summary, beside, open=first, class_="more"))
    return join(parts)


def _types(board: Board) -> Counter[str]:
    """How many edits are of each type of question; of equals the first by the alphabet comes first."""
    types = {result.id: result.question_type for run in board.runs for result in outlines(run.results)}
    return Counter(sorted(types.values()))


def _type_table(board: Board, protocol: ProtocolName, column: str, types: dict[str, int], model: str) -> Html:
    of = headline(board.task, protocol)[column]
    groups = {run.name: by_question_type(run.results) for run in board.runs}

    def cell(run: Run, name: str) -> Cell:
        found = estimated(groups[run.name].get(name, []), of)
        tip, share = f"{run.name}, {name}: {in_words(found)}", None if found is None else found.mean
        return Cell(share, tip, cases_of([run], measure=of.key, type=name))

    rows = [Row(name, f"{count:,}", [cell(run, name) for run in board.runs]) for name, count in types.items()]
    titles = [board.called[run.name].run for run in board.runs]
    title = headed(NAMES[column], model)
    return shaded(title, board.metric(protocol, column), titles, rows, f"{title} by type of question")


def costs(board: Board) -> Html:
    """Time, memory, parameters, and how many edits were scored."""
    shown = as_html(cost_table(board.task, board.runs), "Costs")
    note = tag(
        *(
            "p",
            "Fit: to learn from the train split, once. Edit: to plan one. Probe: to answer one question "
            "about it. Peak: the most memory held while edits were judged. Changed: parameters of the model.",
        ),
        class_="lead",
    )
    reasons = [tag("li", one) for one in _skips(board)]
    skipped = join([tag("h3", "Skipped edits"), tag("ul", *reasons)]) if reasons else Html()
    return join([tag("h3", "What it took"), note, shown, skipped])


def _skips(board: Board) -> Iterator[str]:
    for run in board.runs:
        for reason, number in count_skipped(run.results).items():
            yield f"{run.name}, {number:,} edits: {reason}"


def what_was_run(ran: Sequence[tuple[Task, Run]], streamed: Sequence[tuple[Task, Run]]) -> Html:
    """The settings of every run, and of every method's streams."""
    heads = [tag("th", title, scope="col") for title in ("run", "model", "dataset", "options")]
    rows = [_run_row(task, run) for task, run in ran]
    rows += [_run_row(f"{task}, {_streams(run)}", run) for task, run in streamed]
    table = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows), class_="settings")
    return tag("details", tag("summary", f"{len(rows)} runs with their settings"), table, class_="more")


def _streams(run: Run) -> str:
    """Which streams those of a run are."""
    preset = run.header.settings.preset
    return f"streams as {preset}" if preset else "streams"


def _run_row(what: str, run: Run) -> Html:
    settings, header = run.header.settings, run.header
    versions = ", ".join(f"{name} {version}" for name, version in header.versions.items())
    asked = f"{settings.split} split, prompts {settings.prompts}, seed {settings.seed}"
    options = ", ".join(f"{name} {json.dumps(value)}" for name, value in settings.config.items())
    cells = {
        "model": [settings.model, tag("span", " ".join([_where(header), versions]).strip())],
        "dataset": [settings.dataset, tag("span", asked)],
        "options": [options or "none"],
    }
    name = tag("th", run.name, tag("span", what), scope="row")
    return tag(
        "tr", name, *(tag("td", tag("div", *content), data_label=title) for title, content in cells.items())
    )


def _where(header: RunResult) -> str:
    """The device, and on a processor the threads, which decide how sums are rounded."""
    threads = f" ({header.threads} threads)" if header.device == "cpu" and header.threads else ""
    return header.device + threads
