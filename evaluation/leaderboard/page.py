"""The leaderboard as a page: one HTML file with all boards, which asks for nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from evaluation.drawing.markup import Html, join, tag
from evaluation.drawing.style import STYLE
from evaluation.leaderboard.boards import LEVELS, About, Board, Standing
from evaluation.leaderboard.plot import plots
from evaluation.leaderboard.reading import Refusal
from evaluation.leaderboard.script import OWN_STYLE, SCRIPT
from evaluation.leaderboard.stream_tables import streams_by_setting, tables_of
from evaluation.leaderboard.streaming import StreamRow
from evaluation.leaderboard.table import costs
from evaluation.protocols.base import ProtocolName
from evaluation.protocols.known import PROTOCOLS
from evaluation.report.board import ABOUT, NAMES, bound, in_words, percent, span
from evaluation.report.formats import NO_VALUE, TASK_TITLES, as_html, scrolled
from evaluation.report.looks import Looks, make_looks
from evaluation.report.runs import Run
from evaluation.report.sections import swatch
from evaluation.report.stream_tables import NOTE
from mmedit_build.page import document

NAME = "index.html"
_SCORE = (
    "Free answers were scored again from their raw text; legacy scores, whose tokens are not kept, were "
    "checked against all that is. The score is the harmonic mean, in percent, of "
    "reliability, generality (text and image) and locality (near the edit where the dataset has such items). "
    "A method is ahead of another where 97.5% of the draws of images say so; those that cannot be told apart "
    "share a rank (=), and the small numbers are the 95% interval of the place. An edit that a method "
    "skipped counts with what the unedited model gives."
)
_COSTS = {
    "fit": "learning, once, in seconds",
    "edit": "seconds to make one",
    "probe": "seconds to answer",
    "peak": "MB",
}


def render(
    boards: Sequence[Board], about: About, refused: Sequence[Refusal], streams: Sequence[StreamRow] = ()
) -> bytes:
    """The page, in UTF-8."""
    standings = [of for board in boards for some in board.standings.values() for of in some]
    looks = make_looks([Run(_name(of), of.row.entry.header, of.row.results) for of in standings])
    body = [
        tag("h1", about.title),
        tag("p", about.about, class_="lead") if about.about else Html(),
        tag("p", _SCORE, class_="lead"),
        _filters(boards),
        *(_section(board, looks) for board in boards),
        _streams(streams),
        _meanings(boards),
        _refusals(refused),
        tag("footer", "Written by mmedit-eval leaderboard from raw answers."),
    ]
    return document(about.title, STYLE + OWN_STYLE, join(body), SCRIPT)


def _name(of: Standing) -> str:
    return of.row.entry.header.settings.name


def _filters(boards: Sequence[Board]) -> Html:
    """Controls that choose rows; without scripts they stay hidden, and all is shown."""
    standings = [of for board in boards for some in board.standings.values() for of in some]
    options: dict[str, tuple[str, Iterable[str]]] = {
        "dataset": ("Dataset", (board.dataset for board in boards)),
        "model": ("Model", (board.model for board in boards)),
        "task": ("Task", (board.setting.task for board in boards)),
        "protocol": ("Protocol", (name for board in boards for name in board.standings)),
        "family": ("Family", (of.family for of in standings if of.family)),
        "level": ("Level", (of.level for of in standings)),
    }
    labels = [_select(name, title, dict.fromkeys(found)) for name, (title, found) in options.items()]
    return join(
        [
            tag("form", *labels, id="filters", hidden=True),
            tag("p", id="count", class_="lead", aria_live="polite"),
        ]
    )


def _select(name: str, title: str, found: Iterable[str]) -> Html:
    choices = [tag("option", "all", value=""), *(tag("option", one, value=one) for one in found)]
    return tag("label", title, tag("select", *choices, name=name))


def _section(board: Board, looks: Looks) -> Html:
    of = board.setting
    at_once = f", {of.at_once} edits at once" if of.at_once > 1 else ""
    asked = f"{board.edits:,} edits, {of.prompts} prompts, template {of.template}"
    digests = f"dataset {of.dataset_digest[:8]}, model {of.model_digest[:8]}"
    parts = [
        tag("h2", f"{TASK_TITLES[of.task]}: {board.model} on {board.dataset}{at_once}"),
        tag("p", f"{asked}; {digests}.", class_="lead"),
        *(_table(board, name, standings, looks) for name, standings in board.shown),
        plots(board, looks),
    ]
    about = {"data_dataset": board.dataset, "data_model": board.model, "data_task": of.task}
    return tag("section", *parts, **about)


def _table(board: Board, protocol: ProtocolName, standings: Sequence[Standing], looks: Looks) -> Html:
    columns = list(board.columns[protocol])
    titles = ("rank", "method", "score", *columns, *_COSTS)
    heads = [tag("th", title, scope="col", title=NAMES.get(title, _COSTS.get(title))) for title in titles]
    rows = [_row(columns, of, looks) for of in standings]
    title = PROTOCOLS[protocol].title
    table = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows), class_="costs standings")
    return tag("div", tag("h3", title), scrolled(table, title), data_protocol=protocol)


def _row(columns: Sequence[str], of: Standing, looks: Looks) -> Html:
    entry, rank = of.row.entry, of.rank
    fit, edit, probe, peak, _ = costs(of)
    place = NO_VALUE if rank is None else f"{rank.place}{'=' if rank.tied else ''}"
    among = "" if rank is None else "-".join(dict.fromkeys(map(str, rank.places)))
    seed, id_ = f"seed {entry.header.settings.seed}", f"entry {of.row.id[:8]}"
    told = ", ".join(filter(None, [of.level, of.family, seed, entry.date, entry.header.device, id_]))
    skipped = sum(entry.header.skipped.values())
    note = " ".join(filter(None, [of.note, f"{skipped:,} edits skipped." if skipped else ""]))
    name = tag("div", swatch(looks[_name(of)]), tag("b", _name(of)), tag("span", told))
    cells = [
        _cell("rank", place, among),
        tag("th", name, tag("span", note, class_="note") if note else Html(), scope="row"),
        _cell("score", *_of_rank(of)),
        *(_number(of, column) for column in columns),
        _cell("fit", NO_VALUE if fit is None else f"{fit:.1f}"),
        _cell("edit", f"{edit:.3f}" if edit else NO_VALUE),
        _cell("probe", f"{probe:.4f}" if probe else NO_VALUE),
        _cell("peak", f"{peak / 1e6:,.0f}" if peak else NO_VALUE),
    ]
    return tag("tr", *cells, data_family=of.family, data_level=of.level)


def _of_rank(of: Standing) -> tuple[str, str]:
    rank = of.rank
    if rank is None:
        return NO_VALUE, ""
    low, high = rank.interval
    return percent(rank.score), f"[{bound(low)}, {bound(high)}]"


def _number(of: Standing, column: str) -> Html:
    found = of.numbers.get(column)
    if found is None:
        return _cell(column, NO_VALUE)
    tip = f"{_name(of)}, {NAMES[column]}: {in_words(found)}"
    return _cell(column, percent(found.mean), f"[{span(found).replace(' to ', ', ')}]", tip)


def _cell(label: str, shown: str, below: str = "", tip: str | None = None) -> Html:
    under = tag("span", below) if below else Html()
    kind = "lead" if label in ("rank", "score") else None
    content = tag("div", tag("b", shown), under)
    return tag("td", content, data_label=label, title=tip, class_=kind)


def _streams(rows: Sequence[StreamRow]) -> Html:
    """What is left where edits come one after the other; nothing ranks it."""
    if not rows:
        return Html()
    tables = [table for of in streams_by_setting(rows) for table in tables_of(of)]
    shown = [part for one in tables for part in (tag("h3", one.title), as_html(one, one.title))]
    return tag("section", tag("h2", "Edits one after the other"), tag("p", NOTE, class_="lead"), *shown)


def _meanings(boards: Sequence[Board]) -> Html:
    columns = dict.fromkeys(column for board in boards for of in board.columns.values() for column in of)
    lines: list[tuple[str, str]] = [*LEVELS.items()]
    lines += [(f"{column}, {NAMES[column].lower()}", ABOUT[column]) for column in columns]
    shown = [tag("dt", name) + tag("dd", f"{about}.") for name, about in lines]
    return tag("details", tag("summary", "What the words mean"), tag("dl", *map(Html, shown)), class_="more")


def _refusals(refused: Sequence[Refusal]) -> Html:
    if not refused:
        return Html()
    lines = [tag("li", str(one)) for one in refused]
    return tag("section", tag("h2", "Refused"), tag("ul", *lines, class_="refused"))
