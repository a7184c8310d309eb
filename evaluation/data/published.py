"""Published datasets to cases: Parquet files in a folder, or on the Hub."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import get_args

from evaluation.data.cases import Case, Kind, Picture, Probe, rephrases, right_answers
from evaluation.data.released import asked_hops
from mmedit_build.columns import POOLS, SOURCE_IMAGE
from mmedit_build.errors import UserError, first_line
from mmedit_build.formats.rows import STEPS, Hop
from mmedit_build.image_files import image_path
from mmedit_build.published import Row, read_table
from mmedit_build.rows import Nearness, Relation, Split, Task

EDIT_COLUMNS = (
    *("id", "image_id", "image_name", "question", "question_type", "target", "prediction", "answers"),
    *("rephrase", "image_rephrase", "text_locality", "image_locality", "gain", "portability", SOURCE_IMAGE),
)
POOL_COLUMNS = ("id", "answers")
RELATIONS: tuple[Relation, ...] = get_args(Relation)


def read_folder(folder: Path, task: Task, split: Split, images: Path | None = None) -> list[Case]:
    """The cases of one table; none if there is no such table."""
    rows = list(_rows(folder, task, split, EDIT_COLUMNS))
    if not rows:
        return []
    facts = {row["id"]: row for row in _rows(folder, "text_locality", split, POOL_COLUMNS)}
    others, missed = (_pool(folder, config, split, rows) for config in ("image_locality", "gain"))
    pools: dict[Kind, dict[str, Row]] = {
        "text_locality": facts,
        "image_locality": others,
        "gain": missed,
    }
    return [_case(row, (task, split), pools, images) for row in rows]


def _pool(folder: Path, config: str, split: Split, edits: Sequence[Row]) -> dict[str, Row]:
    """The questions about images that these edits name, by id."""
    asked = {item["id"] for row in edits for item in row.get(config) or ()}
    rows = _rows(folder, config, split, (*POOL_COLUMNS, "image_name", SOURCE_IMAGE))
    return {row["id"]: row for row in rows if row["id"] in asked}


def read_hub(name: str, task: Task, split: Split, images: Path | None = None) -> list[Case]:
    """The same from the Hub, or from the cache of what was loaded before; `name` may have an @revision."""
    from huggingface_hub import snapshot_download

    repository, _, revision = name.partition("@")
    wanted = [f"data/{config}/{split}-*" for config in (task, *POOLS)]
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
    pools: Mapping[Kind, dict[str, Row]],
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
            *asked_hops(_hops(row), row["id"], image),
            *(
                _item(kind, item, pool, row, images)
                for kind, pool in pools.items()
                for item in _whole(row.get(kind))
            ),
        ),
    )


def _hops(row: Row) -> list[Hop]:
    """What follows from the edit, where the dataset asks for it; hops that lack something cannot be asked."""
    asked = [hop for hop in row.get("portability") or () if hop["question"] and hop["answers"]]
    return [
        Hop(hop["relation"] or STEPS[0], hop["question"], hop["answers"][0], hop["premise"] or "")
        for hop in asked
    ]


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
        answers=right_answers(kind, item["answer"], row["answers"] or ()),
        relation=relation,
        image=None if kind == "text_locality" else _picture(row, images),
        nearness=_nearness(item),
        prefixed=not item["id"].startswith("bare/"),
    )


def _nearness(item: Row) -> Nearness | None:
    cosines = (item.get("text_cosine"), item.get("image_cosine"))
    return None if cosines == (None, None) else Nearness(*cosines)


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
