"""Models and methods as a matrix: the same methods on several models, each measure by itself.

A model is judged on the benchmark of its own mistakes, so columns are of models with what they were asked.
What options a method has may be other ones for each, as they suit the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evaluation.drawing.markup import Html, join, tag
from evaluation.protocols.base import ProtocolName
from evaluation.protocols.known import PROTOCOLS, metric
from evaluation.report.board import NAMES, in_words
from evaluation.report.columns import columns_of
from evaluation.report.formats import TASK_TITLES, Table, cases_of, meaning
from evaluation.report.runs import Run, by_setup, split
from evaluation.report.seeds import NOTE, Group, cell, grouped, several
from evaluation.report.shading import Cell, Row, shaded, side_by_side
from evaluation.results.summary import Measure
from mmedit_build.rows import Task


@dataclass(frozen=True, slots=True)
class Matrix:
    """What there is of each method on each model."""

    task: Task
    runs: Sequence[Run]
    methods: Sequence[str]
    models: Mapping[str, Mapping[str, Group]]
    """By the model, and by the method."""

    @property
    def protocols(self) -> list[ProtocolName]:
        return [one for one in PROTOCOLS if any(one in run.header.settings.protocols for run in self.runs)]

    def row(self, method: str) -> list[Group | None]:
        """One method on all models."""
        return [of_model.get(method) for of_model in self.models.values()]


def matrix(task: Task, runs: Sequence[Run]) -> Matrix | None:
    """Of the runs with the fewest edits at once; None where there are not several models."""
    shown, _ = split(runs)
    if len({run.header.settings.model_digest for run in shown}) < 2:
        return None
    groups = {title: grouped(of) for title, of in by_setup(shown)}
    names = {id(group.runs[0]): group.name for of in groups.values() for group in of}
    # In the order of the report, which has the methods by their families.
    methods = dict.fromkeys(names[id(run)] for run in shown if id(run) in names)
    models = {title: {group.name: group for group in of} for title, of in groups.items()}
    return Matrix(task, shown, list(methods), models)


def model_tables(task: Task, runs: Sequence[Run]) -> list[Table]:
    """A table for each protocol and measure: a row a method, a column a model."""
    found = matrix(task, runs)
    if found is None:
        return []
    return [
        _table(found, protocol, title, of)
        for protocol in found.protocols
        for title, of in columns_of(task, protocol, found.runs).items()
    ]


def _table(found: Matrix, protocol: ProtocolName, title: str, of: Measure) -> Table:
    rows = tuple(
        (name, *(cell(None if group is None else group.of(of), of) for group in found.row(name)))
        for name in found.methods
    )
    spread = f" {NOTE}." if any(several(list(one.values())) for one in found.models.values()) else ""
    return Table(
        f"{TASK_TITLES[found.task]}, {protocol} protocol: {title} by model",
        ("method", *found.models),
        rows,
        f"{meaning({title: of})}. In percent, with 95% intervals.{spread}",
    )


def models(task: Task, runs: Sequence[Run]) -> Html:
    """The section of a page; nothing where there are not several models."""
    found = matrix(task, runs)
    if found is None:
        return Html()
    note = "Means in percent. Each model is asked what its own dataset asks."
    parts = [tag("h3", "Models and methods"), tag("p", note, class_="lead")]
    for protocol in reversed(found.protocols):
        tables = [
            _drawn(found, protocol, title, of)
            for title, of in columns_of(task, protocol, found.runs).items()
            if any(group and group.of(of) for name in found.methods for group in found.row(name))
        ]
        beside = side_by_side(tables, len(found.models))
        first = protocol == found.protocols[-1]
        parts.append(
            tag("details", tag("summary", PROTOCOLS[protocol].title), beside, open=first, class_="more")
        )
    return join(parts)


def _drawn(found: Matrix, protocol: ProtocolName, title: str, of: Measure) -> Html:
    rows = [
        Row(
            name,
            "",
            [
                _cell(f"{name}, {model}", group, of)
                for model, group in zip(found.models, found.row(name), strict=True)
            ],
        )
        for name in found.methods
    ]
    score = metric(protocol, of.metric).title
    return shaded(NAMES[title], score, list(found.models), rows, f"{NAMES[title]} by model")


def _cell(where: str, group: Group | None, of: Measure) -> Cell:
    one = None if group is None else group.of(of)
    if one is None or group is None:
        return Cell(None, f"{where}: not run")
    spread = "" if one.deviation is None else f", ± {100 * one.deviation:.1f} over {len(group.runs)} seeds"
    tip = f"{where}: {in_words(one.estimate)}{spread}"
    return Cell(one.estimate.mean, tip, cases_of(group.runs, measure=of.key))
