from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from evaluation.data.dataset import digest, load_cases
from mmedit_build.engine.shards import write_rows
from mmedit_build.publishing.tables import write_tables
from mmedit_build.rows import (
    Locality,
    LocalityItem,
    Nearness,
    Relation,
)
from mmedit_build.work import Work
from tests.evaluation.data.conftest import EDITS, FACT, without_pictures


def nearby(number: int, relation: Relation) -> LocalityItem:
    return LocalityItem(
        id=f"vqa/val2014/{number}0",
        relation=relation,
        image=f"images/{number}.jpg",
        image_id=str(number),
        question="how old",
        answers=("2", "3"),
        answer="2",
        prediction="9",
    )


BLIND = replace(FACT, id="vqa/val2014/1/no_image", relation="no_image", answers=(), answer="many")
NEAR_EDIT = replace(
    EDITS[0],
    locality=Locality(
        text=(FACT, BLIND),
        image=(nearby(2, "near_right"),),
        gain=(nearby(3, "near_wrong"),),
        nearness={
            FACT.id: Nearness(0.25, None),
            BLIND.id: Nearness(1.0, None),
            "vqa/val2014/20": Nearness(0.5, -0.5),
            "vqa/val2014/30": Nearness(0.75, 0.125),
        },
    ),
)


def test_what_lies_near_comes_through_a_dataset_as_it_was(work: Path, tmp_path: Path) -> None:
    write_rows(work / "attach" / "rows.jsonl", [NEAR_EDIT])
    write_tables([NEAR_EDIT], Work(work), tmp_path / "near", embedded=True)
    (here,), (there,) = load_cases(str(work)), load_cases(str(tmp_path / "near"))
    assert without_pictures(here) == without_pictures(there)
    assert digest([here]) == digest([there])
    told = [(one.kind, one.relation, one.answers, one.nearness) for one in there.probes[2:]]
    assert told == [
        ("text_locality", "far", ("Ada", "A."), Nearness(0.25, None)),
        ("text_locality", "no_image", ("many",), Nearness(1.0, None)),
        ("image_locality", "near_right", ("2", "3"), Nearness(0.5, -0.5)),
        # Only what most annotators say is right of what the base model answers wrong.
        ("gain", "near_wrong", ("2",), Nearness(0.75, 0.125)),
    ]
    assert [one.image for one in there.of("gain")] == [b"3 jpg"]


def test_a_dataset_of_an_earlier_version_has_nothing_near(work: Path) -> None:
    now = load_cases(str(work / "dataset"))
    for path in (work / "dataset" / "data" / "vqa").glob("*.parquet"):
        rows = pq.read_table(path).drop_columns(["gain"]).to_pylist()
        for row in rows:
            for item in (*row["text_locality"], *row["image_locality"]):
                item.pop("text_cosine")
                item.pop("image_cosine", None)
            for item in row["text_locality"]:
                item.pop("relation")
        pq.write_table(pa.Table.from_pylist(rows), path)
    assert load_cases(str(work / "dataset")) == now
