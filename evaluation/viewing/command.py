"""What the command `mmedit-eval view` does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmedit_build.console import progress
from mmedit_build.pages.serving import check_installed, serve


def view(folders: Sequence[Path], cache: Path, images: Path | None, port: int) -> None:
    """Index what has changed, and serve the page until Ctrl-C."""
    check_installed()
    from evaluation.viewing.app import viewer
    from evaluation.viewing.index import make_index

    serve(viewer(make_index(folders, cache, images, progress), folders, images), port)
