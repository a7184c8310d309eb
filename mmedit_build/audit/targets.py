"""What can be audited: a work folder, a published dataset on disk or on the Hub, and released JSON files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from mmedit_build.anew import Anew
from mmedit_build.audit.dataset import Target
from mmedit_build.audit.parquet import from_folder, from_hub
from mmedit_build.build import stored_rows
from mmedit_build.errors import UserError
from mmedit_build.files import is_file, is_folder
from mmedit_build.formats.edits import edit_of, portability_of
from mmedit_build.formats.files import Placed, files_in, place, read_all
from mmedit_build.image_files import image_path
from mmedit_build.rows import TASKS, EditRow
from mmedit_build.storage.copies import at_home
from mmedit_build.work import ROWS, STAGES, Work

_HUB_ID = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(?:@(?P<revision>\S+))?")


def open_target(target: str) -> Target:
    """The file or folder of that name if there is one, else the dataset on the Hub (id or id@revision)."""
    path = Path(at_home(target))
    if is_file(path):
        return _released(target, [path], path.parent)
    if is_folder(path):
        return _folder(target, path)
    match = _HUB_ID.fullmatch(target)
    if match is None:
        raise UserError(
            f"There is no file or folder {target}; check its path, or give user/name for the Hub."
        )
    return from_hub(match["name"], match["revision"])


def from_edits(name: str, edits: Iterable[EditRow], work: Work) -> Target:
    """Edits of any stage, which are gone through several times; those in no split yet are left out."""
    return Target(
        name,
        Anew(lambda: (edit for edit in edits if edit.split is not None)),
        (lambda edit: _files(edit, work)) if _at_hand(edits, work) else None,
    )


def _folder(target: str, path: Path) -> Target:
    stage = next((stage for stage in reversed(STAGES) if (path / stage / ROWS).is_file()), None)
    if stage is not None:
        return _work(target, Work(path), stage)
    if any((path / "data" / task).is_dir() for task in TASKS):
        return from_folder(target, path)
    files = files_in(path) or sorted(path.glob("*.json"))
    if not files:
        raise UserError(
            f"{path} is neither a work folder with a finished stage, nor a published dataset (data/vqa, "
            "data/caption), nor a folder of JSON files such as MMEdit's or VLKEB's; give one of these."
        )
    return _released(target, files, path)


def _work(target: str, work: Work, stage: str) -> Target:
    opened = from_edits(target, Anew(lambda: stored_rows(work, stage)), work)
    if not any(True for _ in opened.edits):
        raise UserError(
            f"{work.stage(stage) / ROWS} holds no edits that belong to a split; run the stage again."
        )
    return opened


def _released(target: str, paths: Sequence[Path], images: Path) -> Target:
    edits = [_of_row(one, images) for one in read_all(paths)]
    if not edits:
        raise UserError(f"{target} holds no rows with one image each; give another file.")
    return from_edits(target, edits, Work(images))


def _of_row(one: Placed, images: Path) -> EditRow:
    """The edit of a released row, which its place names."""
    row_id = place(Path(one.path.name), one.number)
    edit = edit_of(one, row_id, lambda image: image and str(image_path(images, image, row_id).absolute()))
    return replace(edit, portability=portability_of(one.row.hops))


def _files(edit: EditRow, work: Work) -> tuple[Path, ...]:
    painted = edit.imagined.image if edit.imagined else ""
    return (work.path(edit.image), *((work.path(painted),) if painted else ()))


def _at_hand(edits: Iterable[EditRow], work: Work) -> bool:
    """Whether any original is there: MMEdit's JSON often lies on a disk without its images."""
    return any(is_file(work.path(edit.image)) for edit in edits)
