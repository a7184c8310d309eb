"""What is asked about rows, and that answers hang on what was judged."""

from __future__ import annotations

from dataclasses import replace

from mmedit_build.review.asked import asked_of
from mmedit_build.rows import EditRow, Locality
from tests.mmedit_build.conftest import MakeEdit


def of(edit: EditRow) -> dict[str, str]:
    return {f"{one.question} {one.id}": one.of for one in asked_of(edit)}


def test_a_row_is_asked_about_in_order_with_each_of_its_items(make_edit: MakeEdit) -> None:
    assert list(of(make_edit())) == [
        "failure vqa/val2014/42000",
        "rephrase vqa/val2014/42000",
        "painting vqa/val2014/42000",
        "locality nq/validation/1",
        "locality okvqa/val2014/75",
    ]


def test_nobody_is_asked_what_has_no_answer(make_edit: MakeEdit) -> None:
    """In what words a caption is asked for, and what is right without an image."""
    edit = make_edit()
    assert edit.locality is not None
    blind = replace(edit.locality.text[0], relation="no_image")
    caption = make_edit(task="caption", locality=Locality(text=(blind,), image=()))
    assert [one.question for one in asked_of(caption)] == ["failure", "painting"]


def test_only_answers_about_what_changed_are_void(make_edit: MakeEdit) -> None:
    edit = make_edit()
    assert edit.rephrase is not None
    before = of(edit)
    other = replace(
        edit, rephrase=replace(edit.rephrase, text="How many dogs?"), confidence=0.1, split="train"
    )
    changed = {name for name, digest in of(other).items() if digest != before[name]}
    assert changed == {"rephrase vqa/val2014/42000"}
    changed = {name for name, digest in of(replace(edit, prediction="5")).items() if digest != before[name]}
    assert changed == {"failure vqa/val2014/42000"}


def test_an_item_is_the_same_in_every_row(make_edit: MakeEdit) -> None:
    one, other = of(make_edit(1)), of(make_edit(2))
    assert one["locality nq/validation/1"] == other["locality nq/validation/1"]
    assert not {one["failure vqa/val2014/1000"]} & set(other.values())
