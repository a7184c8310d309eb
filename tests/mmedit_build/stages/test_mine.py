"""Mining drawings with the bundled base model: what is kept is wrong, once per image through the eye."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from mmedit_build.engine.base import Failed, Rejected
from mmedit_build.mllm import Query
from mmedit_build.recipe import Endpoint, LocalMLLM, MineCaption, MineStage, MineVqa, Sizes
from mmedit_build.recipe.sources import CaptionFiles, QuestionFiles, Sources
from mmedit_build.rows import EditRow, Example
from mmedit_build.scoring.caption import Consensus
from mmedit_build.scoring.vqa import vqa_accuracy
from mmedit_build.services.asking import LocalAsker
from mmedit_build.sources.reading import read_examples
from mmedit_build.stages.failures import RIGHT
from mmedit_build.stages.mine import Mining
from mmedit_build.work import Work
from tests.mmedit_build.stages.conftest import Told

SIZES = Sizes(train=10, test=10)
IMAGES = 60


@pytest.fixture(scope="module")
def examples(drawn: Work) -> list[Example]:
    folder = drawn.sources
    questions = QuestionFiles(
        questions=str(folder / "vqa" / "v2_OpenEnded_mscoco_val2014_questions.json"),
        annotations=str(folder / "vqa" / "v2_mscoco_val2014_annotations.json"),
        images=str(folder / "images" / "val2014"),
    )
    captions = CaptionFiles(
        annotations=str(folder / "coco" / "captions_val2014.json"), images=str(folder / "images" / "val2014")
    )
    return read_examples(
        Sources(vqa=(questions,), captions=(captions,)), drawn, limit=None, caption_prompt="a photo of"
    )


@pytest.fixture(scope="module")
def mining(drawn: Work, examples: list[Example]) -> Mining:
    config = MineStage(vqa=MineVqa(sizes=SIZES), caption=MineCaption(sizes=SIZES))
    consensus = Consensus.of(row.answers for row in examples if row.task == "caption")
    stage = Mining(config, LocalMLLM(model="miniature/mllm"), drawn, consensus)
    stage.open()
    return stage


@pytest.fixture(scope="module")
def outcomes(mining: Mining, examples: list[Example]) -> dict[str, EditRow | Rejected[EditRow] | Failed]:
    return {one.id: one for one in mining(examples)}


def test_every_example_has_its_outcome(
    outcomes: dict[str, EditRow | Rejected[EditRow] | Failed], examples: list[Example]
) -> None:
    assert sorted(outcomes) == sorted(row.id for row in examples)
    assert sum(isinstance(one, EditRow) for one in outcomes.values()) > 20


def test_what_is_kept_is_wrong_and_confirmed(
    outcomes: dict[str, EditRow | Rejected[EditRow] | Failed], mining: Mining, drawn: Work
) -> None:
    asker = mining._asker
    assert isinstance(asker, LocalAsker)
    kept = [one for one in outcomes.values() if isinstance(one, EditRow) and one.task == "vqa"]
    for edit in kept[:10]:
        prompt = asker.mllm.question_prompt(edit.question)
        (alone,) = asker.mllm.generate([Query(drawn.path(edit.image), prompt)], max_new_tokens=10)
        assert edit.prediction == alone
        assert vqa_accuracy(edit.prediction, edit.answers) == 0
        assert edit.confidence is not None
        assert 0 < edit.confidence <= 1
        assert edit.base == "miniature/mllm"


def test_a_score_that_is_no_number_fails_its_row(
    mining: Mining, examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    captions = [row for row in examples if row.task == "caption"][:2]
    monkeypatch.setattr(Consensus, "cider_d", lambda *_: float("nan"))
    assert list(mining(captions)) == [Failed(row.id, "cider_d is not a number") for row in captions]


def test_what_the_model_knows_is_kept_apart(
    outcomes: dict[str, EditRow | Rejected[EditRow] | Failed],
) -> None:
    known = [one for one in outcomes.values() if isinstance(one, Rejected) and one.reason == RIGHT]
    assert len(known) > 150
    assert all(one.row and one.row.prediction for one in known)


def test_an_image_goes_through_the_eye_once_for_questions_and_caption(
    mining: Mining, outcomes: dict[str, EditRow | Rejected[EditRow] | Failed]
) -> None:
    asker = mining._asker
    assert isinstance(asker, LocalAsker)
    assert outcomes
    assert asker.mllm.counts.vision == IMAGES


def test_a_broken_and_a_missing_image_cost_only_their_own_rows(
    mining: Mining, examples: list[Example], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(Path(mining.work.path(examples[0].image)).read_bytes()[:300])
    rows = [
        replace(examples[0], image=str(broken)),
        replace(examples[1], image=str(tmp_path / "missing.jpg")),
        *examples[2:6],
    ]
    outcomes = list(mining(rows))
    assert [type(one) is Failed for one in outcomes] == [True, True, False, False, False, False]
    assert "broken.jpg" in str(outcomes[0])
    assert "missing.jpg" in str(outcomes[1])


def test_mining_is_faster_than_asking_one_by_one(mining: Mining, examples: list[Example]) -> None:
    questions = [row for row in examples if row.task == "vqa"]
    fresh = replace(mining)
    fresh.open()
    start = time.process_time()
    list(fresh(questions))
    mined = (time.process_time() - start) / len(questions)
    asker = LocalAsker.load(LocalMLLM(model="miniature/mllm"))
    some = questions[:: len(questions) // 60]
    start = time.process_time()
    for row in some:
        # A loop that keeps nothing: each image through the eye for each question.
        with asker.mllm.fresh_features():
            query = Query(mining.work.path(row.image), asker.mllm.question_prompt(row.question))
            asker.mllm.generate([query], max_new_tokens=10)
    alone = (time.process_time() - start) / len(some)
    # docs/building.md has the ratio that was measured; a busy machine has less of its caches for batches.
    assert alone > 2 * mined


def test_what_a_served_model_gets_wrong_is_confirmed_by_its_weights(
    drawn: Work, mining: Mining, examples: list[Example]
) -> None:
    """The served one says what it is told; what is kept is what the weights here say, and say wrong."""
    asked = [row for row in examples if row.task == "vqa"][:40]
    config = MineStage(vqa=MineVqa(sizes=SIZES), confirm_by=LocalMLLM(model="miniature/mllm"))
    stage = Mining(config, Endpoint(model="told"), drawn, None)
    stage._asker, stage._confirmer = Told({row.question: "nonsense" for row in asked}), mining._asker
    kept = [one for one in stage(asked) if isinstance(one, EditRow)]
    known = {one.id for one in mining(asked) if isinstance(one, EditRow)}
    # "nonsense" is no answer to a question for yes or no, and no failure either.
    assert set() < {one.id for one in kept} <= known
    assert {(one.first_prediction, one.base) for one in kept} == {("nonsense", "told")}
    assert all(one.prediction != "nonsense" for one in kept)


def test_nobody_confirms_where_nothing_is_confirmed() -> None:
    with pytest.raises(ValueError, match="confirm_by says who confirms failures"):
        MineStage(confirm=False, confirm_by=LocalMLLM(model="miniature/mllm"))
