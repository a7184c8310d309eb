from __future__ import annotations

from dataclasses import replace

import pytest

from evaluation.data.cases import Case, Premise, Probe, rephrases
from evaluation.data.probes import (
    ANSWER_TOKENS,
    CAPTION_TOKENS,
    Asked,
    ask_all,
    edit_of,
    train_edit,
    with_premise,
)
from mmedit_build.errors import UserError
from mmedit_build.mllm import Query


class Family:
    """Asks as a family of its own."""

    def question_prompt(self, question: str) -> str:
        return f"<{question}>"


LOCALITY = (
    Probe(kind="text_locality", id="nq/1", question="who", answers=("Ada", "Ada L."), relation="far"),
    Probe(
        kind="text_locality", id="bare/2", question="when", answers=("now",), relation="far", prefixed=False
    ),
    Probe(
        kind="image_locality",
        id="okvqa/1",
        question="what for",
        answers=("digging",),
        relation="far",
        image=b"other",
    ),
    Probe(
        kind="image_locality",
        id="vqa/2",
        question="how many",
        answers=("2",),
        relation="same_image",
        image=b"image",
    ),
)
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
    answers=("red", "pink"),
    probes=(*rephrases("red", b"image", "What color?", "Which color?", b"again"), *LOCALITY),
)
CAPTION = replace(
    CASE,
    task="caption",
    question="a photo of",
    probes=(*rephrases("red", b"image", "a photo of", "a drawing of", b"again"), *LOCALITY),
)
NEARBY = (
    Probe(
        kind="text_locality", id="1/no_image", question="What color?", answers=("blue",), relation="no_image"
    ),
    Probe(
        kind="image_locality",
        id="vqa/3",
        question="What shade?",
        answers=("pale",),
        relation="near_right",
        image=b"third",
    ),
    Probe(
        kind="gain", id="vqa/4", question="Which tint?", answers=("red",), relation="near_wrong", image=b"4"
    ),
)
HOP = Probe(
    kind="portability",
    id="hop/1",
    question="What fruit has the color of it?",
    answers=("cherry", "tomato"),
    relation="2-hop",
    image=b"image",
    premise=Premise(question="What fruit is red?", answers=("cherry", "tomato")),
)


def asked(case: Case, prompts: str) -> list[tuple[str, object, str, str]]:
    probes = ask_all(case, Family(), "raw" if prompts == "raw" else "family")
    return [(one.kind, one.query.image, one.query.prompt, one.query.target) for one in probes]


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
    probes = ask_all(CAPTION, Family())
    assert [one.new_tokens for one in probes] == [CAPTION_TOKENS] * 3 + [ANSWER_TOKENS] * 4
    assert [one.task for one in probes] == ["caption"] * 3 + ["vqa"] * 4
    # What annotators said is about the edit's own question.
    assert [one.annotators for one in probes] == [("red", "pink")] * 3 + [()] * 4
    assert probes[0].probe.answers == ("red",)
    assert probes[3].probe.answers == ("Ada", "Ada L.")
    assert [(one.probe.id, one.probe.relation) for one in probes if one.is_locality] == [
        *(("nq/1", "far"), ("bare/2", "far"), ("okvqa/1", "far"), ("vqa/2", "same_image")),
    ]


def test_what_a_case_lacks_is_not_asked() -> None:
    bare = replace(CASE, probes=rephrases("red", b"image", "What color?", None, None))
    assert [one.kind for one in ask_all(bare, Family())] == ["reliability"]


def test_editors_are_given_the_prompt_that_is_probed() -> None:
    for prompts in ("family", "raw"):
        edit = edit_of(CASE, Family(), prompts)
        assert edit.query == ask_all(CASE, Family(), prompts)[0].query
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


def test_portability_is_asked_about_the_image_of_the_edit_as_the_family_asks() -> None:
    for case in (CASE, CAPTION):
        (*_, hop) = ask_all(replace(case, probes=(HOP,)), Family())
        assert (hop.query.image, hop.query.prompt) == (b"image", "<What fruit has the color of it?>")
        assert hop.query.target == "cherry"
        # Even of a caption it asks for an answer, which nobody has annotated.
        assert (hop.task, hop.new_tokens, hop.annotators) == ("vqa", ANSWER_TOKENS, ())
        assert not hop.is_locality
    assert asked(replace(CASE, probes=(HOP,)), "raw")[-1][2] == HOP.question


def test_a_premise_is_asked_in_words_alone_and_of_the_unedited_model_only() -> None:
    for prompts in ("family", "raw"):
        own, hop = ask_all(replace(CASE, probes=(HOP,)), Family(), prompts)
        assert with_premise(own) == (own,)
        premise = hop.premise
        assert premise is not None
        assert with_premise(hop) == (hop, premise)
        assert (premise.query.image, premise.query.prompt) == (None, "What fruit is red?")
        assert premise.probe.answers == ("cherry", "tomato")
    (*_, without) = ask_all(replace(CASE, probes=(replace(HOP, premise=None),)), Family())
    assert with_premise(without) == (without,)


def test_learning_editors_are_not_shown_portability() -> None:
    assert train_edit(replace(CASE, probes=(*CASE.probes, HOP)), Family()) == train_edit(CASE, Family())


def test_probes_of_some_kinds_come_in_their_order() -> None:
    assert [one.id for one in CASE.of("image_locality", "text_locality")] == [
        *("nq/1", "bare/2", "okvqa/1", "vqa/2"),
    ]
    assert CASE.of("portability") == ()


def test_what_lies_near_is_asked_as_questions_about_images_are_even_without_one() -> None:
    near = replace(CASE, probes=NEARBY)
    assert asked(near, "family")[1:] == [
        ("text_locality", None, "<What color?>", "blue"),
        ("image_locality", b"third", "<What shade?>", "pale"),
        ("gain", b"4", "<Which tint?>", "red"),
    ]
    # Bare, as the edit itself, and after no prefix: it is about no fact.
    assert [prompt for _, _, prompt, _ in asked(near, "raw")[1:]] == [
        *("What color?", "<What shade?>", "<Which tint?>"),
    ]
    assert [one.prompt for one in map(_query, ask_all(replace(CAPTION, probes=NEARBY), Family())[1:])] == [
        *("<What color?>", "<What shade?>", "<Which tint?>"),
    ]


def _query(one: Asked) -> Query:
    return one.query


def test_what_lies_near_shall_stay_but_for_what_the_base_model_gets_wrong() -> None:
    probes = ask_all(replace(CASE, probes=NEARBY), Family())
    assert [one.is_locality for one in probes] == [False, True, True, False]
    assert [one.annotators for one in probes] == [("red", "pink"), (), (), ()]


def test_learning_editors_see_the_usual_items_alone() -> None:
    assert train_edit(replace(CASE, probes=(*CASE.probes, *NEARBY)), Family()) == train_edit(CASE, Family())
