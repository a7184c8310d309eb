from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from PIL import Image

from mmedit_build.columns import HOPS
from mmedit_build.errors import UserError
from mmedit_build.publishing import writing
from mmedit_build.publishing.tables import write_tables
from mmedit_build.recipe import Recipe
from tests.mmedit_build.conftest import HOP, PORTABILITY


def read(folder: Path, config: str, split: str = "train") -> list[dict[str, Any]]:
    files = sorted((folder / "data" / config).glob(f"{split}-*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def test_what_follows_from_edits_has_columns_where_the_recipe_asks_for_it(world: Any) -> None:
    plain = world.build()
    assert not set(HOPS) & set(pq.read_schema(plain / "data/vqa/test-00000-of-00001.parquet").names)
    chat = {"model": {"kind": "endpoint", "model": "chat", "base_url": "http://localhost:1/v1"}}
    recipe = Recipe.model_validate(world.recipe().model_dump(mode="json") | {"extend": chat})
    edits = [replace(edit, portability=PORTABILITY if edit.task == "vqa" else None) for edit in world.edits]
    row, caption = (read(world.build(edits, recipe), task, "test")[0] for task in ("vqa", "caption"))
    assert row["portability"] == [
        {"relation": "1-hop", "question": HOP.question, "answers": [HOP.answer], "premise": HOP.premise}
    ]
    assert (row["portability_model"], row["portability_prompt"]) == ("chat", "extend#2")
    assert (caption["portability"], caption["portability_model"]) == ([], None)
    card = (world.work.dataset / "README.md").read_text()
    assert "| `portability`, `portability_model`" in card
    assert "| Portability by | chat |" in card


def test_captions_tell_what_is_wrong_with_them(world: Any) -> None:
    said = {"said_wrong": ("two cats",), "left_out": ("red boat",)}
    edits = [replace(edit, **(said if edit.task == "caption" else {})) for edit in world.edits]
    folder = world.build(edits)
    row = read(folder, "caption")[0]
    assert (row["said_wrong"], row["left_out"]) == (["two cats"], ["red boat"])
    assert not said.keys() & read(folder, "vqa")[0].keys()


def test_a_row_holds_all_that_is_known_of_its_edit(world: Any) -> None:
    edit = world.edits[0]
    row = read(world.build(), "vqa")[0]
    source, rendered = (world.work.path(name) for name in (edit.image, edit.imagined.image))
    assert row == {
        "id": "vqa/val2014/0",
        "image_id": "0",
        "image_name": "0.jpg",
        "image": {"bytes": source.read_bytes(), "path": "0.jpg"},
        "question": "What is in corner 0?",
        "question_type": "what is",
        "target": "cat",
        "prediction": "fish",
        "first_prediction": "fish",
        "confidence": 0.25,
        "answers": ["cat", "cat", "dög"],
        "rephrase": "Corner 0 has what?",
        "image_rephrase": {"bytes": rendered.read_bytes(), "path": "0.png"},
        "text_locality": [
            {
                "id": "nq/train",
                "relation": "far",
                "question": "who wrote the train?",
                "answer": "Ada",
                "text_cosine": None,
            }
        ],
        "image_locality": [
            {
                "id": f"okvqa/{number}",
                "relation": "far",
                "image_id": str(number),
                "question": "what is it for?",
                "answer": "play",
                "text_cosine": None,
                "image_cosine": None,
            }
            for number in (20, 8)
        ],
        "gain": [],
        "scores": [{"name": "evalai", "value": 0.5}, {"name": "official", "value": 0.0}],
        "base": "miniature/mllm",
        "rephrase_model": "chat",
        "rephrase_prompt": "rephrase#1f2e3d4c",
        "imagine_model": "miniature/diffusion",
        "imagine_prompt": "a cat",
        "imagine_strategy": "image-to-image",
        "imagine_seed": str(2**64 - 1),
        "image_rephrase_digest": edit.imagined.digest,
    }


def test_each_table_has_its_rows_in_the_order_given(world: Any) -> None:
    folder = world.build()
    found = {
        f"{config}/{split}": [row["id"].rpartition("/")[2] for row in read(folder, config, split)]
        for config in ("vqa", "caption", "text_locality", "image_locality")
        for split in ("train", "test")
    }
    assert found == {
        "vqa/train": ["0", "1", "2"],
        "vqa/test": ["3", "4"],
        "caption/train": ["5", "6"],
        "caption/test": ["7"],
        "text_locality/train": ["train"],
        "text_locality/test": ["test"],
        "image_locality/train": ["20", "8", "9", "10", "13", "14"],
        "image_locality/test": ["21", "11", "12", "15"],
    }


def test_datasets_loads_every_table_and_decodes_its_images(world: Any, tmp_path: Path) -> None:
    folder = world.build()
    for config, columns in (("vqa", ("image", "image_rephrase")), ("image_locality", ("image",))):
        loaded = load_dataset(str(folder), config, cache_dir=str(tmp_path / "cache"))
        assert set(loaded) == {"train", "test"}
        for row in [*loaded["train"], *loaded["test"]]:
            assert [row[column].size for column in columns] == [(64, 64)] * len(columns)
    facts = load_dataset(str(folder), "text_locality", split="test", cache_dir=str(tmp_path / "cache"))
    assert facts[0]["answers"] == ["Ada"]


def test_source_images_can_be_named_only(world: Any, tmp_path: Path) -> None:
    folder = world.build(recipe=world.recipe(embed_source_images=False))
    row = load_dataset(str(folder), "vqa", split="train", cache_dir=str(tmp_path / "cache"))[1]
    assert "image" not in row
    assert (row["image_id"], row["image_name"]) == ("1", "1.jpg")
    assert row["image_rephrase"].size == (64, 64)
    item = read(folder, "image_locality")[0]
    assert "image" not in item
    assert item["image_name"] == "20.jpg"
    source = world.work.path(world.edits[0].image).read_bytes()
    assert not any(source in path.read_bytes() for path in folder.rglob("*.parquet"))


def test_tables_are_cut_into_files_and_row_groups(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read(world.build(), "image_locality")
    monkeypatch.setattr(writing, "SHARD_BYTES", 24_000)
    monkeypatch.setattr(writing, "GROUP_ROWS", 2)
    folder = world.build()
    files = sorted(path.name for path in (folder / "data/image_locality").glob("train-*"))
    assert len(files) > 1
    assert files == [f"train-{n:05d}-of-{len(files):05d}.parquet" for n in range(len(files))]
    assert read(folder, "image_locality") == whole
    groups = pq.read_metadata(folder / "data/image_locality" / files[0])
    assert max(groups.row_group(n).num_rows for n in range(groups.num_row_groups)) == 2


def test_a_row_larger_than_a_file_gets_its_own(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "SHARD_BYTES", 1)
    assert len(list((world.build() / "data/vqa").glob("train-*"))) == 3


def test_row_groups_are_bounded_in_bytes(world: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(writing, "GROUP_BYTES", 1)
    (file,) = write_tables(world.edits, world.work, tmp_path, embedded=True)[0].files
    assert pq.read_metadata(tmp_path / file).num_row_groups == 3


def test_tables_without_rows_are_left_out(world: Any) -> None:
    folder = world.build([edit for edit in world.edits if edit.task == "vqa" and edit.split == "train"])
    assert sorted(path.name for path in (folder / "data").iterdir()) == [
        "image_locality",
        "text_locality",
        "vqa",
    ]
    assert [path.name for path in (folder / "data/vqa").iterdir()] == ["train-00000-of-00001.parquet"]


def test_an_item_that_lies_differently_to_two_edits_is_there_for_both(world: Any) -> None:
    near = replace(world.other("train"), relation="same_image")
    first = replace(world.edits[0], locality=replace(world.edits[0].locality, image=(near,)))
    folder = world.build([first, *world.edits[1:]])
    rows = [row["relation"] for row in read(folder, "image_locality") if row["id"] == "okvqa/20"]
    assert rows == ["same_image", "far"]


def test_images_keep_their_bytes_whatever_their_format(world: Any) -> None:
    path = world.work.sources / "odd.webp"
    Image.new("L", (5, 3), 77).save(path, quality=3)
    edit = replace(world.edits[0], image=str(path))
    row = read(world.build([edit, *world.edits[1:]]), "vqa")[0]
    assert row["image"] == {"bytes": path.read_bytes(), "path": "odd.webp"}


def test_a_missing_image_names_its_row(world: Any) -> None:
    world.work.path(world.edits[2].image).unlink()
    with pytest.raises(UserError, match=r"The row vqa/val2014/2 has no image: cannot read .*2\.jpg"):
        world.build()
    assert not world.work.dataset.exists()


def test_an_image_item_without_an_image_is_refused(world: Any) -> None:
    item = replace(world.other("train"), image=None)
    edit = replace(world.edits[0], locality=replace(world.edits[0].locality, image=(item,)))
    with pytest.raises(UserError, match="okvqa/20 names no image"):
        world.build([edit, *world.edits[1:]])
