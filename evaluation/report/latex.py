"""Tables for papers: LaTeX with the packages booktabs and graphicx, in pages of one column or two."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise

from editors import EDITORS
from evaluation.report.blocks import Line, blocks
from evaluation.report.formats import TASK_TITLES, Table, meaning, number
from evaluation.report.runs import Run, competes
from evaluation.report.seeds import several
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
IN_A_COLUMN = {r"\footnotesize": 64, r"\scriptsize": 73}
"""How many letters of a size a column of a page has room for, or nearly: it makes them a little smaller."""
GAP = 1.4
"""How many letters would fit between two columns."""
MISSING = "--"
SPREAD = "Where there are several seeds, their mean and standard deviation."
MEANS = "Where there are several seeds, their mean."
"""Said of tables that are too wide for more."""
FITTING = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
"""Makes smaller what is too wide, and nothing else."""
_TEX = {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}", "~": r"\~{}"}
_TEX |= {"\\": r"\textbackslash{}", "^": r"\^{}", "±": r"$\pm$"}
_MARKUP = re.compile(r"\\[a-zA-Z]+|[\\{}$,]")
PREAMBLE = """\
% Tables of mmedit. The preamble of the paper needs
%   \\usepackage{booktabs,graphicx}
% and \\input{tables} shows all of them; what a paper does not want can be cut out, as each stands by itself.
"""
"""What the file of all tables begins with."""
Columns = Mapping[str, Measure]
"""What is in a table of means, by title."""


def paper_tables(runs: Mapping[Task, Sequence[Run]], columns: Mapping[Task, Columns]) -> list[str]:
    """The means of a protocol, whose columns are given: all tasks side by side, and each by itself.

    A setting with several seeds is one row, of their means and, for each task by itself, standard deviations:
    side by side they would be too small to read.
    """
    together = [list(columns)] if len(columns) > 1 else []
    return [
        _means(blocks({task: runs[task] for task in tasks}), {task: columns[task] for task in tasks})
        for tasks in (*together, *([task] for task in columns))
    ]


def _means(found: Mapping[str, Sequence[Line]], columns: Mapping[Task, Columns]) -> str:
    """Rows are methods, those of a model together; columns those of each task, one after the other."""
    alone = len(columns) == 1
    titles = ["Method", *(title for of_task in columns.values() for title in of_task)]
    rows = {title: _rows(lines, columns, spread=alone) for title, lines in found.items()}
    (protocol,) = {of.protocol for of_task in columns.values() for of in of_task.values()}
    names = " and ".join(TASK_TITLES[task] for task in columns)
    groups = [group for lines in found.values() for line in lines for group in line.groups.values()]
    seeds = f" {SPREAD if alone else MEANS}" if several(groups) else ""
    return _environment(
        [titles, *(row for of in rows.values() for row in of)],
        caption=f"{names}, {protocol} protocol. {_meanings(columns)}{seeds}",
        label="-".join(["mmedit", protocol, *columns]),
        columns=f"l{'r' * (len(titles) - 1)}",
        lines=[
            *(() if alone else _spanning(columns)),
            _line(map(_tex, titles)),
            *(line for title, of in rows.items() for line in _block(title if len(rows) > 1 else "", of)),
        ],
    )


def _block(title: str, rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows of a model, whose name stands above them if there are others."""
    above = [rf"\multicolumn{{{len(rows[0])}}}{{l}}{{\textit{{{_tex(title)}}}}} \\"] if title else []
    return [r"\midrule", *above, *map(_line, rows)]


def _rows(lines: Sequence[Line], columns: Mapping[Task, Columns], *, spread: bool) -> list[list[str]]:
    wanted = [(task, of) for task, of_task in columns.items() for of in of_task.values()]
    found = [_column(lines, task, of, spread=spread) for task, of in wanted]
    return [[_tex(_name(line)), *cells] for line, *cells in zip(lines, *found, strict=True)]


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


def _column(lines: Sequence[Line], task: Task, of: Measure, *, spread: bool) -> list[str]:
    """The means of some methods, the best in bold, with their deviations over seeds if they shall be there;
    one that sees answers is no match for others."""
    found = [line.groups[task].of(of) if task in line.groups else None for line in lines]
    means = [None if one is None else number(one.estimate.mean, of) for one in found]
    competing = [float(mean) for line, mean in zip(lines, means, strict=True) if mean and competes(line.run)]
    best = max(competing, default=None)
    return [
        MISSING
        if one is None or mean is None
        else _bold(mean, best=competes(line.run) and float(mean) == best) + _deviation(one, of, shown=spread)
        for line, one, mean in zip(lines, found, means, strict=True)
    ]


def _bold(text: str, *, best: bool) -> str:
    return rf"\textbf{{{text}}}" if best else text


def _deviation(one: OverSeeds, of: Measure, *, shown: bool) -> str:
    """Smaller, as it is no number to compare."""
    return (
        "" if one.deviation is None or not shown else rf"{{\scriptsize\,$\pm$\,{number(one.deviation, of)}}}"
    )


def _name(line: Line) -> str:
    method = line.run.header.settings.method
    # Of a method that makes all edits at once, nobody asks how many there were of each task.
    return _paper_name(method if line.run.whole else line.name)


def _paper_name(name: str) -> str:
    """A name as publications write it, which begins with that of a method."""
    method = re.match(r"[^ ,@]*", name)
    assert method is not None
    paper = PAPER_NAMES.get(method[0]) or EDITORS.get(method[0], method[0]).rpartition(":")[2]
    return paper + name[method.end() :]


def latex(table: Table) -> str:
    """Any table of a report, whose rows are methods."""
    rows = [table.header, *((_paper_name(name), *cells) for name, *cells in table.rows)]
    cells = [list(map(_tex, row)) for row in rows]
    return _environment(
        cells,
        caption=f"{table.title}. {table.note}" if table.note else table.title,
        label=f"mmedit-{_slug(table.title)}",
        columns="l" + ("l" if table.words else "r") * (len(table.header) - 1),
        lines=[_line(cells[0]), r"\midrule", *map(_line, cells[1:])],
        size=r"\scriptsize",
    )


def _environment(
    cells: Sequence[Sequence[str]],
    *,
    caption: str,
    label: str,
    columns: str,
    lines: Sequence[str],
    size: str = r"\footnotesize",
) -> str:
    """A table in a column of the page, or as wide as the page where its cells ask for that."""
    kind = "table*" if _letters(cells) > IN_A_COLUMN[size] else "table"
    return "\n".join(
        [
            rf"\begin{{{kind}}}",
            r"\centering",
            r"\setlength{\belowcaptionskip}{4pt}",
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


def _letters(cells: Sequence[Sequence[str]]) -> float:
    """How wide a table is, in letters."""
    shown = [[_MARKUP.sub("", cell) for cell in row] for row in cells]
    return sum(GAP + max(map(len, column)) for column in zip(*shown, strict=True))


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _tex(text: str) -> str:
    return "".join(_TEX.get(letter, letter) for letter in text)
