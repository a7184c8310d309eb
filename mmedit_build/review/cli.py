"""The command `mmedit-build review`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmedit_build.errors import UserError, check_name
from mmedit_build.pages.options import USUAL_PORT, Port
from mmedit_build.pages.serving import serve
from mmedit_build.places import place

# The libraries that serve and count are imported inside, so that --help answers at once.
if TYPE_CHECKING:
    from mmedit_build.rows import EditRow, ReviewQuestion
    from mmedit_build.work import Work


def review(
    work: Annotated[
        Path, typer.Argument(help="The work folder of a finished build.", parser=place, metavar="WORK")
    ],
    who: Annotated[str | None, typer.Option(help="Your name; answers are kept under it.")] = None,
    rows: Annotated[int, typer.Option(min=1, help="How many rows to go through.")] = 100,
    doubtful: Annotated[
        bool, typer.Option("--doubtful", help="Those first whose scores only just passed; else drawn by lot.")
    ] = False,
    split: Annotated[str | None, typer.Option(help="Only rows of this split, train or test.")] = None,
    ask: Annotated[
        str | None, typer.Option(help="Only some of the questions: failure, rephrase, painting, locality.")
    ] = None,
    port: Port = USUAL_PORT,
    show: Annotated[
        bool, typer.Option("--show", help="Tell what people found so far, and how far they agree.")
    ] = False,
) -> None:
    """Judge rows one by one in a browser, with the keyboard: what `publish` shall leave out."""
    from mmedit_build.anew import Anew
    from mmedit_build.review.answers import open_answers
    from mmedit_build.review.asked import asked_of
    from mmedit_build.review.order import bars_of, doubtful_first, drawn
    from mmedit_build.review.server import app_of
    from mmedit_build.review.session import Session
    from mmedit_build.rows import SPLITS
    from mmedit_build.work import Work

    folder = Work(work)
    edits = _finished(folder)
    if show:
        _show(folder, edits)
        return
    if who is None:
        raise UserError("Say who you are with --who NAME, or look at what people found with --show.")
    if split is not None:
        check_name("split", split, SPLITS)
    questions = _questions(ask)
    chosen = Anew(
        lambda: (edit for edit in edits if split in (None, edit.split) and asked_of(edit, questions))
    )
    ordered = doubtful_first(chosen, bars_of(folder, questions), rows) if doubtful else drawn(chosen, rows)
    with open_answers(folder, who) as answers:
        session = Session(who, ordered, answers, folder, questions)
        serve(app_of(session), port)
        done = session.state()
    typer.echo(f"{done['judged']} of {done['rows']} rows are judged; the same command goes on from there.")


def _questions(ask: str | None) -> tuple[ReviewQuestion, ...]:
    """The questions that are named, in their usual order."""
    from mmedit_build.review.asked import QUESTIONS

    named = QUESTIONS if ask is None else tuple(name.strip() for name in ask.split(","))
    for name in named:
        check_name("question of a review", name, QUESTIONS)
    return tuple(question for question in QUESTIONS if question in named)


def _finished(work: Work) -> Iterable[EditRow]:
    from mmedit_build.anew import Anew
    from mmedit_build.build import stored_rows

    stage = work.finished
    if stage is None:
        raise UserError(
            f"{work.folder} holds no finished edits; give the work folder of a build that has come as far as "
            "`attach`."
        )
    return Anew(lambda: stored_rows(work, stage))


def _show(work: Work, edits: Iterable[EditRow]) -> None:
    from rich.console import Console
    from rich.table import Table

    from mmedit_build.recipe import Review
    from mmedit_build.review.answers import read_answers
    from mmedit_build.review.figures import figures
    from mmedit_build.review.telling import (
        AGREEMENT,
        ALONE,
        ERRORS,
        agreement_lines,
        error_lines,
        people_lines,
        rule_text,
    )

    said = read_answers(work)
    if not said:
        raise UserError(f"Nobody has judged a row of {work.folder} yet; begin with --who NAME.")
    found = figures(edits, said, Review())
    for title, head, lines in (
        ("Answers", ("who", "yes", "no", "cannot tell"), people_lines(said)),
        ("Errors in rows drawn by lot", ERRORS, error_lines(found)),
        *([("Agreement", AGREEMENT, agreement_lines(found))] if found.agreement else []),
    ):
        table = Table(*head, title=title, title_justify="left")
        for line in lines:
            table.add_row(*line)
        Console().print(table)
    if not found.agreement:
        typer.echo(ALONE)
    typer.echo(f"{rule_text(found.rule)} `publish` goes by what its recipe says of this.")
