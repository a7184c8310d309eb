"""What must hold before a dataset is published, found all at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features

from mmedit_build.columns import CONFIGS
from mmedit_build.errors import UserError
from mmedit_build.files import exists
from mmedit_build.image_files import UNREADABLE, open_encoded
from mmedit_build.json_files import read_json
from mmedit_build.publishing.columns import features, image_columns
from mmedit_build.publishing.files import CARD, CHECKSUMS, MANIFEST, checksums, read_files
from mmedit_build.publishing.leaks import duplicates, leaks, loose_ends
from mmedit_build.publishing.reading import Tables, place, read
from mmedit_build.publishing.secrets import refuse_secrets
from mmedit_build.rows import EditRow

SHOWN = 5
"""How many problems the message names."""
_REMEDY_BUILD = "mend what is named and build it again"


def check_edits(edits: Iterable[EditRow]) -> None:
    """Refuse edits that lack what a stage should have added."""
    lacking = (
        f"{edit.id} has no {part}"
        for edit in edits
        for part in ("split", "rephrase", "imagined", "locality")
        if getattr(edit, part) is None
    )
    if not any(True for _ in edits):
        raise UserError(
            "There is no edit to publish: run the other stages first, and see what they rejected."
        )
    _refuse(lacking, "These edits are not finished", "run the stages that they miss")


def check_folder(folder: Path) -> None:
    """Refuse a dataset folder with broken files, wrong tables, secrets, broken images or leaks."""
    manifest = read_manifest(folder)
    paths = sorted(folder.glob("data/*/*.parquet"))
    # What comes later can be looked at only where nothing was found before.
    for problems in (
        _file_problems(folder, manifest),
        _schema_problems(paths, manifest),
        _content_problems(folder, paths, manifest),
    ):
        _refuse(problems, "This dataset cannot be published", _REMEDY_BUILD)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a dataset folder."""
    if not exists(folder / MANIFEST):
        raise UserError(f"There is no dataset in {folder} ({MANIFEST} is missing): build it first.")
    manifest = read_json(folder / MANIFEST, _REMEDY_BUILD)
    if not isinstance(manifest, dict) or not {"files", "rows", "recipe"} <= manifest.keys():
        raise UserError(f"{folder / MANIFEST} is no manifest of a dataset: {_REMEDY_BUILD}.")
    return manifest


def _refuse(problems: Iterator[str], what: str, remedy: str) -> None:
    first = list(islice(problems, SHOWN))
    if first:
        more = sum(1 for _ in problems)
        shown = "; ".join(first) + (f"; and {more} more" if more else "")
        raise UserError(f"{what}: {shown}. Remedy: {remedy}.")


def _file_problems(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
    listed: dict[str, dict[str, Any]] = manifest["files"]
    files = {file.name: file for file in read_files(folder)}
    yield from (f"the file {name} is missing" for name in listed if name not in files)
    sums = files.pop(CHECKSUMS, None)
    if sums is None or sums.path.read_text(encoding="utf-8") != checksums(files.values()):
        yield f"{CHECKSUMS} does not fit the files"
    for name, file in files.items():
        if name in listed and file.sha256 != listed[name]["sha256"]:
            yield f"the file {name} was changed after the build"
        if name not in listed and name != MANIFEST:
            yield f"the file {name} does not belong to the dataset"


def _schema_problems(paths: Sequence[Path], manifest: dict[str, Any]) -> Iterator[str]:
    rows: dict[str, dict[str, int]] = {}
    for path in paths:
        config, split = place(path)
        if config not in CONFIGS:
            yield f"{path.name} is in no known configuration but {config}"
            continue
        try:
            found, number = pq.read_schema(path), pq.read_metadata(path).num_rows
        except (OSError, pa.ArrowInvalid):
            yield f"{config}/{path.name} is no Parquet file"
            continue
        if Features.from_arrow_schema(found) != _features(config, manifest):
            yield f"{config}/{path.name} has other columns than those documented"
        counted = rows.setdefault(config, {})
        counted[split] = counted.get(split, 0) + number
    if rows != manifest["rows"]:
        yield f"the tables hold {rows} rows, but the manifest says {manifest['rows']}"


def _content_problems(folder: Path, paths: Sequence[Path], manifest: dict[str, Any]) -> Iterator[str]:
    tables = Tables.of(paths)
    # First of all, as other problems are told with words of the tables.
    about = {name: (folder / name).read_text(encoding="utf-8") for name in (CARD, MANIFEST)}
    refuse_secrets(about, tables, manifest["recipe"])
    for path in paths:
        yield from _image_problems(path, image_columns(place(path)[0], embedded=_embedded(manifest)))
    yield from duplicates(tables)
    yield from leaks(tables)
    yield from loose_ends(tables)


def _image_problems(path: Path, columns: Sequence[str]) -> Iterator[str]:
    # Few rows at a time, as each has images.
    for row in read(path, ["id", *columns], 64) if columns else ():
        for column in columns:
            if not _decodes(row[column]):
                yield f"the {column} of {row['id']} is no image that can be read"


def _decodes(value: dict[str, Any] | None) -> bool:
    """Whether an encoded image is there and whole. Pillow's `verify` alone lets truncated pixels pass."""
    try:
        data = (value or {})["bytes"]
        open_encoded(data).verify()
        open_encoded(data).load()
    except (*UNREADABLE, KeyError, TypeError):
        return False
    return True


def _features(config: str, manifest: dict[str, Any]) -> Features:
    extended, reviewed = "extend" in manifest["recipe"], "review" in manifest
    return features(config, embedded=_embedded(manifest), extended=extended, reviewed=reviewed)


def _embedded(manifest: dict[str, Any]) -> bool:
    return bool(manifest["recipe"]["publish"]["embed_source_images"])
