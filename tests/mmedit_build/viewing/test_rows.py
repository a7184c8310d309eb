from __future__ import annotations

from pathlib import Path

import pytest

from mmedit_build.console import silent
from mmedit_build.errors import UserError
from mmedit_build.image_files import read_image
from mmedit_build.pages.index import Index
from mmedit_build.viewing.detail import detail, find_picture
from mmedit_build.viewing.index import make_index
from mmedit_build.viewing.lists import Wanted, about, find_rows
from mmedit_build.work import ROWS, Work


def listed(index: Index, **wanted: object) -> list[str]:
    with index.reading() as connection:
        total, rows = find_rows(connection, Wanted.model_validate(wanted))
    assert total == len(rows)
    return [row["id"].removeprefix("vqa/val2014/") for row in rows]


def row_of(index: Index, name: str, stage: str) -> int:
    with index.reading() as connection:
        rows = find_rows(connection, Wanted(stage=stage, text=name))[1]
    return int(rows[0]["row"])


def test_each_row_of_each_stage_is_counted_once(index: Index) -> None:
    with index.reading() as connection:
        stages = {one["stage"]: one for one in about(connection)["stages"]}
    ends = {name: (one["out"], one["rejected"], one["failed"]) for name, one in stages.items()}
    assert ends == {"mine": (8, 2, 1), "rephrase": (1, 1, 0), "published": (8, 0, 0)}
    reasons = {one["reason"]: one["number"] for one in stages["mine"]["reasons"]}
    assert reasons == {"answered right": 1, "more than wanted": 1, "No image.": 1}


def test_filters_words_and_orders(index: Index) -> None:
    assert listed(index, stage="mine", status="rejected") == ["surplus", "right"]
    assert listed(index, status="failed") == ["lost"]
    assert listed(index, reason="rephrase: judge") == ["1"]
    assert listed(index, stage="published", split="test", task="vqa") == ["3", "4"]
    assert listed(index, text="WHO SITS") == ["1"]
    assert listed(index, stage="mine", text="corner 3%") == []
    first = listed(index, stage="mine", status="out", score="confidence")
    assert first[-1] == "1"
    assert len(listed(index, stage="mine", score="evalai", order="down")) == 11


def test_a_row_has_what_was_tried_and_what_became_of_it(index: Index) -> None:
    with index.reading() as connection:
        told = detail(connection, row_of(index, "vqa/val2014/1", "rephrase"))
    assert [(one["stage"], one["status"]) for one in told["history"]] == [
        ("mine", "out"),
        ("rephrase", "rejected"),
        ("published", "out"),
    ]
    (candidate,) = told["record"]["rephrase"]["candidates"]
    assert candidate["reason"] == "judge: not the same question"


def test_pictures_are_those_of_the_row(index: Index, work: Work) -> None:
    rephrased = row_of(index, "vqa/val2014/0", "rephrase")
    published = row_of(index, "vqa/val2014/0", "published")
    with index.reading() as connection:
        for name, path in (
            ("image", "sources/0.jpg"),
            ("painting", "images/0.png"),
            ("image/1", "sources/8.jpg"),
        ):
            file, _ = find_picture(connection, work.folder, rephrased, name)
            assert file == str(work.folder / path)
            _, data = find_picture(connection, work.folder, published, name)
            assert data == read_image(work.folder / path)
        for name in ("image/9", "candidates/0", "text/0", "../secret"):
            with pytest.raises(UserError, match="no such picture"):
                find_picture(connection, work.folder, rephrased, name)


def test_a_published_dataset_alone_can_be_looked_at(work: Work, tmp_path: Path) -> None:
    index = make_index(work.dataset, tmp_path / "cache", silent)
    assert len(listed(index, stage="published")) == 8
    with index.reading() as connection:
        told = detail(connection, row_of(index, "vqa/val2014/0", "published"))
    assert [item["id"] for item in told["record"]["locality"]["image"]] == ["okvqa/20", "okvqa/8"]


def test_what_a_stage_does_later_is_seen_at_the_next_start(index: Index, work: Work, tmp_path: Path) -> None:
    rows = work.stage("mine") / ROWS
    rows.write_bytes(b"".join(rows.read_bytes().splitlines(keepends=True)[:2]))
    with index.reading() as connection, pytest.raises(UserError, match="changed meanwhile"):
        detail(connection, row_of(index, "caption/val2014/7", "mine"))
    again = make_index(work.folder, tmp_path / "cache", silent)
    assert len(listed(again, stage="mine", status="out")) == 2


def test_a_folder_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There are no rows"):
        make_index(tmp_path, tmp_path / "cache", silent)
