"""Layouts that the documentation shows are read; a file in another one is refused with what is expected."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest

from mmedit_build.errors import UserError
from mmedit_build.formats.files import FORMATS, read_rows
from mmedit_build.recipe import HubCaptions, HubFacts, HubQuestions
from mmedit_build.sources.coco import read_captions
from mmedit_build.sources.hub import read_hub_facts
from mmedit_build.sources.hub_rows import read_hub_captions, read_hub_questions
from mmedit_build.sources.nq import read_fact_file
from mmedit_build.sources.vqav2 import read_questions
from mmedit_build.work import Work

DOCS = Path(__file__).parents[3] / "docs" / "building.md"
FILES = {
    "questions": lambda path, right: read_questions(path, right[1], path.parent, check_images=False),
    "annotations": lambda path, right: read_questions(right[0], path, path.parent, check_images=False),
    "captions": lambda path, _: read_captions(path, path.parent),
    "facts": lambda path, _: read_fact_file(path),
    "edits": lambda path, _: list(read_rows(path)),
}


def documented() -> list[Any]:
    """All JSON of the page's section, one value after the other."""
    section = DOCS.read_text().partition("## Source files")[2].partition("\n## ")[0]
    found, decoder = [], json.JSONDecoder()
    for block in re.findall(r"```json\n(.*?)```", section, re.DOTALL):
        while block.strip():
            value, end = decoder.raw_decode(block.lstrip())
            found.append(value)
            block = block.lstrip()[end:]
    return found


def written(folder: Path, content: Any) -> Path:
    path = folder / f"{len(list(folder.iterdir()))}.json"
    path.write_text(json.dumps(content))
    return path


def test_files_that_the_documentation_shows_are_read(tmp_path: Path) -> None:
    questions, annotations, captions, karpathy, facts, *hub, edits = documented()
    (row,) = read_questions(
        written(tmp_path, questions), written(tmp_path, annotations), tmp_path, check_images=False
    )
    assert (row.question, row.answers) == ("Is it red?", ("yes", "yes", "no", "yes"))
    for content, split in ((captions, None), (karpathy, "val")):
        (image,) = read_captions(written(tmp_path, content), tmp_path, split)
        assert (image.image.name, image.captions) == ("COCO_val2014_000000000042.jpg", ("A red apple.",))
    assert [one.answers for one in read_fact_file(written(tmp_path, facts))][1] == ("1600",)
    (edit,) = read_rows(written(tmp_path, edits))
    assert (edit.alt, edit.m_loc_a) == ("red", "digging")
    assert len(hub) == 3


@pytest.mark.usefixtures("_own_cache")
def test_rows_of_the_hub_that_the_documentation_shows_are_read(tmp_path: Path) -> None:
    question, caption, fact = documented()[5:8]
    named = {}
    for name, row in {"question": question, "caption": caption, "fact": fact}.items():
        (tmp_path / name).mkdir()
        path = tmp_path / name / "validation-00000-of-00001.parquet"
        datasets.Dataset.from_list([row]).to_parquet(path)
        named[name] = {"kind": "hub", "dataset": str(tmp_path / name)}
    images, work = str(tmp_path), Work(tmp_path / "work")
    asked = HubQuestions.model_validate({**named["question"], "images": images})
    shown = HubCaptions.model_validate({**named["caption"], "images": images})
    assert [row.question_id for row in read_hub_questions(asked, work)] == [420]
    assert [row.captions for row in read_hub_captions(shown, work)] == [("A red apple.",)]
    facts = read_hub_facts(HubFacts.model_validate(named["fact"]))
    assert [one.answers for one in facts] == [("William Shakespeare",)]


@pytest.mark.parametrize(
    "wrong", ["[1]", '{"a": 1}', "question,answer", '{"questions": [], "images": []}\n{}']
)
@pytest.mark.parametrize("kind", FILES)
def test_another_layout_is_refused_with_the_expected_one(tmp_path: Path, kind: str, wrong: str) -> None:
    right = [written(tmp_path, content) for content in documented()[:2]]
    path = tmp_path / "wrong.json"
    path.write_text(wrong)
    read: Callable[..., Any] = FILES[kind]
    with pytest.raises(UserError) as raised:
        read(path, right)
    told = str(raised.value)
    expected = re.search(r"(\[?\{\".*[}\]])\.$", told)
    if kind == "edits" and not wrong.startswith("[") and wrong != '{"a": 1}':
        assert "is not whole JSON" in told
    else:
        assert expected, told
        # What the sentence shows is itself in the layout.
        assert read(written(tmp_path, json.loads(expected[1])), right)


@pytest.mark.parametrize("known", FORMATS, ids=lambda one: one.title)
def test_the_row_that_a_format_shows_is_one_of_it(known: Any, tmp_path: Path) -> None:
    (row,) = read_rows(written(tmp_path, [known.example]))
    assert row.alt == "red"
    assert not known.marks or known.marks & known.example.keys()
    broken = {key: value for key, value in known.example.items() if key != "alt"}
    with pytest.raises(UserError, match=f"lacks alt; give it, as in the format of {known.title}: "):
        list(read_rows(written(tmp_path, [broken])))
