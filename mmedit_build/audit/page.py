"""The audit as a page: one HTML file that asks for nothing else, with the numbers and rows to look at."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import islice
from pathlib import PurePath

from mmedit_build.audit.cards import card, choose
from mmedit_build.audit.dataset import Target
from mmedit_build.audit.judging import Kind
from mmedit_build.audit.report import Finding, Group, Report, percent
from mmedit_build.audit.style import STYLE
from mmedit_build.page import document

HEADINGS: dict[Kind, str] = {
    "never": "Must not happen",
    "fault": "Makes rows doubtful",
    "number": "Describes the dataset",
}


def render(target: Target, report: Report) -> bytes:
    """The page, in UTF-8."""
    title = f"Audit of {PurePath(report.target).name or report.target}"
    body = (
        f"<h1>{escape(title)}</h1>\n{_lead(report)}\n{_verdict(report)}\n"
        f"<h2>What was counted</h2>\n{_table(report.groups)}\n"
        f"{_examples(target, report)}\n"
        "<footer>Written by mmedit-build audit. Each measure is explained in docs/audit.md.</footer>"
    )
    return document(title, STYLE, body)


def _lead(report: Report) -> str:
    counts = ", ".join(f"{group.rows:,} {escape(group.name)}" for group in report.groups)
    return f'<p class="lead">{escape(report.target)}<br>{counts}</p>'


def _verdict(report: Report) -> str:
    wrong = {
        finding.title.lower(): None
        for group in report.groups
        for finding in group.findings
        if finding.kind == "never" and finding.count
    }
    if not wrong:
        return '<p class="verdict clean">Nothing was found that must not happen.</p>'
    return f'<p class="verdict never">It has what must not happen: {escape(", ".join(wrong))}.</p>'


def _table(groups: Sequence[Group]) -> str:
    heads = "".join(f"<th><b>{escape(group.name)}</b>{group.rows:,} rows</th>" for group in groups)
    body = "".join(_section(kind, heading, groups) for kind, heading in HEADINGS.items())
    return f"<table><thead><tr><th></th>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _section(kind: Kind, heading: str, groups: Sequence[Group]) -> str:
    rows = [
        _row(findings, groups)
        for findings in zip(*(group.findings for group in groups), strict=True)
        if findings[0].kind == kind and any(finding.of for finding in findings)
    ]
    head = f'<tr class="kind {kind}"><th colspan="{len(groups) + 1}">{heading}</th></tr>'
    return head + "".join(rows) if rows else ""


def _row(findings: Sequence[Finding], groups: Sequence[Group]) -> str:
    first = findings[0]
    cells = "".join(_cell(finding, group) for finding, group in zip(findings, groups, strict=True))
    head = f"<th>{escape(first.title)}<span>{escape(first.definition)}</span></th>"
    return f'<tr class="{first.kind}">{head}{cells}</tr>'


def _cell(finding: Finding, group: Group) -> str:
    name = escape(group.name)
    if finding.share is None:
        return f'<td class="nothing" data-group="{name}">n/a</td>'
    state = "number" if finding.kind == "number" else "found" if finding.count else "clean"
    bar = f'<span class="bar" aria-hidden="true"><i style="width:{finding.share:.2%}"></i></span>'
    shown = f"<b>{percent(finding.share)}</b>" if finding.count else "<b>none</b>"
    return (
        f'<td class="{state}" data-group="{name}"><div>{shown} '
        f"<span>{finding.count:,} of {finding.of:,}</span></div>{bar if finding.count else ''}</td>"
    )


def _examples(target: Target, report: Report) -> str:
    marks = choose(report)
    last = max(marks, default=-1) + 1
    edits = {place: edit for place, edit in enumerate(islice(target.edits, last)) if place in marks}
    pictures = target.pictures(list(edits.values()))
    cards = "\n".join(
        card(edits[place], found, pictures.get(edits[place].id)) for place, found in marks.items()
    )
    note = "" if pictures else " Their pictures are not at hand."
    return (
        "<h2>Rows to look at</h2>\n"
        f'<p class="lead">A few rows for each fault, and some without any.{note}</p>\n'
        f'<div class="cards">\n{cards}\n</div>'
    )
