"""The published counts of the released MMEdit files, reproduced.

Where a count differs from the published one, docs/audit.md says by how much and why.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mmedit_build.audit.judgments import asks_yes_no, breaks_yes_no, fails_by_format
from mmedit_build.audit.report import Report, audit_target
from mmedit_build.audit.samples import Item, Sample, Target
from mmedit_build.audit.targets import load
from mmedit_build.rows import SPLITS, Split, Task
from mmedit_build.scoring.text import opens_with_auxiliary

Counts = dict[str, tuple[int, int]]

VQA_TEST: Counts = {
    "broken_yes_no": (156, 280),
    "identical_rephrases": (45, 2093),
    "quoted_rephrases": (562, 2093),
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
    "distinct_text_questions": (1000, 1000),
}
CAPTION_TRAIN: Counts = {
    "constant_prompts": (2849, 2849),
    "leaked_locality_images": (81, 2849),
    "distinct_image_items": (2849, 2849),
}


@pytest.fixture(scope="session")
def samples(released: Path) -> list[Sample]:
    return load(str(released))


@pytest.fixture(scope="session")
def report(samples: list[Sample]) -> Report:
    return audit_target(Target("released", samples))


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
    samples: list[Sample], split: Split, broken: int, asked: int, format_failures: int
) -> None:
    here = [one for one in samples if (one.task, one.split) == ("vqa", split)]
    asking = [one for one in here if asks_yes_no(one, opens_with_auxiliary)]
    assert (len(asking), sum(breaks_yes_no(one, opens_with_auxiliary) for one in asking)) == (asked, broken)
    assert sum(fails_by_format(one, opens_with_auxiliary) for one in here) == format_failures


def test_votes_about_image_locality(samples: list[Sample], released: Path) -> None:
    pool = json.loads((released / "locality" / "okvqa_loc.json").read_text(encoding="utf-8"))
    votes = {(one["image"], one["question"]): tuple(one["answer"]) for one in pool}
    counted = audit_target(Target("with votes", [_with_votes(one, votes.__getitem__) for one in samples]))
    test, train = (counted.group("vqa", split).finding("minority_items") for split in SPLITS[::-1])
    assert (test.count, test.of) == (2093 - 1309, 2093)
    assert (train.count, train.of) == (6345 - 3991, 6345)


def test_votes_in_the_pool_of_image_locality(samples: list[Sample], released: Path) -> None:
    pool = json.loads((released / "locality" / "okvqa_loc.json").read_text(encoding="utf-8"))
    items = tuple(Item(one["question"], "", image=one["image"], answers=tuple(one["answer"])) for one in pool)
    whole = audit_target(Target("pool", [replace(samples[0], image_items=items)]))
    found = whole.groups[0].finding("weak_items")
    assert (found.count, found.of) == (2467, 5046)


def test_what_is_known_of_the_captions(samples: list[Sample]) -> None:
    captions = [one for one in samples if one.task == "caption"]
    assert {one.question for one in captions} == {"a photo of"}
    assert len({one.rephrase for one in captions}) == 19
    assert sum(one.target != one.target.strip() for one in captions) == 557
    assert round(sum(len(one.target.split()) for one in captions) / len(captions), 1) == 10.4
    edited = {one.image for one in captions}
    elsewhere = {item.image for one in captions for item in one.image_items or ()}
    assert len(edited & elsewhere) == 270


def _with_votes(sample: Sample, votes: Callable[[tuple[str | None, str]], tuple[str, ...]]) -> Sample:
    items = tuple(
        replace(item, answers=votes((item.image, item.question))) for item in sample.image_items or ()
    )
    return replace(sample, image_items=items)
