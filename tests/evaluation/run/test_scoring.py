from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evaluation.data.cases import Case, Premise, Probe
from evaluation.data.probes import Asked, ask_all
from evaluation.protocols.base import ProtocolName
from evaluation.protocols.known import PROTOCOLS
from evaluation.protocols.output import Output
from evaluation.run.scoring import Scorer
from mmedit_build.errors import UserError

CASE = Case(
    id="vqa/1",
    task="vqa",
    split="test",
    image=b"",
    image_id="1",
    question="What color?",
    question_type="color",
    target="red",
    prediction="blue",
    answers=("red",) * 7 + ("pink",) * 3,
    probes=(
        Probe(kind="text_locality", id="nq/1", question="who", answers=("Ada", "A."), relation="far"),
        Probe(
            kind="portability",
            id="hop/1",
            question="What fruit has the color of it?",
            answers=("cherry", "tomato"),
            relation="2-hop",
            image=b"",
            premise=Premise(question="What fruit is red?", answers=("cherry", "tomato")),
        ),
    ),
)
CAPTION = replace(CASE, task="caption", target="a red cat", answers=("a red cat", "one cat"))
ALL = tuple(PROTOCOLS)


class Family:
    """Asks as a family of its own."""

    def question_prompt(self, question: str) -> str:
        return f"<{question}>"


def asked(case: Case) -> list[Asked]:
    return ask_all(case, Family())


EDIT, FAR, HOP = asked(CASE)


def output(text: str, *predicted: int, **changes: object) -> Output:
    bare = Output(
        target=np.array([1, 2], np.int32),
        predicted=np.array(predicted or (1, 2), np.int32),
        log_probs=np.log(np.array([0.5, 0.25], np.float32)),
        text=text,
        written=3,
    )
    return replace(bare, **changes)  # type: ignore[arg-type]


def known(text: str, top: int, share: float) -> Output:
    spread = np.log(np.array([[share, 1 - share]], np.float32))
    return output(
        text, top=np.array([[7, 8], [top, 9]], np.int32), events=np.array([[1]], np.int32), spread=spread
    )


def test_an_edit_is_scored_by_its_target_in_both_protocols() -> None:
    scorer = Scorer([CASE], ALL)
    result = scorer.result(EDIT, output("blue", 1, 9), output("Pink.", 1, 9))
    assert result.scores == {
        "legacy": {"exact_match": 0.0, "token_accuracy": 0.5},
        "wild": {"match": 0.0, "vqa": pytest.approx((3 * 2 / 3 + 7) / 10)},
    }
    assert (result.before, result.after) == ("blue", "Pink.")
    assert result.log_prob_after == pytest.approx(np.log(0.125))
    assert (result.target_tokens, result.written_tokens) == (2, 3)


def test_without_annotators_there_is_no_vqa_score() -> None:
    bare = replace(CASE, answers=())
    result = Scorer([bare], ["wild"]).result(asked(bare)[0], output("blue"), output("the red"))
    assert result.scores == {"wild": {"match": 1.0}}


def test_captions_have_consensus() -> None:
    scorer = Scorer([CAPTION, replace(CAPTION, id="2", target="two dogs", answers=())], ["wild"])
    edit, *_ = asked(CAPTION)
    right = scorer.result(edit, output(""), output("A red cat"))
    wrong = scorer.result(edit, output(""), output("two dogs"))
    assert right.scores == {"wild": {"match": 1.0, "consensus": 1.0}}
    assert wrong.scores == {"wild": {"match": 0.0, "consensus": 0.0}}


def test_locality_is_scored_by_what_was_before() -> None:
    scorer = Scorer([CASE], ALL)
    result = scorer.result(FAR, known("A.", 3, 0.5), known("Ada", 4, 0.25))
    kl = 0.5 * np.log(0.5 / 0.25) + 0.5 * np.log(0.5 / 0.75)
    assert result.scores == {
        "legacy": {"top1": 0.5, "top10": 0.75, "answer_top1": 1.0},
        "wild": {"unchanged": 0.0, "right": 1.0, "kl": pytest.approx(kl, abs=1e-6)},
    }
    assert (result.item, result.relation) == ("nq/1", "far")


def test_an_answer_left_out_is_not_an_empty_one() -> None:
    result = Scorer([CASE], ["legacy"]).result(EDIT, output(""), output(""))
    assert result.before is result.after is None


@pytest.mark.parametrize("broken", [np.nan, -np.inf])
def test_numbers_that_are_none_are_never_scored(broken: float) -> None:
    after = output("", log_probs=np.array([0.0, broken], np.float32))
    with pytest.raises(UserError, match="not finite"):
        Scorer([CASE], ALL).result(EDIT, output(""), after)


def test_portability_is_scored_by_all_that_is_right_and_told_with_what_was_known() -> None:
    scorer = Scorer([CASE, replace(CAPTION, id="2")], ALL)
    result = scorer.result(HOP, output("pear", 1, 9), output("A tomato.", 1, 9), known=True)
    assert result.scores == {
        "legacy": {"exact_match": 0.0, "token_accuracy": 0.5},
        # No annotator was asked, and of a caption's consensus there is none.
        "wild": {"match": 1.0},
    }
    assert (result.kind, result.item, result.relation) == ("portability", "hop/1", "2-hop")
    assert (result.prompt, result.known) == ("<What fruit has the color of it?>", True)
    assert scorer.result(EDIT, output(""), output("")).known is None


@pytest.mark.parametrize(
    ("protocols", "text", "predicted", "known"),
    [
        (("wild",), "The tomato", (1, 9), True),
        (("wild",), "pear", (1, 2), False),
        # What it writes tells, if it is let write.
        (ALL, "Tomato", (1, 9), True),
        (ALL, "pear", (1, 2), False),
        # All tokens of the target, and not some.
        (("legacy",), None, (1, 2), True),
        (("legacy",), None, (1, 9), False),
    ],
)
def test_what_the_unedited_model_knows_is_told_by_its_answer(
    protocols: tuple[ProtocolName, ...], text: str, predicted: tuple[int, ...], known: bool
) -> None:
    assert HOP.premise is not None
    assert Scorer([CASE], protocols).knows(HOP.premise, output(text, *predicted)) is known
