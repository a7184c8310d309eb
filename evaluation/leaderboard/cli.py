"""The options of `mmedit-eval submit` and `mmedit-eval leaderboard`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evaluation.options import Images, folder_of_results
from mmedit_build.places import named, place


def submit(
    run: Annotated[
        Path,
        typer.Argument(
            help="A folder that mmedit-eval wrote, or one run in it.", metavar="DIR", parser=folder_of_results
        ),
    ],
    to: Annotated[
        str,
        typer.Option(
            help="A dataset on the Hub (user/name), which gets a pull request, or a folder that is there.",
            parser=named,
            metavar="NAME",
        ),
    ],
    dataset: Annotated[
        str | None,
        typer.Option(
            help="The dataset of the results.", show_default="where it was", parser=named, metavar="NAME"
        ),
    ] = None,
    images: Images = None,
    limited: Annotated[
        bool, typer.Option("--limited", help="Hand in runs of only the first edits, which get no rank.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be sent, and check it.")
    ] = False,
) -> None:
    """Hand finished runs in to a leaderboard: headers, scores and raw answers."""
    from evaluation.leaderboard.commands import submit as hand_in

    for line in hand_in(run, to, dataset, images, limited=limited, dry_run=dry_run):
        typer.echo(line)


def leaderboard(
    entries: Annotated[
        str,
        typer.Argument(
            help="A folder of entries, or a dataset on the Hub (user/name, with or without @revision).",
            metavar="NAME",
            parser=named,
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for the page and the table.", parser=place, metavar="PATH")
    ],
) -> None:
    """Score all entries of a leaderboard again from their raw answers, and write its page."""
    from evaluation.leaderboard.commands import leaderboard as write

    for line in write(entries, out):
        typer.echo(line)
