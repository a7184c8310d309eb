"""Reports count, compare, name the rows, and say what must not be."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mmedit_build.anew import Anew
from mmedit_build.audit.dataset import Target
from mmedit_build.audit.measures import MEASURES
from mmedit_build.audit.page import render
from mmedit_build.audit.report import BROKEN_IMAGES, EXAMPLES, audit, audit_target, faults, percent
from mmedit_build.audit.run import run_audit
from mmedit_build.audit.targets import from_edits
from mmedit_build.formats.exchange import to_row
from mmedit_build.rows import EditRow
from mmedit_build.work import Work
from tests.mmedit_build.formats.rows import dumped

DOCS = Path(__file__).parents[3] / "docs" / "audit.md"


def _painted(work: Work, edit: EditRow) -> EditRow:
    assert edit.imagined is not None
    for name in (edit.image, edit.imagined.image):
        path = work.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((64, 64), 80).convert("RGB").save(path)
    return edit


def test_groups_are_in_order_and_empty_ones_are_left_out(make_clean: Any) -> None:
    keys = [("caption", "test"), ("vqa", "test"), ("vqa", "train")]
    edits = [make_clean(f"{task} {split}", task=task, split=split) for task, split in keys]
    report = audit_target(Target("three", edits))
    assert [group.name for group in report.groups] == ["vqa train", "vqa test", "caption test"]
    assert [group.rows for group in report.groups] == [1, 1, 1]


def test_json_has_counts_shares_and_a_few_ids(make_clean: Any) -> None:
    edits = [make_clean(str(number), rephrase='"Quoted?"') for number in range(8)]
    report = audit_target(Target("quoted", [*edits, make_clean("fine"), make_clean("näher")]))
    content = json.loads(report.to_json())
    [group] = content["groups"]
    assert (content["target"], group["task"], group["split"], group["rows"]) == ("quoted", "vqa", "test", 10)
    found = group["findings"]["quoted_rephrases"]
    assert found == {"count": 8, "of": 10, "share": 0.8, "examples": [str(one) for one in range(EXAMPLES)]}
    assert group["findings"]["leaked_images"]["share"] is None
    assert (
        report.to_json()
        == audit_target(Target("quoted", [*edits, make_clean("fine"), make_clean("näher")])).to_json()
    )


def test_edits_that_are_read_anew_are_counted_and_shown_alike(make_clean: Any) -> None:
    edits = [make_clean(str(number), rephrase='"Quoted?"' if number % 3 else "How?") for number in range(40)]
    held, anew = Target("either", edits), Target("either", Anew(lambda: iter(edits)))
    assert audit_target(anew) == audit_target(held)
    assert render(anew, audit_target(anew)) == render(held, audit_target(held))


def test_the_table_has_a_line_for_each_measure_that_looked_at_something(make_clean: Any) -> None:
    report = audit_target(Target("one", [make_clean(rephrase="How many cats has one?"), make_clean("two")]))
    header, lines = report.table()
    assert header == ["", "vqa test"]
    cells = dict(lines)
    assert cells["Rows"] == "2"
    assert cells["Identical rephrases"] == "1 of 2 (50.0%)"
    assert cells["Quoted rephrases"] == "0 of 2"
    assert "Images in both splits" not in cells


@pytest.mark.parametrize(
    ("share", "words"),
    [(0, "0.0%"), (0.0001, "<0.1%"), (0.0006, "0.1%"), (0.5567, "55.7%"), (0.9999, ">99.9%"), (1, "100.0%")],
)
def test_shares_are_never_rounded_to_none_or_all(share: float, words: str) -> None:
    assert percent(share) == words


def test_faults_are_what_must_not_be(make_clean: Any) -> None:
    clean = [make_clean("one"), make_clean("two", split="train")]
    assert faults(audit_target(Target("clean", clean))) == []
    doubtful = make_clean("one", prediction="cats", target="two cats")
    assert faults(audit_target(Target("doubtful", [doubtful, clean[1]]))) == []
    leaking = replace(clean[1], image_id="image of one")
    assert faults(audit_target(Target("leaking", [clean[0], leaking]))) == [
        "images in both splits in vqa train: 1 of 1 (100.0%), such as two",
        "images in both splits in vqa test: 1 of 1 (100.0%), such as one",
    ]


def test_images_that_are_missing_or_cut_short_are_found(tmp_path: Path, make_edit: Any) -> None:
    work = Work(tmp_path)
    edits = [_painted(work, make_edit(number)) for number in (1, 2, 3, 4)]
    first, second, third = (work.path(edit.image) for edit in edits[:3])
    first.unlink()
    second.write_bytes(second.read_bytes()[:-200])
    third.write_bytes(b"no image at all")
    assert edits[2].imagined is not None
    painted = work.path(edits[2].imagined.image)
    painted.write_bytes(painted.read_bytes()[:-200])
    found = audit_target(from_edits("build", edits, work)).groups[0].finding("broken_images")
    assert (found.count, found.of) == (4, 8)
    assert found.ids == [edit.id for edit in edits[:3]]


def test_images_that_are_not_at_hand_are_not_broken(tmp_path: Path, make_edit: Any) -> None:
    (tmp_path / "vqa_eval.json").write_bytes(dumped([to_row(make_edit())]))
    reports = [audit(str(tmp_path)), audit_target(from_edits("build", [make_edit()], Work(tmp_path)))]
    for report in reports:
        assert "broken_images" not in {finding.name for finding in report.groups[0].findings}


def test_one_call_writes_what_it_is_asked_for(tmp_path: Path, make_edit: Any) -> None:
    (tmp_path / "vqa_eval.json").write_bytes(dumped([to_row(make_edit())]))
    report = run_audit(str(tmp_path), tmp_path / "out" / "audit.json", tmp_path / "out" / "audit.html")
    assert (tmp_path / "out" / "audit.json").read_text(encoding="utf-8") == report.to_json()
    assert (tmp_path / "out" / "audit.html").read_bytes().startswith(b"<!doctype html>")
    assert run_audit(str(tmp_path)) == report


def test_the_docs_define_every_measure() -> None:
    documented = re.findall(
        r"^\| `(\w+)` \| (.+?) \| (.+?) \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE
    )
    in_code = [(measure.name, measure.title, measure.definition) for measure in MEASURES]
    name, _, title, definition = BROKEN_IMAGES
    assert documented == [*in_code, (name, title, definition)]
