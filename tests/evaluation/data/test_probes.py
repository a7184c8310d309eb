from __future__ import annotations

from dataclasses import replace

import pytest

from evaluation.data.cases import Case, Item
from evaluation.data.probes import ANSWER_TOKENS, CAPTION_TOKENS, edit_of, make_probes, train_edit
from mmedit_build.errors import UserError


class Family:
    """Asks as a family of its own."""

    def question_prompt(self, question: str) -> str:
        return f"<{question}>"


CASE = Case(
    id="vqa/1",
    task="vqa",
    split="test",
    image=b"image",
    image_id="1",
    question="What color?",
    question_type="color",
    target="red",
    prediction="blue",
    rephrase="Which color?",
    image_rephrase=b"again",
    text_locality=(
        Item("nq/1", "who", "Ada", ("Ada", "Ada L.")),
        Item("bare/2", "when", "now", prefixed=False),
    ),
    image_locality=(
        Item("okvqa/1", "what for", "digging", image=b"other"),
        Item("vqa/2", "how many", "2", relation="same_image", image=b"image"),
    ),
)
CAPTION = replace(CASE, task="caption", question="a photo of", rephrase="a drawing of")


def asked(case: Case, prompts: str) -> list[tuple[str, bytes | None, str, str]]:
    probes = make_probes(case, Family(), "raw" if prompts == "raw" else "family")
    return [(one.kind, one.query.image, one.query.prompt, one.query.target) for one in probes]  # type: ignore[misc]


def test_questions_are_asked_in_the_template_of_the_family() -> None:
    assert asked(CASE, "family") == [
        ("reliability", b"image", "<What color?>", "red"),
        ("text_generality", b"image", "<Which color?>", "red"),
        ("image_generality", b"again", "<What color?>", "red"),
        ("text_locality", None, "who", "Ada"),
        ("text_locality", None, "when", "now"),
        ("image_locality", b"other", "<what for>", "digging"),
        ("image_locality", b"image", "<how many>", "2"),
    ]


def test_raw_asks_as_the_released_code_does() -> None:
    assert [prompt for _, _, prompt, _ in asked(CASE, "raw")] == [
        *("What color?", "Which color?", "What color?"),
        *("nq question: who", "when", "<what for>", "<how many>"),
    ]


def test_captions_are_asked_for_by_their_beginning_in_either_way() -> None:
    for prompts in ("family", "raw"):
        assert [prompt for _, _, prompt, _ in asked(CAPTION, prompts)[:3]] == [
            *("a photo of", "a drawing of", "a photo of"),
        ]


def test_probes_know_what_is_right_and_how_long_it_may_be() -> None:
    probes = make_probes(CAPTION, Family())
    assert [one.new_tokens for one in probes] == [CAPTION_TOKENS] * 3 + [ANSWER_TOKENS] * 4
    assert probes[0].answers == ("red",)
    assert probes[3].answers == ("Ada", "Ada L.")
    assert [(one.item, one.relation) for one in probes if one.is_locality] == [
        *(("nq/1", "far"), ("bare/2", "far"), ("okvqa/1", "far"), ("vqa/2", "same_image")),
    ]


def test_what_a_case_lacks_is_not_asked() -> None:
    bare = replace(CASE, rephrase=None, image_rephrase=None, text_locality=(), image_locality=())
    assert [one.kind for one in make_probes(bare, Family())] == ["reliability"]


def test_editors_are_given_the_prompt_that_is_probed() -> None:
    for prompts in ("family", "raw"):
        edit = edit_of(CASE, Family(), prompts)
        assert edit.query == make_probes(CASE, Family(), prompts)[0].query
        assert (edit.id, edit.target) == ("vqa/1", "red")


def test_learning_editors_are_given_all_of_a_case() -> None:
    known = train_edit(CASE, Family())
    assert known.edit == edit_of(CASE, Family())
    assert known.text_rephrase is not None
    assert known.text_rephrase.prompt == "<Which color?>"
    assert known.image_rephrase is not None
    assert known.image_rephrase.image == b"again"
    assert [one.prompt for one in known.text_locality] == ["who", "when"]
    assert [one.target for one in known.image_locality] == ["digging", "2"]


def test_an_edit_without_a_question_is_refused() -> None:
    with pytest.raises(UserError, match="Edit vqa/1 has no question"):
        edit_of(replace(CASE, question=" "), Family())
