"""Sources that an installed package adds: the one of the documentation is read, checked, and mined."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from mmedit_build.cli import app
from mmedit_build.errors import UserError
from mmedit_build.miniature.sources import Sources as Drawn
from mmedit_build.recipe import Sources
from mmedit_build.recipe.loading import load_recipe
from mmedit_build.sources.reading import read_examples, read_facts, read_image_pool
from mmedit_build.work import Work
from tests.mmedit_build.conftest import Install

DOCS = Path(__file__).parents[3] / "docs" / "building.md"
POINTS = "[mmedit.sources]\ngqa = gqa_source:GQA\nfacts = more_sources:Facts\nseen = more_sources:Seen\n"
MORE = """
from mmedit_build.sources.coco import CaptionedImage
from mmedit_build.sources.nq import Fact
from mmedit_build.sources.own import OwnCaptions, OwnFacts

class Facts(OwnFacts):
    first: str

    def rows(self, place):
        place.folder.mkdir(parents=True)
        (place.folder / "told").write_text(self.first)
        return [Fact("all/0", self.first, ("Ada",)), Fact("all/1", "nobody answers", ())]

class Seen(OwnCaptions):
    subset: str = "seen"

    def rows(self, place):
        image = place.path("{sources}/n1.jpg")
        return [CaptionedImage("n1-a", self.subset, image, ("A cat.",)), *self.more()]

    def more(self):
        return ["A dog."] if self.subset == "wrong" else []
"""


@pytest.fixture(autouse=True)
def _package(install: Install, tmp_path: Path) -> Iterator[None]:
    """The package that the documentation shows, and two more classes."""
    (code,) = [one for one in re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL) if "GQA" in one]
    (tmp_path / "gqa_source.py").write_text(code)
    (tmp_path / "more_sources.py").write_text(MORE)
    install("theirs", POINTS)
    yield
    for name in ("gqa_source", "more_sources"):
        sys.modules.pop(name, None)


@pytest.fixture
def gqa(tmp_path: Path, drawn: Drawn) -> dict[str, Any]:
    """GQA's layout over drawings, as a recipe names it."""
    asked = json.loads((drawn.folder / "vqa" / "v2_OpenEnded_mscoco_val2014_questions.json").read_text())
    content, images = {}, tmp_path / "images"
    images.mkdir()
    for row in asked["questions"]:
        name = f"n{row['image_id']}"
        picture = drawn.image_folder("val2014") / f"COCO_val2014_{row['image_id']:012d}.jpg"
        (images / f"{name}.jpg").write_bytes(picture.read_bytes())
        content[f"07{row['question_id']}"] = {
            "imageId": name,
            "question": row["question"],
            "answer": "nothing of the kind",
            "types": {"semantic": "attr"},
        }
    (tmp_path / "gqa.json").write_text(json.dumps(content))
    return {"kind": "gqa", "questions": str(tmp_path / "gqa.json"), "images": str(images)}


def test_its_rows_are_examples_with_ids_that_are_words(gqa: dict[str, Any], tmp_path: Path) -> None:
    sources = Sources.model_validate({"vqa": [gqa]})
    rows = read_examples(sources, Work(tmp_path / "work"), limit=3, caption_prompt="a photo of")
    assert len(rows) == 3
    assert re.fullmatch(r"vqa/gqa/07\d+", rows[0].id)
    assert rows[0].image_id.startswith("n")
    assert rows[0].answers == ("nothing of the kind",) * 10
    assert Path(rows[0].image).is_file()
    items = read_image_pool(sources.vqa, Work(tmp_path / "work"))
    assert len(items) == 30
    assert items[0].answer == "nothing of the kind"


def test_captions_and_facts_can_be_added_too(tmp_path: Path) -> None:
    work = Work(tmp_path / "work")
    seen = Sources.model_validate({"captions": [{"kind": "seen"}]})
    (row,) = read_examples(seen, work, limit=None, caption_prompt="a photo of")
    assert (row.id, row.image, row.answers) == ("caption/seen/n1-a", "sources/n1.jpg", ("A cat.",))
    recipe = recipe_with(tmp_path, "attach", {"text": [{"kind": "facts", "first": "who"}]})
    (fact,) = read_facts(load_recipe(str(recipe)).attach.text, work)
    assert (fact.id, fact.question, fact.answer) == ("nq/all/0", "who", "Ada")
    assert (work.sources / "facts" / "told").read_text() == "who"


def recipe_with(folder: Path, section: str, content: dict[str, Any]) -> Path:
    path = folder / "mine.yaml"
    few = {"train_images": 2, "val_images": 4}
    path.write_text(yaml.safe_dump({"extends": "miniature", "name": "mine", "draw": few, section: content}))
    return path


def test_a_benchmark_is_mined_from_it(gqa: dict[str, Any], tmp_path: Path) -> None:
    recipe = recipe_with(tmp_path, "sources", {"vqa": [gqa]})
    shown = CliRunner().invoke(app, ["recipe", "show", str(recipe)]).stdout
    assert yaml.safe_load(shown)["sources"]["vqa"] == [gqa]
    done = CliRunner().invoke(app, ["mine", str(recipe), "--work", str(tmp_path / "work"), "--limit", "6"])
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in (tmp_path / "work" / "mine" / "rows.jsonl").open()]
    mined = [row for row in rows if row["task"] == "vqa"]
    assert mined
    assert all(row["id"].startswith("vqa/gqa/07") for row in mined)


@pytest.mark.parametrize(
    ("section", "content", "message"),
    [
        ("sources", {"vqa": [{"kind": "gqq"}]}, "There is no kind of sources 'gqq'; did you mean 'gqa'?"),
        ("sources", {"vqa": [{"kind": "gqa", "questions": "a"}]}, "images: Field required"),
        (
            "sources",
            {"vqa": [{"kind": "gqa", "questions": "a", "images": "b", "image": "c"}]},
            "image: Extra inputs are not permitted",
        ),
        (
            "sources",
            {"vqa": [{"kind": "facts", "first": "who"}]},
            "more_sources:Facts gives no questions: that does a class derived from OwnQuestions",
        ),
    ],
)
def test_what_is_wrong_in_a_recipe_is_told_when_it_is_read(
    tmp_path: Path, section: str, content: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        load_recipe(str(recipe_with(tmp_path, section, content)))


def test_what_it_lacks_is_told_before_anything_begins(gqa: dict[str, Any], tmp_path: Path) -> None:
    recipe = recipe_with(tmp_path, "sources", {"vqa": [{**gqa, "questions": "nowhere.json"}]})
    done = CliRunner().invoke(app, ["mine", str(recipe), "--work", str(tmp_path / "work")])
    assert done.exit_code != 0
    assert "There is no file nowhere.json; give GQA's questions." in str(done.exception)
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("subset", "message"),
    [
        ("../up", "The source 'seen' gives the id '../up'; ids are made of letters, digits and ._-"),
        ("wrong", "The source 'seen' gives a str; its rows() has to give CaptionedImage"),
    ],
)
def test_rows_that_are_none_are_refused(tmp_path: Path, subset: str, message: str) -> None:
    sources = Sources.model_validate({"captions": [{"kind": "seen", "subset": subset}]})
    with pytest.raises(UserError, match=re.escape(message)):
        read_examples(sources, Work(tmp_path), limit=None, caption_prompt="a photo of")
