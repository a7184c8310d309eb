"""Edits of a work folder to the JSON of MMEdit and EasyEdit, with their images, and back; also in from VLKEB.

An edit holds all that a row holds, so importing and exporting again gives equal rows; what would not come
back equal is refused on import.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from mmedit_build.digests import Digests
from mmedit_build.errors import UserError
from mmedit_build.files import is_file
from mmedit_build.formats import vlkeb
from mmedit_build.formats.edits import BARE, COCO, edit_of, imagined_of, in_coco, own_hops
from mmedit_build.formats.files import Dump, Placed, content_of, files_in, place, read_all
from mmedit_build.formats.mmedit import FILES
from mmedit_build.formats.rows import KEYS, ReleasedRow
from mmedit_build.image_files import image_path, name_in_source, read_image
from mmedit_build.rows import EditRow, Imagined, LocalityItem
from mmedit_build.sources.nq import PREFIX
from mmedit_build.store import growing, write_atomic
from mmedit_build.work import Work

_REPHRASED = re.compile(rf"(?:(?P<question_id>\d+)_)?{COCO.pattern}")


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote: rows of each file, image files, and what the rows name but is not there."""

    rows: dict[str, int]
    images: int
    missing_images: int
    without_locality: int
    """Rows with no text or no image item, which EasyEdit's loaders drop or refuse."""


def export_edits(edits: Iterable[EditRow], work: Work, out: Path) -> Exported:
    """Write the files that have rows, and copy the images that the rows name as they are.

    The edits are gone through once and not held. Files of rows are there, whole, when all else is.
    """
    images = _Images(work, out)
    files: dict[str, Dump] = {}
    without_locality = 0
    with ExitStack() as stack:
        for edit in edits:
            if edit.split is None:
                raise UserError(
                    f"The edit {edit.id} belongs to no split; run the stage mine to its end first."
                )
            row, name = to_row(edit), FILES[edit.task, edit.split]
            without_locality += not (row.loc and row.m_loc)
            images.copy(edit, row)
            if name not in files:
                files[name] = Dump(stack.enter_context(growing(out / name)))
            files[name].add(row)
        for file in files.values():
            file.end()
    rows = {name: file.rows for name, file in files.items()}
    return Exported(rows, images.copied, images.missing, without_locality)


def import_rows(folder: Path, work: Work, images: Path | None = None) -> Iterator[EditRow]:
    """The edits of a folder's files, one by one; images are looked for in `images`, or beside the files."""
    files = files_in(folder)
    if not files:
        names = ", ".join((*FILES.values(), *vlkeb.FILES))
        raise UserError(f"{folder} holds none of {names}; give the folder of these files.")
    seen, again = Digests(), Counter[str]()
    for one in read_all(files):
        try:
            _refuse_others(one.row)
            row_id = _row_id(one)
            if not seen.add(row_id):
                again[row_id] += 1
                row_id = f"{row_id}#{again[row_id] + 1}"
            edit = _to_edit(one, row_id, work, images or folder)
            _refuse_changes(one.row, to_row(edit))
        except UserError as error:
            raise UserError(f"{place(one.path, one.number)} cannot be imported: {error}") from error
        yield edit
    if not seen:
        raise UserError(f"{folder} holds no rows; give the folder of files that have some.")


def to_row(edit: EditRow) -> ReleasedRow:
    """The row of a finished edit; its first far locality items go along, or near ones if it has no others."""
    if edit.rephrase is None or edit.imagined is None or edit.locality is None:
        raise UserError(f"The edit {edit.id} is not finished; run the stages up to attach first.")
    text, image = _first(edit.locality.text), _first(edit.locality.image)
    name = _image_name(edit.image, edit.image_id)
    row = ReleasedRow(
        src=edit.question,
        pred=edit.prediction,
        rephrase=edit.rephrase.text,
        alt=edit.target,
        image=name,
        image_rephrase=_rephrase_name(edit, edit.imagined, name),
        loc="" if text is None else _fact_prompt(text),
        loc_ans="" if text is None else text.answer,
        m_loc=_item_name(image),
        m_loc_q="" if image is None else image.question,
        m_loc_a="" if image is None else image.answer,
    )
    more = dict(edit.released)
    if edit.portability is not None:
        more["port_new"] = [*more.get("port_new", ()), *map(vlkeb.port, own_hops(edit))]
    return replace(row, source={key: getattr(row, key) for key in KEYS} | more) if more else row


def _refuse_others(row: ReleasedRow) -> None:
    lacking = [key for key in KEYS if key not in row.source]
    if lacking or row.second is not None:
        what = f"lacks {', '.join(lacking)}" if lacking else "edits a fact along with the image"
        raise UserError(
            f"It {what}, unlike MMEdit's edits and those of VLKEB's {', '.join(vlkeb.FILES)}; judge it with "
            "mmedit-eval --dataset, or audit it with mmedit-build audit: neither needs an import."
        )


