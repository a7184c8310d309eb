"""The numbers that a page shows of one task: every headline measure of every method, computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from evaluation.protocols.base import ProtocolName
from evaluation.protocols.known import PROTOCOLS, metric
from evaluation.report.formats import cases_of
from evaluation.report.looks import Looks, make_looks
from evaluation.report.runs import Called, Run, by_setup, called, competes, is_unedited, setup
from evaluation.results.summary import Estimate, estimated, headline
from mmedit_build.rows import Task

NAMES = {
    "Rel": "Reliability",
    "Rel second": "Reliability, second edit",
    "T-Gen": "Text generality",
    "T-Gen near": "Text generality, near",
    "T-Gen second": "Text generality, second edit",
    "I-Gen": "Image generality",
    "Port": "Portability",
    "Port known": "Portability, known",
    "Comp": "Both edits together",
    "T-Loc": "Text locality",
    "I-Loc": "Image locality, far",
    "I-Loc near": "Image locality, near",
}
"""The headline columns in words."""
MANY = 16
"""Methods up to which all are shown."""
FEW = 8
"""Those that are shown first of more than that, if there are no more families."""
ABOUT = {
    "Rel": "the edited question itself",
    "Rel second": "the fact that is edited along with the image",
    "T-Gen": "the question in other words",
    "T-Gen near": "another question about the edit's image, whose answer changes along",
    "T-Gen second": "the fact that is edited along, in other words",
    "I-Gen": "the question about another image of the same",
    "Port": "what follows from the edit and something else",
    "Port known": "the same, where the unedited model knew the something else",
    "Comp": "what follows from the edit and the fact that is edited along",
    "T-Loc": "facts that have nothing to do with the edit",
    "I-Loc": "other questions about other images",
    "I-Loc near": "other questions about the edit's image, and its question about others",
}


@dataclass(frozen=True, slots=True)
class Board:
    """One task."""

    task: Task
    runs: Sequence[Run]
    protocols: tuple[ProtocolName, ...]
    """Those that any of the runs has."""
    looks: Looks
    estimates: dict[tuple[ProtocolName, str, str], Estimate]
    """By protocol, column and run, also those of the single seeds of a mean."""
    foremost: frozenset[str]
    """The names of runs to show first: all, or of very many the best."""
    called: Mapping[str, Called]
    """By the names of runs."""

    def of(self, protocol: ProtocolName, column: str, run: str) -> Estimate | None:
        return self.estimates.get((protocol, column, run))

    def cases(self, protocol: ProtocolName, column: str, run: Run) -> str:
        """Of which cases a number is: see `cases_of`."""
        return cases_of([run], measure=headline(self.task, protocol)[column].key)

    def is_best(self, protocol: ProtocolName, column: str, run: Run) -> bool:
        """Whether no other run on the same questions has a higher number, as it is shown."""
        rivals = [one for one in self.runs if competes(one) and setup(one) == setup(run)]
        shown = {
            one.name: float(percent(found.mean))
            for one in rivals
            if (found := self.of(protocol, column, one.name)) is not None
        }
        return run.name in shown and shown[run.name] == max(shown.values())

    @property
    def columns(self) -> list[str]:
        """The columns that have any number at all."""
        shown = {run.name for run in self.runs}
        known = {column for _, column, name in self.estimates if name in shown}
        return [name for name in NAMES if name in known]

    @property
    def edited(self) -> list[Run]:
        """All runs but those of no edit."""
        return [run for run in self.runs if not is_unedited(run)]

    def by_setup(self) -> list[tuple[str, Board]]:
        """The runs of each model with what it is asked, and its name; without one where there is no other."""
        return [(title, replace(self, runs=runs)) for title, runs in by_setup(self.runs)]

    def metric(self, protocol: ProtocolName, column: str) -> str:
        """The title of the score that a column has."""
        return metric(protocol, headline(self.task, protocol)[column].metric).title


def make_board(task: Task, runs: Sequence[Run], looks: Looks | None = None) -> Board:
    """All headline numbers of some runs of a task; `looks` are those of the whole page, if there is more."""
    protocols = tuple(one for one in PROTOCOLS if any(one in run.header.settings.protocols for run in runs))
    estimates: dict[tuple[ProtocolName, str, str], Estimate] = {}
    for protocol in protocols:
        for column, of in headline(task, protocol).items():
            for run in (*runs, *(seed for one in runs for seed in one.seeds)):
                found = estimated(run.results, of)
                if found is not None:
                    estimates[protocol, column, run.name] = found
    board = Board(task, runs, protocols, looks or make_looks(runs), estimates, frozenset(), {})
    return replace(board, foremost=_foremost(board), called=called(runs))


def _foremost(board: Board) -> frozenset[str]:
    """Of very many runs the best of each family, then the best of the others.

    The best have the highest mean of all headline numbers, of free answers if there are any. What tests the
    evaluation is not among them, nor what is shown the answers.
    """
    if len(board.edited) <= MANY:
        return frozenset(run.name for run in board.runs)
    ranked = sorted(filter(competes, board.runs), key=lambda run: _mean(board, run), reverse=True)
    first = [*{run.family: run for run in reversed(ranked)}.values()]
    chosen = first + [run for run in ranked if run not in first][: max(0, FEW - len(first))]
    return frozenset(run.name for run in [*chosen, *filter(is_unedited, board.runs)])


def _mean(board: Board, run: Run) -> float:
    protocol = board.protocols[-1]
    found = [one.mean for column in board.columns if (one := board.of(protocol, column, run.name))]
    return fmean(found) if found else 0.0


def headed(head: str, model: str) -> str:
    """The title of a panel, with the model that it is about where there are several."""
    return ", ".join(filter(None, [head, model]))


def percent(share: float) -> str:
    return f"{100 * share:.1f}"


def bound(share: float) -> str:
    """The end of an interval, short where it is the end of all that there is."""
    return percent(share).removesuffix(".0") if share in (0, 1) else percent(share)


def span(found: Estimate) -> str:
    """The interval in percent."""
    return f"{bound(found.low)} to {bound(found.high)}"


def in_words(found: Estimate | None) -> str:
    """A number for a tooltip."""
    if found is None:
        return "no value"
    return f"{percent(found.mean)} (95% interval {span(found)}), {found.edits} edits"
