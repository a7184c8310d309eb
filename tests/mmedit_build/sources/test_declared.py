"""What sources say that they have, before any of them is there, is what they then have."""

from __future__ import annotations

from pathlib import Path

import datasets
import pytest

from mmedit_build.miniature.sources import write_sources
from mmedit_build.recipe import Draw, HubFacts, HubQuestions
from mmedit_build.recipe.loading import load_recipe
from mmedit_build.rows import Task
from mmedit_build.sources.declared import declared
from mmedit_build.sources.reading import read_examples, read_facts, read_image_pool
from mmedit_build.work import Work

pytestmark = pytest.mark.usefixtures("_own_cache")


def test_what_is_drawn_is_what_was_said(tmp_path: Path) -> None:
    recipe, draw, work = load_recipe("miniature"), Draw(train_images=3, val_images=2), Work(tmp_path)
    sources, attach = recipe.sources, recipe.attach
    said = [declared(of, draw, work) for of in (sources.vqa, sources.captions, attach.text, attach.image)]
    assert not work.sources.exists()
    write_sources(work.sources, **draw.model_dump())
    examples = read_examples(sources, work, limit=None, caption_prompt="")

    def number(task: Task) -> int:
        return sum(row.task == task for row in examples)

    pools = [len(read_facts(attach.text, work)), len(read_image_pool(attach.image, work))]
    assert said == [number("vqa"), number("caption"), *pools]
    # What is there is counted.
    assert [declared(of, None, work) for of in (sources.vqa, sources.captions)] == said[:2]


def test_a_dataset_tells_by_its_card_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "questions"
    folder.mkdir()
    rows = datasets.Dataset.from_dict({"question": ["who"] * 7})
    rows.to_parquet(folder / "train-00000-of-00001.parquet")
    source = HubQuestions(kind="hub", dataset=str(folder), split="train")
    assert declared([source], None, Work(tmp_path)) is None
    sizes = "- {name: train, num_examples: 7}\n  - {name: test, num_examples: 5}"
    (folder / "README.md").write_text(f"---\ndataset_info:\n  splits:\n  {sizes}\n---\n")
    assert declared([source], None, Work(tmp_path)) == 7
    some = HubFacts(kind="hub", dataset=str(folder), split="train[:2]+test")
    assert declared([source, some], None, Work(tmp_path)) == 7 + 7 + 5
