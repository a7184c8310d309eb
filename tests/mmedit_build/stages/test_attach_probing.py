from __future__ import annotations

import pickle
from collections import defaultdict
from dataclasses import replace

import pytest

from mmedit_build.engine.base import Failed, Rejected
from mmedit_build.miniature.sources import Sources, write_sources
from mmedit_build.recipe import AttachStage, FactFile, LocalMLLM, QuestionFiles
from mmedit_build.rows import LocalityItem
from mmedit_build.services.asking import Answer, Question
from mmedit_build.sources.reading import read_facts, read_image_pool
from mmedit_build.stages.attach import Probing, is_right
from mmedit_build.work import Work
from tests.mmedit_build.stages.conftest import item

FACTS = FactFile(path="{sources}/nq/validation.json")
ASKED = QuestionFiles(
    questions="{sources}/okvqa/OpenEnded_mscoco_val2014_questions.json",
    annotations="{sources}/okvqa/mscoco_val2014_annotations.json",
    images="{sources}/images/val2014",
)
CONFIG = AttachStage(text=(FACTS,), image=(ASKED,))


@pytest.mark.parametrize(
    ("prediction", "answers", "right"),
    [
        ("the Paris.", ["Rome", "paris"], True),
        ("Paris, France", ["Paris"], False),
        ("A", ["a"], True),
        ("the", ["a"], False),
        ("", [""], False),
    ],
)
def test_facts_are_right_up_to_case_articles_and_punctuation(
    prediction: str, answers: list[str], right: bool
) -> None:
    assert is_right(replace(item(1, "who"), answers=tuple(answers)), prediction) == right


@pytest.mark.parametrize(
    ("prediction", "right"), [("Dog.", True), ("the dog", True), ("cat", False), ("", False)]
)
def test_answers_about_images_are_right_when_they_are_what_most_say(prediction: str, right: bool) -> None:
    one = replace(item(1, "what", image=1), answers=("dog",) * 6 + ("cat",) * 4, answer="dog")
    assert is_right(one, prediction) == right


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Work:
    return Work(tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def drawn(work: Work) -> Sources:
    return write_sources(work.sources, train_images=1, val_images=20)


@pytest.fixture(scope="module")
def pool(work: Work, drawn: Sources) -> list[LocalityItem]:
    assert drawn.images == 21
    return [*read_facts([FACTS], work)[:5], *read_image_pool([ASKED], work)]


@pytest.fixture(scope="module")
def probing(work: Work) -> Probing:
    """As a worker has it: pickled, then opened."""
    stage = Probing(CONFIG, LocalMLLM(model="miniature/mllm", device="cpu"), work)
    opened: Probing = pickle.loads(pickle.dumps(stage))
    opened.open()
    return opened


def test_what_is_answered_right_is_kept_with_what_was_said(
    probing: Probing, pool: list[LocalityItem]
) -> None:
    outcomes = list(probing(pool))
    assert [one.id for one in outcomes] == [one.id for one in pool]
    sorted_out: dict[str, list[LocalityItem]] = defaultdict(list)
    for one in outcomes:
        assert not isinstance(one, Failed)
        if isinstance(one, Rejected):
            assert one.row is not None
            sorted_out[one.reason].append(one.row)
        else:
            sorted_out["right"].append(one)
    assert all(is_right(one, str(one.prediction)) for one in sorted_out["right"])
    assert not any(is_right(one, str(one.prediction)) for one in sorted_out["answered wrong"])
    assert sum(one.image is None for one in sorted_out["right"]) == 5
    assert sum(one.image is not None for one in sorted_out["right"]) >= 10


def test_wrong_answers_are_kept_when_the_recipe_says_so(probing: Probing, pool: list[LocalityItem]) -> None:
    wrong = [replace(one, answers=("nonsense",) * 10, answer="nonsense") for one in pool[:7]]
    everything = replace(probing, config=CONFIG.model_copy(update={"only_right": False}))
    everything.open()
    assert all(isinstance(one, Rejected) for one in probing(wrong))
    kept = [one for one in everything(wrong) if isinstance(one, LocalityItem)]
    assert [one.id for one in kept] == [one.id for one in wrong]
    assert all(one.prediction for one in kept)


def test_what_annotators_disagree_about_is_not_asked(probing: Probing, pool: list[LocalityItem]) -> None:
    votes = ("Yes", "yes.", "yes", "yes", "no", "no", "no", "maybe", "a", "b")
    disputed = replace(next(one for one in pool if one.image), answers=votes, answer="yes")
    (outcome,) = probing([disputed])
    assert outcome == Rejected(disputed.id, "annotators disagree", disputed)
    allowed = replace(probing, config=CONFIG.model_copy(update={"least_agreement": 0.4}))
    allowed.open()
    (outcome,) = allowed([disputed])
    assert isinstance(outcome, LocalityItem) or outcome.reason == "answered wrong"


def test_a_missing_image_fails_alone(probing: Probing, pool: list[LocalityItem]) -> None:
    gone = replace(pool[5], id="okvqa/gone", image="sources/gone.jpg")
    first, second = probing([gone, pool[0]])
    assert isinstance(first, Failed)
    assert "gone.jpg" in first.reason
    assert isinstance(second, LocalityItem)


def test_a_question_without_its_image_is_asked_as_a_question_and_keeps_any_answer(probing: Probing) -> None:
    question = "What color is the cat?"
    blind = replace(item(1, question), id="vqa/1/no_image", relation="no_image", answers=(), answer="")
    (one,) = probing([blind])
    assert isinstance(one, LocalityItem)
    (query,) = [Question(None, question)]
    assert probing._asker is not None
    (answer,) = probing._asker.ask([query], max_tokens=16)
    assert isinstance(answer, Answer)
    assert (one.answer, one.prediction, one.answers) == (answer.text, answer.text, ())
