"""Each measure finds its fault, and finds nothing where there is none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mmedit_build.audit.dataset import Target
from mmedit_build.audit.measures import MEASURES
from mmedit_build.audit.report import Finding, audit_target
from mmedit_build.formats.edits import imagined_of
from mmedit_build.formats.rows import Hop
from mmedit_build.rows import EditRow
from tests.mmedit_build.audit.conftest import item

DIG = item("What is this tool for?", "digging", image="7")


def _findings(*edits: EditRow, split: Any = "test") -> dict[str, Finding]:
    report = audit_target(Target("by hand", edits))
    group = report.group(edits[0].task, split)
    return {finding.name: finding for finding in group.findings}


def _count(finding: Finding) -> tuple[int, int]:
    return finding.count, finding.of


def test_names_titles_and_definitions_are_unique() -> None:
    for texts in zip(*((one.name, one.title, one.definition) for one in MEASURES), strict=True):
        assert len(set(texts)) == len(MEASURES)


def test_an_edit_without_faults_has_none(make_clean: Any) -> None:
    found = _findings(make_clean("one"), make_clean("two", split="train"))
    wrong = [name for name, finding in found.items() if finding.kind != "number" and finding.count]
    assert not wrong
    looked_at = {name for name, finding in found.items() if finding.of}
    assert {measure.name for measure in MEASURES} - looked_at == {
        "broken_yes_no",
        "weak_items",
        "minority_items",
        "near_image_overlap",
        "leaked_entity_edits",
        "told_hops",
        "style_captions",
        "questions_of_one_target",
        *(f"{number}_hop_rows" for number in (1, 2, 3, 4)),
    }


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("broken_yes_no", {"question": "Is it open?", "rephrase": "What is open?", "target": "no"}),
        ("broken_yes_no", {"question": "Is it on?", "rephrase": "Is it on or off?", "target": "no"}),
        ("identical_rephrases", {"rephrase": " how many cats has ONE? "}),
        ("quoted_rephrases", {"rephrase": '"How many?"'}),
        ("quoted_rephrases", {"rephrase": "\u201cHow many?\u201d"}),
        ("reversed_rephrases", {"question": "What is left of it?", "rephrase": "What is right of it?"}),
        ("reversed_rephrases", {"question": "What is the cat above?", "rephrase": "What is above the cat?"}),
        ("containment", {"prediction": "United States", "target": "united states of America"}),
        ("equal_without_articles", {"prediction": "On the table.", "target": "table"}),
        ("equal_without_punctuation", {"prediction": "T-shirt", "target": "tshirt!"}),
        ("format_failures", {"prediction": "Yes.", "question": "How deep is it?"}),
        ("single_word_targets", {"target": " dog "}),
        ("weak_targets", {"answers": ("two cats",) * 4 + ("3",) * 3 + ("4",) * 3}),
        ("weak_targets", {"answers": ("nothing like it",) * 10}),
        ("weak_items", {"images": (item("Q", "a", image="7", answers=tuple("aaaabbbcde")),)}),
        ("minority_items", {"images": (item("Q", "b", image="7", answers=tuple("aaaabbb")),)}),
        ("incomplete_rows", {"prediction": " "}),
        ("incomplete_rows", {"rephrase": ""}),
        ("incomplete_rows", {"text": ()}),
        ("incomplete_rows", {"images": (item("Q", "", image="7"),)}),
        ("incomplete_rows", {"images": (item("Q", "a", image=""),)}),
        ("text_overlap", {"text": (item("who wrote Cats", "Lloyd"),)}),
        ("far_image_overlap", {"images": (item("Is this a cat?", "no", image="7"),)}),
        ("near_image_overlap", {"images": (item("Whose cats?", "no", "same_image", "7"),)}),
    ],
)
def test_faults_of_single_rows(make_clean: Any, name: str, changes: dict[str, Any]) -> None:
    found = _findings(make_clean("one", **changes), make_clean("fine"))[name]
    assert found.count == 1
    assert found.ids == ["one"]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("broken_yes_no", {"question": "Is it on?", "rephrase": "Is it turned on?", "target": "yes"}),
        ("broken_yes_no", {"question": "Is it on?", "rephrase": "What is on?", "target": "lamp"}),
        ("quoted_rephrases", {"rephrase": 'What does the sign "stop" say?'}),
        ("quoted_rephrases", {"rephrase": '"'}),
        ("reversed_rephrases", {"question": "What is above the cat?", "rephrase": "What is the cat below?"}),
        ("containment", {"prediction": "", "target": "cat"}),
        ("equal_without_articles", {"prediction": "the", "target": "a"}),
        ("weak_targets", {"answers": ("two cats",) * 5 + ("3",) * 5}),
        ("weak_targets", {"answers": ("The two cats.",) * 10}),
        ("weak_items", {"images": (item("Q", "0", image="7", answers=("0", "0", "zero", "1", "2")),)}),
        ("minority_items", {"images": (item("Q", "one", image="7", answers=("2",) * 3 + ("1",) * 4),)}),
        ("weak_targets", {"answers": ()}),
        ("weak_items", {"images": (item("Q", "a", image="7", answers=tuple("aaaaabbcde")),)}),
        ("minority_items", {"images": (item("Q", "b", image="7", answers=tuple("aabb")),)}),
        ("text_overlap", {"text": (item("how many are there", "2"),)}),
    ],
)
def test_what_is_no_fault(make_clean: Any, name: str, changes: dict[str, Any]) -> None:
    assert _findings(make_clean("one", **changes))[name].count == 0


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("leaked_images", {"image_id": "image of here"}),
        ("leaked_image_rephrases", {"imagined": imagined_of("rephrased image of here")}),
        ("leaked_questions", {"question": "how many cats has HERE"}),
        ("leaked_pairs", {"image_id": "image of here", "question": "how many cats has HERE"}),
        ("leaked_text_items", {"text": (item("Who painted herex?", "Ada"),)}),
        (
            "leaked_image_items",
            {"images": (item("what is this tool for", "fun", image="other image of here"),)},
        ),
        ("leaked_locality_images", {"image_id": "other image of here"}),
    ],
)
def test_what_both_splits_have_leaks(make_clean: Any, name: str, changes: dict[str, Any]) -> None:
    edits = [make_clean("here"), make_clean("more"), make_clean("there", split="train", **changes)]
    found = _findings(*edits)[name]
    assert (*_count(found), found.ids) == (1, 2, ["here"])
    inside = [make_clean("here"), make_clean("more"), make_clean("there", **changes)]
    assert _count(_findings(*inside)[name]) == (0, 0)


def test_other_tasks_are_not_the_other_split(make_clean: Any) -> None:
    other = make_clean("there", task="caption", split="train", image_id="image of here")
    assert _count(_findings(make_clean("here"), other)["leaked_images"]) == (0, 0)


def test_prompts_that_all_rows_share_are_no_leak(make_clean: Any) -> None:
    same = {"question": "What is shown?"}
    splits = ("test", "test", "train", "train")
    edits = [make_clean(str(number), split=split, **same) for number, split in enumerate(splits)]
    found = _findings(*edits)
    assert _count(found["leaked_questions"]) == (0, 0)
    assert _count(found["constant_prompts"]) == (2, 2)
    found = _findings(*edits, make_clean("other"))
    assert _count(found["leaked_questions"]) == (2, 3)
    assert _count(found["constant_prompts"]) == (0, 3)


def test_captions_are_not_judged_as_questions(make_clean: Any) -> None:
    changes = {"task": "caption", "question": "a photo of", "prediction": "yes", "answers": ("a", "b")}
    edits = [make_clean(split, split=split, **changes) for split in ("train", "test")]
    found = _findings(*edits)
    for name in ("leaked_questions", "format_failures", "weak_targets", "text_overlap", "broken_yes_no"):
        assert _count(found[name]) == (0, 0)


def test_distinct_locality_is_counted_once(make_clean: Any) -> None:
    shared = (item("Who was it?", "Ada"),)
    edits = [
        make_clean("one", text=shared, images=(DIG, DIG)),
        make_clean("two", text=(item("who was it", "Ada"), item("and who else", "Bo"))),
    ]
    found = _findings(*edits)
    assert _count(found["distinct_text_questions"]) == (2, 3)
    assert _count(found["distinct_image_items"]) == (2, 3)


def test_rows_of_early_stages_are_judged_by_what_they_have(make_clean: Any) -> None:
    early = {"rephrase": None, "imagined": None, "locality": None}
    found = _findings(make_clean("one", **early), make_clean("two", split="train", **early))
    assert _count(found["identical_rephrases"]) == (0, 0)
    assert _count(found["leaked_image_rephrases"]) == (0, 0)
    assert _count(found["incomplete_rows"]) == (0, 1)
    assert _count(found["leaked_images"]) == (0, 1)


def test_what_is_edited_into_an_entity_in_both_splits(make_clean: Any) -> None:
    def found(**changes: str) -> tuple[int, int]:
        own = {"image_id": "m.01/1.jpg", "question": "Which city?", "target": "Rome"}
        here = make_clean("one", **{**own, **changes})
        there = make_clean("two", split="train", image_id="m.01/2.jpg", question="which city", target="rome")
        return _count(_findings(here, there)["leaked_entity_edits"])

    assert found() == (1, 1)
    assert found(image_id="m.02/1.jpg") == found(question="Which town?") == found(target="Pisa") == (0, 1)
    assert found(image_id="1.jpg") == (0, 0)


def test_hops_that_are_there_and_hops_that_tell_their_answer(make_clean: Any) -> None:
    one, two = Hop("1-hop", "In which land is it?", "Italy"), Hop("2-hop", "What is Italy's flag?", "Italy's")
    found = _findings(make_clean("one", hops=(one, two)), make_clean("two", hops=(one,)), make_clean("no"))
    assert [_count(found[f"{number}_hop_rows"]) for number in (1, 2, 3, 4)] == [
        (2, 2),
        (1, 2),
        (0, 2),
        (0, 2),
    ]
    assert _count(found["told_hops"]) == (1, 3)
    assert found["told_hops"].ids == ["one"]


def test_questions_that_have_one_target_whatever_is_shown(make_clean: Any) -> None:
    def row(name: str, said: str, target: str, question: str = "What city?") -> EditRow:
        edit: EditRow = make_clean(name, question=question, prediction=said, target=target)
        return edit

    told = [row("one", "Monte Carlo", "Marrakesh"), row("two", "Rabat", "marrakesh.")]
    assert _count(_findings(*told)["questions_of_one_target"]) == (2, 2)
    assert _count(_findings(*told, row("three", "Fez", "Rome"))["questions_of_one_target"]) == (0, 3)
    assert _count(
        _findings(told[0], replace(told[1], prediction="Monte Carlo"))["questions_of_one_target"]
    ) == (0, 0)


@pytest.mark.parametrize(
    ("prediction", "target", "count"),
    [
        ("a dog on the grass", "A puppy lies in a field.", 1),
        ("a dog on the grass", "Two dogs lie in a field.", 0),
        ("a dog on a couch", "a dog", 0),
        ("a dog", "a dog on a couch", 0),
    ],
)
def test_captions_that_differ_in_style_only(
    make_clean: Any, prediction: str, target: str, count: int
) -> None:
    edit = make_clean("one", task="caption", prediction=prediction, target=target)
    assert _count(_findings(edit)["style_captions"]) == (count, 1)


def test_what_a_dataset_does_not_have_is_nothing_that_a_row_lacks(make_clean: Any) -> None:
    found = _findings(make_clean("one", prediction="", base="", imagined=None))
    names = ("containment", "equal_without_articles", "equal_without_punctuation", "format_failures")
    assert [_count(found[name]) for name in names] == [(0, 0)] * 4
    assert found["incomplete_rows"].count == 0
    assert _findings(make_clean("one", hops=(Hop("1-hop", "Where?", ""),)))["incomplete_rows"].count == 1
