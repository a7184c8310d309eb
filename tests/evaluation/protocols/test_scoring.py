from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evaluation.data.cases import Case
from evaluation.data.probes import Probe
from evaluation.protocols.known import PROTOCOLS
from evaluation.protocols.scoring import Scorer
from evaluation.run.outputs import Output
from mmedit_build.errors import UserError
from mmedit_build.mllm import Query

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
    rephrase=None,
    image_rephrase=None,
    answers=("red",) * 7 + ("pink",) * 3,
)
CAPTION = replace(CASE, task="caption", target="a red cat", answers=("a red cat", "one cat"))
EDIT = Probe("reliability", Query(b"", "What color?", "red"), ("red",), 20)
FAR = Probe("text_locality", Query(None, "who", "Ada"), ("Ada", "A."), 20, "nq/1", "far")


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
    scorer = Scorer([CASE], PROTOCOLS)
    result = scorer.result(CASE, EDIT, output("blue", 1, 9), output("Pink.", 1, 9))
    assert result.scores == {
        "legacy": {"exact_match": 0.0, "token_accuracy": 0.5},
        "wild": {"match": 0.0, "vqa": pytest.approx((3 * 2 / 3 + 7) / 10)},
    }
    assert (result.before, result.after) == ("blue", "Pink.")
    assert result.log_prob_after == pytest.approx(np.log(0.125))
    assert (result.target_tokens, result.written_tokens) == (2, 3)


def test_without_annotators_there_is_no_vqa_score() -> None:
    bare = replace(CASE, answers=())
    result = Scorer([bare], ["wild"]).result(bare, EDIT, output("blue"), output("the red"))
    assert result.scores == {"wild": {"match": 1.0}}


def test_captions_have_consensus() -> None:
    scorer = Scorer([CAPTION, replace(CAPTION, id="2", target="two dogs", answers=())], ["wild"])
    right = scorer.result(CAPTION, EDIT, output(""), output("A red cat"))
    wrong = scorer.result(CAPTION, EDIT, output(""), output("two dogs"))
    assert right.scores == {"wild": {"match": 1.0, "consensus": 1.0}}
    assert wrong.scores == {"wild": {"match": 0.0, "consensus": 0.0}}


def test_locality_is_scored_by_what_was_before() -> None:
    scorer = Scorer([CASE], PROTOCOLS)
    result = scorer.result(CASE, FAR, known("A.", 3, 0.5), known("Ada", 4, 0.25))
    kl = 0.5 * np.log(0.5 / 0.25) + 0.5 * np.log(0.5 / 0.75)
    assert result.scores == {
        "legacy": {"top1": 0.5, "top10": 0.75},
        "wild": {"unchanged": 0.0, "right": 1.0, "kl": pytest.approx(kl, abs=1e-6)},
    }
    assert (result.item, result.relation) == ("nq/1", "far")


def test_an_answer_left_out_is_not_an_empty_one() -> None:
    result = Scorer([CASE], ["legacy"]).result(CASE, EDIT, output(""), output(""))
    assert result.before is result.after is None


@pytest.mark.parametrize("broken", [np.nan, -np.inf])
def test_numbers_that_are_none_are_never_scored(broken: float) -> None:
    after = output("", log_probs=np.array([0.0, broken], np.float32))
    with pytest.raises(UserError, match="not finite"):
        Scorer([CASE], PROTOCOLS).result(CASE, EDIT, output(""), after)
