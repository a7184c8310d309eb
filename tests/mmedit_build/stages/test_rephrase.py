"""The rephrase stage: what passes, what is kept of the rest, and whose fault it is."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmedit_build.engine.base import Failed, Rejected
from mmedit_build.prompts import load_prompt, prompt_id
from mmedit_build.recipe import AnswersAlike, Endpoint, Local, LocalMLLM, RephraseStage, Similarity
from mmedit_build.rows import EditRow, Task
from mmedit_build.services.asking import Answer, NoAnswer, Question
from mmedit_build.services.chat import ChatRequest, NoReply, Reply
from mmedit_build.services.local_chat import LocalChat
from mmedit_build.stages.rephrase import Rephrasing, judge_requests, question_requests
from mmedit_build.stages.verdicts import sights
from mmedit_build.work import Work

MINIATURE = Local(model="miniature/chat", device="cpu")
JUDGE = Local(model="judge")
BASE = LocalMLLM(model="miniature/mllm", device="cpu")


def edit(question: str, target: str = "red", task: Task = "vqa", id: str | None = None) -> EditRow:
    return EditRow(
        id=id or f"vqa/val2014/{question}",
        task=task,
        image="a.png",
        image_id="1",
        question=question,
        question_type="what",
        answers=(target,) * 10,
        target=target,
        prediction="blue",
        first_prediction="blue",
        confidence=None,
        scores={},
        base="m",
    )


class Scripted:
    """A chat model that says what it is told to."""

    name = "scripted"

    def __init__(self, say: Callable[[str, int], str | None]) -> None:
        self._say = say
        self.asked: list[list[ChatRequest]] = []

    def ask(self, requests: Sequence[ChatRequest]) -> list[Reply | NoReply]:
        self.asked.append(list(requests))
        said = [self._say(request.messages[-1].text, request.sample) for request in requests]
        return [NoReply("timed out") if text is None else Reply(text, None, 1, 1, False) for text in said]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    def ran(candidates: list[str | None], rows: list[EditRow], **fields: Any) -> Any:
        """The outcomes with a chat model that gives these candidates to each question."""
        chat = Scripted(lambda _text, sample: candidates[sample])
        judge = Scripted(fields.pop("verdict", lambda _text, _sample: "yes"))
        monkeypatch.setattr(
            "mmedit_build.stages.rephrase.open_chat", lambda model, _cache: judge if model == JUDGE else chat
        )
        sights, witness = fields.pop("sights", {}), fields.pop("witness", None)
        monkeypatch.setattr("mmedit_build.stages.rephrase.load_asker", lambda *_: witness)
        given = {"model": MINIATURE, "candidates": len(candidates), "judge": None, **fields}
        stage = Rephrasing(RephraseStage(**given), "0", Work(tmp_path), BASE, sights)
        stage.open()
        outcomes = list(stage(rows))
        ran.chat, ran.judge = chat, judge  # type: ignore[attr-defined]
        return outcomes

    return ran


def test_the_most_different_candidate_that_passes_wins_and_all_are_kept(run: Any) -> None:
    said = [
        "What color is this cat?",
        "Which color does the cat have?",
        '"What is the color of the cat?"',
        "Which color does the cat have?",
    ]
    (outcome,) = run(said, [edit("What color is the cat?")])
    assert outcome.rephrase.text == "Which color does the cat have?"
    assert outcome.rephrase.model == "scripted"
    assert outcome.rephrase.prompt == prompt_id("rephrase")
    kept = outcome.rephrase.candidates
    assert [one.text for one in kept] == said[:3], "each once"
    assert [one.reason is None for one in kept] == [True, True, False]
    assert kept[0].scores["difference"] < kept[1].scores["difference"]


def test_all_requests_of_a_shard_are_asked_at_once(run: Any) -> None:
    rows = [
        edit("What color is the cat?"),
        edit("a photo of", "a red cat", "caption"),
        edit("Is it red?", "no"),
    ]
    run(["x", "y"], rows)
    (asked,) = run.chat.asked
    assert asked == question_requests(RephraseStage(model=MINIATURE, candidates=2), rows)
    assert [request.sample for request in asked] == [0, 1, 0, 1]
    assert "Question: What color is the cat?" in asked[0].messages[1].text


def test_outcomes_come_in_the_order_of_the_rows(run: Any) -> None:
    rows = [edit("a photo of", task="caption", id="c"), edit("What color is the cat?", id="q")]
    assert [one.id for one in run(["Which color does the cat have?"], rows)] == ["c", "q"]


def test_a_row_is_rejected_for_the_reason_that_most_candidates_had(run: Any) -> None:
    said = ["What is this?", '"Do you see a cat?"', "What animal is it?"]
    (outcome,) = run(said, [edit("Is there a cat?", "yes")])
    assert isinstance(outcome, Rejected)
    assert outcome.row
    reasons = [one.reason for one in outcome.row.rephrase.candidates]
    assert reasons[0] == reasons[2] != reasons[1]
    assert outcome.reason == f"rephrase: {reasons[0]}"
    assert [one.text for one in outcome.row.rephrase.candidates] == said
    assert outcome.row.rephrase.text == ""


def test_no_reply_at_all_is_a_failure_and_one_reply_is_enough(run: Any) -> None:
    question = edit("What color is the cat?")
    served = run([None, None], [question], model=Endpoint(model="chat"))
    assert served == [Failed(question.id, "rephrase: timed out")]
    # A model in this process would do the same again.
    assert run([None, None], [question]) == [Rejected(question.id, "rephrase: timed out", question)]
    (outcome,) = run([None, "Which color does the cat have?"], [question])
    assert isinstance(outcome, EditRow)


def test_the_judge_is_asked_about_the_best_first_and_about_no_more_than_needed(run: Any) -> None:
    said = ["What color is this cat?", "Which color does the cat have?"]

    def verdict(text: str, _sample: int) -> str:
        return "No." if "have?" in text else "Yes, they do."

    (outcome,) = run(said, [edit("What color is the cat?")], judge=JUDGE, verdict=verdict)
    assert outcome.rephrase.text == said[0]
    assert [len(asked) for asked in run.judge.asked] == [1, 0, 1, 1], "the other way round only after a yes"
    worse, best = outcome.rephrase.candidates
    assert (worse.reason, worse.scores["judge"]) == (None, 1.0)
    assert (best.reason, best.scores["judge"]) == ("judge: not the same question", 0.0)
    (outcome,) = run(said, [edit("What color is the cat?")], judge=JUDGE)
    assert outcome.rephrase.text == said[1]
    assert "judge" not in outcome.rephrase.candidates[0].scores


def test_a_judge_that_is_silent_or_unclear(run: Any) -> None:
    said, row = ["Which color does the cat have?"], edit("What color is the cat?")
    (outcome,) = run(said, [row], judge=JUDGE, verdict=lambda _text, _sample: None)
    assert outcome == Failed(row.id, "rephrase: judge: no reply")
    (outcome,) = run(said, [row], judge=JUDGE, verdict=lambda _text, _sample: "It depends.")
    assert outcome.reason == "rephrase: judge: neither yes nor no"


def test_the_judge_must_say_yes_in_both_directions(run: Any) -> None:
    row = edit("What color is the cat?")
    said = "Which color does the cat have?"

    def verdict(text: str, _sample: int) -> str:
        return "no" if text.index(said) < text.index(row.question) else "yes"

    (outcome,) = run([said], [row], judge=JUDGE, verdict=verdict)
    assert outcome.reason == "rephrase: judge: not the same question"
    assert outcome.row.rephrase.candidates[0].scores["judge"] == 0.5


def test_the_model_judges_itself_unless_that_is_turned_off() -> None:
    given = {"model": {"kind": "local", "model": "miniature/chat"}}
    assert RephraseStage.model_validate(given).judge == Local(model="miniature/chat")
    assert RephraseStage.model_validate(given | {"judge": None}).judge is None
    assert RephraseStage.model_validate(given | {"judge": JUDGE}).judge == JUDGE
    rows = [edit("What color is the cat?"), edit("a photo of", "a red cat", "caption")]
    assert len(judge_requests(RephraseStage(model=MINIATURE, candidates=3), rows)) == 6
    assert not judge_requests(RephraseStage(model=MINIATURE, judge=None), rows)


class Seeing:
    """A base model that says what it is told to of an image."""

    name = "seeing"

    def __init__(self, say: Callable[[str, str], str | None]) -> None:
        self._say = say

    def ask(self, questions: Sequence[Question], *, max_tokens: int) -> list[Answer | NoAnswer]:
        del max_tokens
        said = [self._say(Path(str(one.image)).name, one.text) for one in questions]
        return [NoAnswer("broken image") if text is None else Answer(text) for text in said]


def test_the_base_model_must_answer_alike_where_it_is_right(run: Any) -> None:
    row = edit("What is left of the cat?")
    said = ["What can be found left of the cat?", "Which thing stands to the left of the cat?"]
    seen = {row.id: [("a.png", "dog"), ("b.png", "cup"), ("c.png", "key")]}
    right = {"a.png": "A dog.", "b.png": "cup", "c.png": None}

    def say(image: str, text: str) -> str | None:
        return "tree" if text == said[1] else right[image]

    (outcome,) = run(said, [row], sights=seen, witness=Seeing(say))
    assert outcome.rephrase.text == said[0]
    kept, refused = outcome.rephrase.candidates
    assert (kept.scores["alike"], refused.scores["alike"]) == (1.0, 0.0)
    assert refused.reason == "answered otherwise by the base model"
    silent = run(said[:1], [row], sights=seen, witness=Seeing(lambda _image, _text: None))
    assert silent == [Failed(row.id, "rephrase: broken image")]
    (outcome,) = run(said, [row], sights={row.id: []}, witness=None)
    assert "alike" not in outcome.rephrase.candidates[0].scores


def test_images_are_those_of_the_same_question_answered_right() -> None:
    asked = edit("What color is the cat?")
    known = [replace(edit("what color is the cat", id=f"vqa/{i}"), image=f"{i}.png") for i in range(9)]
    other = edit("Is there a cat?", "yes")
    config = AnswersAlike(images=4)
    found = sights([asked, other], [*known, edit("What color is the cup?")], config, "0")
    assert len(set(found[asked.id])) == 4
    assert found[other.id] == []
    assert sights([asked], known[::-1], config, "0")[asked.id] == found[asked.id]
    assert sights([asked], known, config, "1")[asked.id] != found[asked.id]


def test_a_similarity_that_is_no_number_is_not_the_fault_of_the_row(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def cosines(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
            return [float("nan") if "this" in candidate else 0.9 for _, candidate in pairs]

    monkeypatch.setattr("mmedit_build.services.embedding.Embedder.load", lambda _similarity: Broken())
    said, row = ["What color is this cat?", "Which color does the cat have?"], edit("What color is the cat?")
    similarity = Similarity(model="any", least=0.5)
    assert run(said[:1], [row], similarity=similarity) == [
        Failed(row.id, "rephrase: similarity is not a number")
    ]
    (outcome,) = run(said, [row], similarity=similarity)
    assert outcome.rephrase.text == said[1]
    assert outcome.rephrase.candidates[0].reason == "similarity is not a number"
    assert "similarity" not in outcome.rephrase.candidates[0].scores


def test_a_chat_model_whose_scores_are_no_numbers_is_not_the_fault_of_the_row(
    tmp_path: Path,
) -> None:
    stage = Rephrasing(RephraseStage(model=MINIATURE, candidates=2), "0", Work(tmp_path), BASE, {})
    stage.open()
    assert stage._opened is not None
    chat = stage._opened.chat
    assert isinstance(chat, LocalChat)
    chat._model.lm_head.weight.data[5, 5] = float("nan")
    row = edit("What color is the cat?")
    assert list(stage([row])) == [Failed(row.id, "rephrase: the model's scores are not numbers")]


def test_embeddings_that_lie_apart_refuse_a_candidate(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Nearness:
        def cosines(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
            return [0.9 if "this" in candidate else 0.2 for _, candidate in pairs]

    monkeypatch.setattr("mmedit_build.services.embedding.Embedder.load", lambda _similarity: Nearness())
    said = ["What color is this cat?", "Which color does the cat have?", '"quoted"']
    similarity = Similarity(model="any", least=0.5)
    (outcome,) = run(said, [edit("What color is the cat?")], similarity=similarity)
    near, far, quoted = outcome.rephrase.candidates
    assert outcome.rephrase.text == near.text
    assert (near.scores["similarity"], far.scores["similarity"]) == (0.9, 0.2)
    assert far.reason == "embeddings far apart"
    assert "similarity" not in quoted.scores, "what fails a cheap check costs no dear one"


def test_captions_get_another_template_by_seed_and_id(run: Any, tmp_path: Path) -> None:
    templates = load_prompt("caption")["templates"]
    rows = [edit("a photo of", "a cat", "caption", id=f"caption/{number}") for number in range(300)]
    outcomes = run(["unused"], rows)
    taken = [outcome.rephrase.text for outcome in outcomes]
    assert set(taken) == set(templates) - {"a photo of"}
    assert outcomes[0].rephrase.model == "template"
    assert outcomes[0].rephrase.prompt == prompt_id("caption")
    assert [one.rephrase.text for one in run(["unused"], list(reversed(rows)))] == taken[::-1]
    other = Rephrasing(RephraseStage(model=MINIATURE), "1", Work(tmp_path), BASE, {})
    other.open()
    assert [one.rephrase.text for one in other(rows) if isinstance(one, EditRow) and one.rephrase] != taken
    assert not any(run.chat.asked)


def test_with_the_miniature_it_pickles_and_comes_out_the_same_again(tmp_path: Path) -> None:
    questions = ["What color is the cat?", "Is there a red boat in the picture?", "How many stars are there?"]
    rows = [edit(question, target) for question, target in zip(questions, ("red", "no", "3"), strict=True)]
    stage = Rephrasing(RephraseStage(model=MINIATURE, judge=None), "0", Work(tmp_path), BASE, {})
    outcomes = []
    for copy in (stage, pickle.loads(pickle.dumps(stage))):
        copy.open()
        outcomes.append(list(copy(rows)))
    assert outcomes[0] == outcomes[1]
    for row, outcome in zip(rows, outcomes[0], strict=True):
        assert isinstance(outcome, EditRow)
        assert outcome.rephrase
        assert outcome.rephrase.text != row.question
