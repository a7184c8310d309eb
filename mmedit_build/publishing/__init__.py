"""From finished edits to a dataset, in a folder or on the Hub."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from mmedit_build.errors import UserError
from mmedit_build.publishing.benchmark import baselines, benchmark_text
from mmedit_build.publishing.card import Story, card_text
from mmedit_build.publishing.check import check_edits, check_folder
from mmedit_build.publishing.files import (
    BENCHMARK,
    CARD,
    CHECKSUMS,
    MANIFEST,
    PICTURE,
    checksums,
    read_files,
)
from mmedit_build.publishing.hub import Preview, Published, check_access, preview, publish
from mmedit_build.publishing.manifest import Audit, Counts, StageCounts, manifest_text, provenance
from mmedit_build.publishing.picture import write_picture
from mmedit_build.publishing.tables import write_tables
from mmedit_build.recipe import Recipe
from mmedit_build.review.figures import Figures
from mmedit_build.rows import EditRow
from mmedit_build.store import REMEDY, write_atomic
from mmedit_build.work import Work

__all__ = [
    "Audit",
    "Counts",
    "Preview",
    "Published",
    "StageCounts",
    "build_dataset",
    "check_access",
    "check_folder",
    "preview",
    "publish",
]


def build_dataset(
    edits: Iterable[EditRow],
    work: Work,
    recipe: Recipe,
    counts: Counts,
    audit: Audit,
    review: Figures | None = None,
) -> Path:
    """Write the dataset of finished edits into the work folder, checked, whole or not at all.

    The same content gives the same bytes, and a dataset that has them already is left as it is. The edits are
    gone through several times, and never held.
    """
    check_edits(edits)
    target = work.dataset
    # Fixed names, so that what a killed build left behind is cleared by the next one.
    fresh, old = (target.with_name(f".{target.name}.{kind}") for kind in ("new", "old"))
    try:
        _clear(fresh)
        _recover(target, old)
        _write(fresh, edits, work, recipe, counts, audit, review)
        check_folder(fresh)
        if not _same(fresh, target):
            _swap(fresh, target, old)
    except OSError as error:
        where = "" if error.filename is None else f": {error.filename}"
        raise UserError(
            f"Cannot write the dataset to {target} ({error.strerror or error}{where}); {REMEDY}."
        ) from error
    finally:
        _clear(fresh)
    return target


def _write(
    folder: Path,
    edits: Iterable[EditRow],
    work: Work,
    recipe: Recipe,
    counts: Counts,
    audit: Audit,
    review: Figures | None,
) -> None:
    embedded = recipe.publish.embed_source_images
    extended, reviewed = recipe.extend is not None, review is not None
    parts = write_tables(edits, work, folder, embedded=embedded, extended=extended, reviewed=reviewed)
    made_by = provenance(edits)
    location = recipe.publish.repository or work.dataset.name
    if embedded:
        write_picture(folder / PICTURE, edits, work)
    if recipe.publish.eval_yaml:
        write_atomic(folder / BENCHMARK, benchmark_text(recipe, parts).encode())
    scores = baselines(recipe.publish.baselines)
    card = card_text(Story(made_by, recipe, counts, audit, parts, folder, location, review, scores))
    write_atomic(folder / CARD, card.encode())
    manifest = manifest_text(made_by, recipe, counts, audit, parts, read_files(folder), review)
    write_atomic(folder / MANIFEST, manifest.encode())
    write_atomic(folder / CHECKSUMS, checksums(read_files(folder)).encode())


def _same(one: Path, other: Path) -> bool:
    """Whether two folders hold the same files."""
    return _digests(one) == _digests(other)


def _digests(folder: Path) -> list[tuple[str, str]]:
    return [(file.name, file.sha256) for file in read_files(folder)]


def _recover(target: Path, old: Path) -> None:
    """Undo a swap that was killed between its two renames."""
    if old.exists() and not target.exists():
        old.rename(target)
    _clear(old)


def _swap(fresh: Path, target: Path, old: Path) -> None:
    """Put a folder in the place of another; the target is missing only between two renames."""
    if target.exists():
        target.rename(old)
    fresh.rename(target)
    _clear(old)


def _clear(*folders: Path) -> None:
    for folder in folders:
        if folder.exists():
            shutil.rmtree(folder)
