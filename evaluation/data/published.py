"""Published datasets to cases: Parquet files in a folder, or on the Hub."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

from evaluation.data.cases import Case, Kind, Picture, Probe, rephrases
from mmedit_build.columns import SOURCE_IMAGE
from mmedit_build.errors import UserError, first_line
from mmedit_build.image_files import image_path
from mmedit_build.published import Row, read_table
from mmedit_build.rows import Relation, Split, Task

EDIT_COLUMNS = (
    *("id", "image_id", "image_name", "question", "question_type", "target", "prediction", "answers"),
    *("rephrase", "image_rephrase", "text_locality", "image_locality", SOURCE_IMAGE),
)
POOL_COLUMNS = ("id", "answers")
RELATIONS: tuple[Relation, ...] = get_args(Relation)


def read_folder(folder: Path, task: Task, split: Split, images: Path | None = None) -> list[Case]:
    """The cases of one table; none if there is no such table."""
    rows = list(_rows(folder, task, split, EDIT_COLUMNS))
    if not rows:
        return []
    facts = {row["id"]: row for row in _rows(folder, "text_locality", split, POOL_COLUMNS)}
    asked = {item["id"] for row in rows for item in row["image_locality"] or ()}
    pool = _rows(folder, "image_locality", split, (*POOL_COLUMNS, "image_name", SOURCE_IMAGE))
    others = {row["id"]: row for row in pool if row["id"] in asked}
    return [_case(row, (task, split), facts, others, images) for row in rows]


def read_hub(name: str, task: Task, split: Split, images: Path | None = None) -> list[Case]:
    """The same from the Hub, or from the cache of what was loaded before; `name` may have an @revision."""
    from huggingface_hub import snapshot_download

    repository, _, revision = name.partition("@")
    wanted = [f"data/{config}/{split}-*" for config in (task, "text_locality", "image_locality")]
    try:
        folder = snapshot_download(
            repository, repo_type="dataset", revision=revision or None, allow_patterns=wanted
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(
            f"Cannot load {name} from the Hub ({first_line(error)}); check its name and the network, or "
            "give the path of a dataset."
        ) from error
    return read_folder(Path(folder), task, split, images)


def _rows(folder: Path, config: str, split: Split, columns: tuple[str, ...]) -> Iterator[Row]:
    """The rows of a table, with the source's image where it is embedded."""
    for path in sorted((folder / "data" / config).glob(f"{split}-*.parquet")):
        yield from read_table(path, config, columns)


def _case(
    row: Row,
    where: tuple[Task, Split],
    facts: dict[str, Row],
    others: dict[str, Row],
    images: Path | None,
) -> Case:
    image, question, target = _picture(row, images), row["question"] or "", row["target"] or ""
    painted = None if row["image_rephrase"] is None else row["image_rephrase"]["bytes"]
    return Case(
        id=row["id"],
        task=where[0],
        split=where[1],
        image=image,
        image_id=str(row["image_id"]),
        # What a row lacks is told when its edit is judged, which is then skipped.
        question=question,
        question_type=row["question_type"] or "unknown",
        target=target,
        prediction=row["prediction"] or "",
        answers=tuple(row["answers"] or ()),
        probes=(
            *rephrases(target, image, question, row["rephrase"], painted),
            *(_item("text_locality", item, facts, row, images) for item in _whole(row["text_locality"])),
            *(_item("image_locality", item, others, row, images) for item in _whole(row["image_locality"])),
        ),
    )


def _whole(items: Sequence[Row] | None) -> list[Row]:
    """The locality items that can be asked."""
    return [item for item in items or () if item["question"] and item["answer"]]


def _item(kind: Kind, item: Row, pool: dict[str, Row], edit: Row, images: Path | None) -> Probe:
    row = pool.get(item["id"])
    if row is None:
        raise UserError(
            f"The edit {edit['id']} names the locality item {item['id']}, which the dataset does not hold; "
            "publish or copy it again, whole."
        )
    relation = item.get("relation") or "far"
    if relation not in RELATIONS:
        raise UserError(
            f"The locality item {item['id']} of the edit {edit['id']} has the relation {relation!r}; it is "
            f"one of {', '.join(RELATIONS)}."
        )
    return Probe(
        kind=kind,
        id=item["id"],
        question=item["question"],
        answers=tuple(dict.fromkeys((item["answer"], *(row["answers"] or ())))),
        relation=relation,
        image=_picture(row, images) if kind == "image_locality" else None,
        prefixed=not item["id"].startswith("bare/"),
    )


def _picture(row: Row, images: Path | None) -> Picture:
    """The embedded image, or the file of its name."""
    embedded = row.get("image")
    if embedded is not None and embedded["bytes"] is not None:
        return bytes(embedded["bytes"])
    if images is None:
        raise UserError(
            f"The dataset names the image {row['image_name']} but does not hold it; give the folder of the "
            "source's images with --images."
        )
    return image_path(images, str(row["image_name"]), f"The row {row['id']}")
