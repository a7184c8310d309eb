"""Published datasets to edits, without reading an image that nobody asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mmedit_build.anew import Anew
from mmedit_build.audit.dataset import Pictures, Target
from mmedit_build.errors import UserError
from mmedit_build.formats.edits import UNKNOWN, UNTOLD, imagined_of, portability_of, rephrase_of
from mmedit_build.formats.rows import STEPS, Hop
from mmedit_build.published import Row, check_filled, check_types, read_table
from mmedit_build.rows import SPLITS, TASKS, EditRow, Locality, LocalityItem, Split, Task

if TYPE_CHECKING:
    from datasets import Dataset

COLUMNS = (
    "id",
    "image_id",
    "question",
    "prediction",
    "target",
    "answers",
    "rephrase",
    "image_rephrase_digest",
    "text_locality",
    "image_locality",
    "portability",
)
IMAGES = ("image", "image_rephrase")
AT_ONCE = 1000
"""Rows that are taken from a download at a time."""
Reader = Callable[[Sequence[str]], Iterator[Row]]
"""Reads the rows of some ids, with their images."""


def from_folder(name: str, folder: Path) -> Target:
    """A published dataset on disk."""
    files = [
        (file, task, split)
        for task in TASKS
        for split in SPLITS
        for file in sorted((folder / "data" / task).glob(f"{split}-*.parquet"))
    ]

    def edits() -> Iterator[EditRow]:
        for file, task, split in files:
            yield from _edits(read_table(file, task, COLUMNS), task, split)

    def read(ids: Sequence[str]) -> Iterator[Row]:
        for file, task, _ in files:
            yield from read_table(file, task, ("id", *IMAGES), set(ids))

    return _target(name, edits, read)


def from_hub(name: str, revision: str | None = None) -> Target:
    """A published dataset on the Hub, or in the cache of what was loaded from it."""
    parts = _downloaded(name, revision)

    def edits() -> Iterator[EditRow]:
        for (task, split), dataset in parts.items():
            where = f"{name} ({task}, {split})"
            check_types(dataset.features.arrow_schema, task, (*COLUMNS, *IMAGES), where)
            present = [name for name in COLUMNS if name in dataset.column_names]
            for table in dataset.select_columns(present).with_format("arrow").iter(AT_ONCE):
                check_filled(table, where)
                yield from _edits(table.to_pylist(), task, split)

    def read(ids: Sequence[str]) -> Iterator[Row]:
        return (row for part in parts.values() for row in _chosen(part, set(ids)))

    return _target(name, edits, read)


def _target(name: str, read_edits: Callable[[], Iterator[EditRow]], read: Reader) -> Target:
    edits = Anew(read_edits)
    if not any(True for _ in edits):
        raise UserError(
            f"{name} holds no edits; give a dataset with the configurations {' or '.join(TASKS)}."
        )

    def embedded(ids: Sequence[str]) -> Mapping[str, Pictures]:
        return {row["id"]: Pictures(*(_encoded(row.get(name)) for name in IMAGES)) for row in read(ids)}

    return Target(name, edits, embedded=embedded)


def _encoded(image: Row | None) -> bytes | None:
    found = None if image is None else image["bytes"]
    return found if isinstance(found, bytes) else None


def _downloaded(name: str, revision: str | None) -> dict[tuple[Task, Split], Dataset]:
    from datasets import get_dataset_config_names, load_dataset
    from datasets.exceptions import DatasetsError

    try:
        present = set(get_dataset_config_names(name, revision=revision))
        loaded = {task: load_dataset(name, task, revision=revision) for task in TASKS if task in present}
    except (OSError, ValueError, RuntimeError, DatasetsError) as error:
        # The first line says what happened; the rest may name files of the cache.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"Cannot load {name} from the Hub: {reason}; check its name and the network."
        ) from error
    return {
        (task, split): parts[split] for task, parts in loaded.items() for split in SPLITS if split in parts
    }


def _chosen(part: Dataset, ids: set[str]) -> list[Row]:
    here = part.select_columns(["id"]).with_format("arrow")[:].column("id").to_pylist()
    wanted = [number for number, row_id in enumerate(here) if row_id in ids]
    columns = ["id", *(name for name in IMAGES if name in part.column_names)]
    rows: list[Row] = part.select_columns(columns).select(wanted).with_format("arrow")[:].to_pylist()
    return rows


def _edits(rows: Iterable[Row], task: Task, split: Split) -> Iterator[EditRow]:
    """The edits, with what the columns tell of them. An image is named by its id alone."""
    return (
        replace(
            UNTOLD,
            id=row["id"],
            task=task,
            split=split,
            image_id=str(row["image_id"]),
            question=row["question"] or "",
            answers=tuple(row["answers"] or ()),
            target=row["target"] or "",
            prediction=row["prediction"] or "",
            base=UNKNOWN,
            rephrase=rephrase_of(row["rephrase"] or ""),
            imagined=imagined_of("", row["image_rephrase_digest"] or ""),
            locality=Locality(text=_items(row["text_locality"]), image=_items(row["image_locality"])),
            portability=portability_of(map(_hop, row.get("portability") or ())),
        )
        for row in rows
    )


def _hop(row: Row) -> Hop:
    answer = next(iter(row["answers"] or ()), "")
    return Hop(row["relation"] or STEPS[0], row["question"] or "", answer, row["premise"] or "")


def _items(rows: Sequence[Row] | None) -> tuple[LocalityItem, ...]:
    """Items without their votes, which stay in tables of their own."""
    return tuple(
        LocalityItem(
            id=row["id"],
            relation=row.get("relation") or "far",
            image=None,
            image_id=None if row.get("image_id") is None else str(row["image_id"]),
            question=row["question"] or "",
            answers=(),
            answer=row["answer"] or "",
        )
        for row in rows or ()
    )
