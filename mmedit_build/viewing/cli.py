"""The command `mmedit-build view`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmedit_build.errors import UserError
from mmedit_build.files import is_folder
from mmedit_build.pages.options import USUAL_CACHE, USUAL_PORT, IndexCache, Port
from mmedit_build.places import place
from mmedit_build.storage.addresses import shown


def view(
    work: Annotated[
        Path,
        typer.Argument(
            help="A work folder, finished or not, or a published dataset.", parser=place, metavar="WORK"
        ),
    ],
    port: Port = USUAL_PORT,
    cache: IndexCache = USUAL_CACHE,
) -> None:
    """Look at all rows of all stages in a browser: what came out, what was rejected and why, what was tried.

    The page is served to this machine alone, until Ctrl-C. The first look makes an index.
    """
    from mmedit_build.console import progress
    from mmedit_build.pages.serving import check_installed, serve

    if not is_folder(work):
        raise UserError(
            f"There is no folder {shown(work)}; give the work folder of a build, or a published dataset."
        )
    check_installed()
    from mmedit_build.viewing.app import viewer
    from mmedit_build.viewing.index import make_index

    serve(viewer(make_index(work, cache, progress), work), port)
