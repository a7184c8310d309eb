"""Tables for papers: LaTeX with the packages booktabs and graphicx, in pages of one column or two."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise

from editors import EDITORS
from evaluation.report.formats import TASK_TITLES, Table, meaning, number
from evaluation.report.runs import competes
from evaluation.report.seeds import Group, several
from evaluation.results.seeds import OverSeeds
from evaluation.results.summary import Measure
from evaluation.run.experiment import UNEDITED
from mmedit_build.rows import Task

PAPER_NAMES = {
    "ft-dataset": "FT (dataset)",
    "ft-l": "FT-L",
    "ft-vision": "FT (vision)",
    "m-ore": "M-ORE",
    "serac-image": "SERAC (image)",
    "t-patcher": "T-Patcher",
    UNEDITED: "Unedited",
}
"""How publications write methods that are not called as their classes here are."""
IN_A_COLUMN = 4
"""The most columns of numbers with intervals that a column of a page has room for."""
MISSING = "--"
SPREAD = "Where there are several seeds, their mean and standard deviation."
FITTING = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
"""Makes smaller what is too wide, and nothing else."""
_TEX = {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}", "~": r"\~{}"}
_TEX |= {"\\": r"\textbackslash{}", "^": r"\^{}", "±": r"$\pm$"}
PREAMBLE = """\
% Tables of mmedit. The preamble of the paper needs
%   \\usepackage{booktabs,graphicx}
% and \\input{tables} shows all of them; what a paper does not want can be cut out, as each stands by itself.
"""
"""What the file of all tables begins with."""
Columns = Mapping[str, Measure]
"""What is in a table of means, by title."""


def paper_tables(groups: Mapping[Task, Sequence[Group]], columns: Mapping[Task, Columns]) -> list[str]:
    """The means of a protocol, whose columns are given: all tasks side by side, and each by itself.

    A setting with several seeds is one row, of their means and standard deviations.
    """
    together = [list(columns)] if len(columns) > 1 else []
    return [
        _means({task: groups[task] for task in tasks}, {task: columns[task] for task in tasks})
        for tasks in (*together, *([task] for task in columns))
    ]


def _means(groups: Mapping[Task, Sequence[Group]], columns: Mapping[Task, Columns]) -> str:
    """Rows are methods; columns those of each task, one after the other."""
    cells = {name: [name] for of_task in groups.values() for name in map(_paper_name, of_task)}
    for task, of_task in groups.items():
        for of in columns[task].values():
            found = _column(of_task, of)
            for name, row in cells.items():
                row.append(found.get(name, MISSING))
    titles = ["Method", *(title for of_task in columns.values() for title in of_task)]
    (protocol,) = {of.protocol for of_task in columns.values() for of in of_task.values()}
    names = " and ".join(TASK_TITLES[task] for task in columns)
    spread = f" {SPREAD}" if any(map(several, groups.values())) else ""
    return _environment(
        "table*" if len(columns) > 1 else "table",
        caption=f"{names}, {protocol} protocol. {_meanings(columns)}{spread}",
        label="-".join(["mmedit", protocol, *columns]),
        columns=f"l{'r' * (len(titles) - 1)}",
        lines=[
            *(_spanning(columns) if len(columns) > 1 else ()),
            _line(map(_tex, titles)),
            r"\midrule",
            *map(_line, cells.values()),
        ],
    )


def _spanning(columns: Mapping[Task, Columns]) -> Iterator[str]:
    """The tasks above their columns."""
    ends = list(accumulate((len(of) for of in columns.values()), initial=1))
    spans = [rf"\multicolumn{{{len(of)}}}{{c}}{{{TASK_TITLES[task]}}}" for task, of in columns.items()]
    yield _line(["", *spans])
    yield "".join(rf"\cmidrule(lr){{{start + 1}-{end}}}" for start, end in pairwise(ends))


def _meanings(columns: Mapping[Task, Columns]) -> str:
    """What is counted; said once where it is the same for all tasks."""
    told = {task: meaning(of_task) for task, of_task in columns.items()}
    if len(set(told.values())) == 1:
        return f"{next(iter(told.values()))}."
    return " ".join(f"{TASK_TITLES[task]}: {text}." for task, text in told.items())


def _column(groups: Sequence[Group], of: Measure) -> dict[str, str]:
    """The means by name, the best of all methods in bold; one that sees answers is no match for others."""
    found = {_paper_name(group): (group, one) for group in groups if (one := group.of(of)) is not None}
    means = {name: number(one.estimate.mean, of) for name, (_, one) in found.items()}
    competing = [name for name in means if competes(found[name][0].runs[0])]
    best = max((float(means[name]) for name in competing), default=None)
    winners = {name for name in competing if float(means[name]) == best}
    bold = {name: rf"\textbf{{{text}}}" if name in winners else text for name, text in means.items()}
    return {name: text + _deviation(found[name][1], of) for name, text in bold.items()}


def _deviation(one: OverSeeds, of: Measure) -> str:
    """Smaller, as it is no number to compare."""
    return "" if one.deviation is None else rf"{{\scriptsize\,$\pm$\,{number(one.deviation, of)}}}"


def _paper_name(group: Group) -> str:
    run = group.runs[0]
    method = run.header.settings.method
    # Those of others keep their names.
    paper = PAPER_NAMES.get(method) or EDITORS.get(method, method).rpartition(":")[2]
    # Of a method that makes all edits at once, nobody asks how many there were of each task.
    return _tex(paper + ("" if run.whole else group.name.removeprefix(method)))


def latex(table: Table) -> str:
    """Any table of a report; one of many numbers with intervals takes a whole page's width."""
    wide = len(table.header) - 1 > IN_A_COLUMN
    rows = [_line(map(_tex, row)) for row in (table.header, *table.rows)]
    return _environment(
        "table*" if wide else "table",
        caption=f"{table.title}. {table.note}" if table.note else table.title,
        label=f"mmedit-{_slug(table.title)}",
        columns="l" + ("l" if table.words else "r") * (len(table.header) - 1),
        lines=[rows[0], r"\midrule", *rows[1:]],
        size=r"\scriptsize",
    )


def _environment(
    kind: str, *, caption: str, label: str, columns: str, lines: Sequence[str], size: str = r"\footnotesize"
) -> str:
    return "\n".join(
        [
            rf"\begin{{{kind}}}",
            r"\centering",
            rf"\caption{{{_tex(caption)}}}",
            rf"\label{{tab:{label}}}",
            size,
            r"\setlength{\tabcolsep}{3pt}",
            FITTING,
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}}",
            rf"\end{{{kind}}}",
            "",
        ]
    )


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _tex(text: str) -> str:
    return "".join(_TEX.get(letter, letter) for letter in text)
