"""The published counts of the released MMEdit files, reproduced.

Where a count differs from the published one, docs/audit.md says by how much and why.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mmedit_build.audit.dataset import Target
from mmedit_build.audit.judgments import asks_yes_no, breaks_yes_no, fails_by_format, image_items
from mmedit_build.audit.report import Report, audit_target
from mmedit_build.audit.targets import open_target
from mmedit_build.rows import SPLITS, EditRow, LocalityItem, Split, Task
from mmedit_build.scoring.text import opens_with_auxiliary
from tests.mmedit_build.audit.conftest import item

Counts = dict[str, tuple[int, int]]

VQA_TEST: Counts = {
    "broken_yes_no": (156, 280),
    "identical_rephrases": (45, 2093),
    "quoted_rephrases": (562, 2093),
    "reversed_rephrases": (2, 2093),
    "leaked_images": (1380, 2093),
    "leaked_image_rephrases": (0, 2093),
    "leaked_questions": (461, 2093),
    "leaked_pairs": (0, 2093),
    "leaked_text_items": (0, 2093),
    "leaked_image_items": (2093, 2093),
    "leaked_locality_images": (166, 2093),
    "containment": (189, 2093),
    "equal_without_articles": (92, 2093),
    "equal_without_punctuation": (4, 2093),
    "format_failures": (157, 2093),
    "incomplete_rows": (0, 2093),
    "single_word_targets": (1665, 2093),
    "constant_prompts": (0, 2093),
    "distinct_text_questions": (2093, 2093),
    "distinct_image_items": (2093, 2093),
    "text_overlap": (12, 2093),
    "far_image_overlap": (43, 2093),
}
VQA_TRAIN: Counts = {
    "broken_yes_no": (449, 792),
    "identical_rephrases": (118, 6345),
    "quoted_rephrases": (1686, 6345),
    "reversed_rephrases": (19, 6345),
    "leaked_image_items": (3393, 6345),
    "containment": (570, 6345),
    "equal_without_articles": (259, 6345),
    "equal_without_punctuation": (6, 6345),
    "format_failures": (502, 6345),
    "single_word_targets": (5011, 6345),
    "distinct_image_items": (5045, 6345),
}
CAPTION_TEST: Counts = {
    "leaked_images": (0, 1000),
    "leaked_questions": (0, 0),
    "leaked_image_items": (1000, 1000),
    "leaked_locality_images": (65, 1000),
    "constant_prompts": (1000, 1000),
    "single_word_targets": (0, 1000),
    "style_captions": (331, 1000),
    "distinct_text_questions": (1000, 1000),
}
CAPTION_TRAIN: Counts = {
    "style_captions": (884, 2849),
    "constant_prompts": (2849, 2849),
    "leaked_locality_images": (81, 2849),
    "distinct_image_items": (2849, 2849),
}


@pytest.fixture(scope="session")
def edits(released: Path) -> Sequence[EditRow]:
    return list(open_target(str(released)).edits)


@pytest.fixture(scope="session")
def report(edits: Sequence[EditRow]) -> Report:
    return audit_target(Target("released", edits))


@pytest.mark.parametrize(
    ("task", "split", "counts"),
    [
        ("vqa", "test", VQA_TEST),
        ("vqa", "train", VQA_TRAIN),
        ("caption", "test", CAPTION_TEST),
        ("caption", "train", CAPTION_TRAIN),
    ],
)
def test_counts(report: Report, task: Task, split: Split, counts: Counts) -> None:
    found = {finding.name: finding for finding in report.group(task, split).findings}
    assert {name: (found[name].count, found[name].of) for name in counts} == counts


@pytest.mark.parametrize(
    ("split", "broken", "asked", "format_failures"), [("test", 155, 280, 154), ("train", 441, 797, 493)]
)
def test_published_counts_of_yes_no_take_the_first_word_for_it(
    edits: Sequence[EditRow], split: Split, broken: int, asked: int, format_failures: int
) -> None:
    here = [one for one in edits if (one.task, one.split) == ("vqa", split)]
    asking = [one for one in here if asks_yes_no(one, opens_with_auxiliary)]
    assert (len(asking), sum(breaks_yes_no(one, opens_with_auxiliary) for one in asking)) == (asked, broken)
    assert sum(fails_by_format(one, opens_with_auxiliary) for one in here) == format_failures


def test_votes_about_image_locality(edits: Sequence[EditRow], released: Path) -> None:
    pool = json.loads((released / "locality" / "okvqa_loc.json").read_text(encoding="utf-8"))
    votes = {(Path(one["image"]).name, one["question"]): tuple(one["answer"]) for one in pool}
    counted = audit_target(Target("with votes", [_with_votes(one, votes.__getitem__) for one in edits]))
    test, train = (counted.group("vqa", split).finding("minority_items") for split in SPLITS[::-1])
    assert (test.count, test.of) == (2093 - 1309, 2093)
    assert (train.count, train.of) == (6345 - 3991, 6345)


def test_votes_in_the_pool_of_image_locality(edits: Sequence[EditRow], released: Path) -> None:
    pool = json.loads((released / "locality" / "okvqa_loc.json").read_text(encoding="utf-8"))
    items = tuple(item(one["question"], "", image=one["image"], answers=tuple(one["answer"])) for one in pool)
    whole = audit_target(Target("pool", [_with_items(edits[0], items)]))
    found = whole.groups[0].finding("weak_items")
    assert (found.count, found.of) == (2467, 5046)


def test_what_is_known_of_the_captions(edits: Sequence[EditRow]) -> None:
    captions = [one for one in edits if one.task == "caption"]
    assert {one.question for one in captions} == {"a photo of"}
    assert len({one.rephrase.text for one in captions if one.rephrase}) == 19
    assert sum(one.target != one.target.strip() for one in captions) == 557
    assert round(sum(len(one.target.split()) for one in captions) / len(captions), 1) == 10.4
    edited = {one.image for one in captions}
    elsewhere = {one.image for edit in captions for one in image_items(edit)}
    assert len(edited & elsewhere) == 270


def _with_votes(edit: EditRow, votes: Callable[[tuple[str, str]], tuple[str, ...]]) -> EditRow:
    items = (
        replace(one, answers=votes((Path(one.image or "").name, one.question))) for one in image_items(edit)
    )
    return _with_items(edit, tuple(items))


def _with_items(edit: EditRow, items: tuple[LocalityItem, ...]) -> EditRow:
    assert edit.locality is not None
    return replace(edit, locality=replace(edit.locality, image=items))