def _refuse_changes(row: ReleasedRow, again: ReleasedRow) -> None:
    for key in KEYS:
        said, meant = getattr(row, key), getattr(again, key)
        if said != meant:
            raise UserError(f"It has {said!r} as {key}, where the layout has {meant!r}; correct it.")


def _row_id(one: Placed) -> str:
    """The id of the source's row, which COCO's name of the rephrased image tells, or else the row's place."""
    row, (task, _) = one.row, content_of(one.path)
    if in_coco(row.image) is None:
        return f"{task}/{one.path.stem}/{one.number}"
    match = _REPHRASED.fullmatch(PurePosixPath(row.image_rephrase).name)
    number = match and (match["question_id"] if task == "vqa" else match["image_id"])
    if not match or not number:
        example = ("262148000_" if task == "vqa" else "") + "COCO_val2014_000000262148.png"
        raise UserError(f"Its image_rephrase is {row.image_rephrase!r}; it must be named like {example}.")
    return f"{task}/{match['subset']}/{int(number)}"


def _to_edit(one: Placed, edit_id: str, work: Work, images: Path) -> EditRow:
    """The edit of a row, with the digest of its rephrased image, and the keys that only its format has."""
    edit = edit_of(one, edit_id, lambda image: image and work.name(image_path(images, image, "It")))
    rephrased = image_path(images, one.row.image_rephrase, "It")
    digest = hashlib.sha256(_encoded(rephrased)).hexdigest() if is_file(rephrased) else ""
    return replace(
        edit,
        imagined=imagined_of(work.name(rephrased), digest),
        released={key: value for key, value in one.row.source.items() if key not in KEYS},
    )


def _first(items: Sequence[LocalityItem]) -> LocalityItem | None:
    return next((item for item in items if item.relation == "far"), items[0] if items else None)


def _fact_prompt(item: LocalityItem) -> str:
    return item.question if item.id.startswith(BARE) else PREFIX + item.question


def _item_name(item: LocalityItem | None) -> str:
    if item is None or item.image is None or item.image_id is None:
        return ""
    return _image_name(item.image, item.image_id)


def _image_name(image: str, image_id: str) -> str:
    """Where the layout has an image; COCO's file names tell the folder."""
    name = name_in_source(image, image_id)
    if not image_id.isdecimal():
        return name
    match = in_coco(name)
    if match is None:
        raise UserError(f"The image {image!r} is not named as COCO does, like COCO_val2014_000000262148.jpg.")
    return f"{match['subset']}/{name}"


def _rephrase_name(edit: EditRow, imagined: Imagined, image: str) -> str:
    """Where the layout has a rephrased image; an imported one stays in its folder."""
    painted = PurePosixPath(imagined.image)
    if not edit.image_id.isdecimal():
        return str(PurePosixPath(*painted.parts[-2:]))
    folder, name = f"{PurePosixPath(image).parent}_image_rephrase", PurePosixPath(image).stem + painted.suffix
    source_id = edit.id.rsplit("/", 1)[-1].split("#")[0]
    return f"{folder}/{source_id}_{name}" if edit.task == "vqa" else f"{folder}/{name}"


class _Images:
    """Copies the images that rows name, each once."""

    def __init__(self, work: Work, out: Path) -> None:
        self.copied = self.missing = 0
        self._work, self._out = work, out
        self._names, self._images = Digests(), Digests()

    def copy(self, edit: EditRow, row: ReleasedRow) -> None:
        """Those of an edit, under the names that its row has for them."""
        assert edit.imagined is not None
        assert edit.locality is not None
        item = _first(edit.locality.image)
        # Under one name of COCO there is one picture, wherever a source keeps it.
        self._copy(edit.image, row.image)
        if item is not None and item.image is not None:
            self._copy(item.image, row.m_loc)
        if not self._copy(edit.imagined.image, row.image_rephrase):
            raise UserError(f"Two edits would share the image {row.image_rephrase}; give them different ids.")

    def _copy(self, image: str, name: str) -> bool:
        """Whether what is under the name is this image."""
        if not self._names.add(name):
            return (name, image) in self._images
        self._images.add((name, image))
        path = self._work.path(image)
        if is_file(path):
            self.copied += 1
            _keep_or_write(self._out / name, _encoded(path))
        else:
            self.missing += 1
        return True


def _keep_or_write(path: Path, data: bytes) -> None:
    if not (is_file(path) and path.read_bytes() == data):
        write_atomic(path, data)


def _encoded(path: Path) -> bytes:
    try:
        return read_image(path)
    except OSError as error:
        raise UserError(f"Cannot read the image {path} ({error.strerror}); check it.") from error
