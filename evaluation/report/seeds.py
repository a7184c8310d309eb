"""Runs that differ in their seeds alone, taken together: a row a setting, with how far seeds lie apart."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from evaluation.drawing.markup import Html, join, tag
from evaluation.protocols.base import ProtocolName
from evaluation.protocols.known import PROTOCOLS
from evaluation.report.columns import AT_ONCE, columns_of
from evaluation.report.formats import (
    NO_VALUE,
    TASK_TITLES,
    Table,
    as_html,
    cases_of,
    meaning,
    number,
    on_edits,
)
from evaluation.report.names import names
from evaluation.report.runs import SINGLE, Run, competes, setup, split
from evaluation.results.records import RunResult, Settings
from evaluation.results.seeds import OverSeeds, over_seeds
from evaluation.results.summary import Measure, together
from mmedit_build.rows import Task

NOTE = "Means over the seeds, with their standard deviation between seeds and 95% intervals over images"
CSV_COLUMNS = (
    *("task", "method", "seeds", "protocol", "kind", "relation", "metric"),
    *("mean", "deviation", "low", "high", "edits", "images"),
)


@dataclass(frozen=True, slots=True)
class Group:
    """The runs of one setting, by ascending seed."""

    name: str
    """What tells the setting from others; it says nothing of seeds."""
    runs: Sequence[Run]

    @property
    def seeds(self) -> list[int]:
        return [run.header.settings.seed for run in self.runs]

    def of(self, measure: Measure) -> OverSeeds | None:
        """One number."""
        return over_seeds([run.results for run in self.runs], measure)


def grouped(runs: Sequence[Run]) -> list[Group]:
    """The settings of some runs of a task, in the order of their first runs."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(setting(run.header.settings), []).append(run)
    parts = [part for of in found.values() for part in _by_seed(of)]
    given = names([(seedless(of[0].header), (*of[0].folders, Path())[0]) for of in parts])
    return [
        Group(name + (SINGLE if of[0].name.endswith(SINGLE) else ""), of)
        for name, of in zip(given, parts, strict=True)
    ]


def _by_seed(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs of one setting by their seeds; each alone where a seed comes twice, as of two machines."""
    ordered = sorted(runs, key=lambda run: run.header.settings.seed)
    seeds = {run.header.settings.seed for run in runs}
    return [ordered] if len(seeds) == len(runs) else [[run] for run in ordered]


def several(groups: Sequence[Group]) -> bool:
    """Whether any setting was run with more seeds than one."""
    return any(len(of.runs) > 1 for of in groups)


def comparable(runs: Sequence[Run]) -> list[tuple[int, int]]:
    """The pairs of runs, by their places, whose difference tells something.

    Where both were run with several seeds, those of one seed are compared: what a seed alone changes, the
    spread over seeds tells.
    """
    many = {id(run) for of in grouped(runs) if len(of.runs) > 1 for run in of.runs}
    seeds = [run.header.settings.seed for run in runs]
    return [
        (i, j)
        for i in range(len(runs))
        for j in range(i)
        if seeds[i] == seeds[j] or not many.issuperset((id(runs[i]), id(runs[j])))
    ]


def seed_tables(task: Task, runs: Sequence[Run]) -> list[Table]:
    """The main tables of means over seeds; none where no setting has several."""
    return [
        _table(task, protocol, groups, kind)
        for kind, shown in zip(("", AT_ONCE), split(runs), strict=True)
        if several(groups := grouped(shown))
        for protocol in PROTOCOLS
        if any(protocol in run.header.settings.protocols for run in shown)
    ]


def over(task: Task, runs: Sequence[Run]) -> Html:
    """The tables for a page; nothing where no setting has several seeds."""
    tables = seed_tables(task, runs)
    if not tables:
        return Html()
    parts = [tag("h3", "Over seeds")]
    for table in reversed(tables):
        parts += [tag("p", f"{table.title}. {table.note}", class_="lead"), as_html(table, table.title)]
    return join(parts)


def csv_rows(task: Task, runs: Sequence[Run]) -> Iterator[Sequence[object]]:
    """Every number of each setting that has several seeds."""
    for group in grouped(runs):
        measures = together(group.runs[0].results).scores if len(group.runs) > 1 else ()
        for of in measures:
            if (one := group.of(of)) is not None:
                where = (task, group.name, in_words(group.seeds))
                place = (of.protocol, of.kind, of.relation or "", of.metric)
                found = one.estimate
                numbers = (found.mean, one.deviation or 0.0, found.low, found.high)
                rounded = (round(value, 6) for value in numbers)
                yield (*where, *place, *rounded, found.edits, found.images)


def in_words(seeds: Sequence[int]) -> str:
    return " ".join(map(str, seeds))


def cell(one: OverSeeds | None, of: Measure) -> str:
    """A mean with its deviation and its interval."""
    if one is None:
        return NO_VALUE
    low, high = (number(end, of) for end in (one.estimate.low, one.estimate.high))
    return f"{with_deviation(number(one.estimate.mean, of), one, of)} [{low}, {high}]"


def with_deviation(text: str, one: OverSeeds, of: Measure) -> str:
    """A mean and how far the seeds lie apart, if there are several."""
    return text if one.deviation is None else f"{text} ± {number(one.deviation, of)}"


def _table(task: Task, protocol: ProtocolName, groups: Sequence[Group], kind: str) -> Table:
    columns = columns_of(task, protocol, [run for group in groups for run in group.runs])
    rows = tuple(
        (
            group.name,
            str(len(group.runs)),
            *(cell(group.of(of), of) for of in columns.values()),
        )
        for group in groups
    )
    title = f"{TASK_TITLES[task]}{kind}, over seeds, {protocol} protocol"
    cases = {
        (place, column): cases_of(group.runs, measure=of.key)
        for place, group in enumerate(groups)
        for column, of in columns.items()
    }
    asked = on_edits({group.name: group.runs for group in groups})
    note = f"{meaning(columns)}. {NOTE}, in percent. {asked}"
    best = frozenset(
        (place, column)
        for column, of in columns.items()
        for place in _best([one.of(of) for one in groups], of, groups)
    )
    return Table(title, ("method", "seeds", *columns), rows, note, cases=cases, best=best)


def _best(found: Sequence[OverSeeds | None], of: Measure, groups: Sequence[Group]) -> Iterator[int]:
    """The places of settings with the highest mean on the same questions, as it is shown."""
    shown: dict[tuple[str, ...], dict[int, float]] = {}
    for place, (one, group) in enumerate(zip(found, groups, strict=True)):
        if one is not None and competes(group.runs[0]):
            shown.setdefault(setup(group.runs[0]), {})[place] = float(number(one.estimate.mean, of))
    for means in shown.values():
        yield from (place for place, mean in means.items() if mean == max(means.values()))


def setting(settings: Settings) -> str:
    """All that results depend on but the seed, and but the names of what digests tell."""
    content = asdict(_without_seed(settings)) | {"model": "", "dataset": ""}
    # Of how many edits the orders of a stream are drawn depends on the seed.
    return json.dumps(content | {"stream": settings.stream > 0}, sort_keys=True)


def seedless(header: RunResult) -> RunResult:
    """What is noted of a setting, whatever the seed."""
    return replace(header, settings=_without_seed(header.settings))


def _without_seed(settings: Settings) -> Settings:
    """The settings as if the seed were 0, whose editor has the run's seed unless its options name another."""
    config = dict(settings.config)
    if config.get("seed") == settings.seed:
        del config["seed"]
    return replace(settings, seed=0, config=config)
