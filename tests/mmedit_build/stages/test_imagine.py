"""Rendering drawings anew with the bundled models, and the ways in which a rendering fails."""

from __future__ import annotations

import hashlib
import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch

from mmedit_build.engine.base import Failed, Rejected
from mmedit_build.errors import UserError
from mmedit_build.recipe import ImagineStage, Local, LocalMLLM, Quiz, Resemblance
from mmedit_build.rows import EditRow, Imagined
from mmedit_build.scoring.vqa import vqa_accuracy
from mmedit_build.services.asking import Answer, Question
from mmedit_build.services.images.generator import load_generator
from mmedit_build.services.images.painter import BLACK
from mmedit_build.services.opening import load_asker
from mmedit_build.sources.vqav2 import VqaQuestion, read_questions
from mmedit_build.stages.imagine import NO_CAPTION, NOTHING_ASKED, Imagining, attempt_seed
from mmedit_build.stages.likeness import QUIZ_FAILED, UNLIKE
from mmedit_build.stages.quiz import Known
from mmedit_build.work import Work

BASE = LocalMLLM(model="miniature/mllm", device="cpu")
SECOND = LocalMLLM(model="miniature/qwen", device="cpu")
STRENGTHS = (0.4, 0.5, 0.6, 0.7)
ROWS = 10


def settings(**changes: Any) -> ImagineStage:
    model = Local(model="miniature/diffusion", device="cpu")
    own = {"model": model, "steps": 10, "guidance": 2.0, "resemblance": like(0.5), "strengths": STRENGTHS}
    return ImagineStage(**{**own, **changes})


def like(least: float) -> Resemblance:
    return Resemblance(model="miniature/clip", least=least)


def image_id(question: VqaQuestion) -> str:
    return str(int(question.image.stem[-12:]))


@pytest.fixture(scope="module")
def questions(drawn: Work) -> list[VqaQuestion]:
    folder = drawn.sources
    return read_questions(
        folder / "vqa" / "v2_OpenEnded_mscoco_val2014_questions.json",
        folder / "vqa" / "v2_mscoco_val2014_annotations.json",
        folder / "images" / "val2014",
    )[: ROWS * 5]


@pytest.fixture(scope="module")
def known(questions: list[VqaQuestion], drawn: Work) -> Known:
    asker = load_asker(BASE, drawn.requests)
    answers = asker.ask([Question(one.image, one.question) for one in questions], max_tokens=10)
    found: dict[str, list[tuple[str, str]]] = {}
    for question, answer in zip(questions, answers, strict=True):
        if isinstance(answer, Answer) and vqa_accuracy(answer.text, question.answers) > 0.9:
            found.setdefault(image_id(question), []).append((question.question, answer.text))
    return found


@pytest.fixture(scope="module")
def edits(questions: list[VqaQuestion], drawn: Work) -> list[EditRow]:
    """One for each image, of one question that is as good as any."""
    file = json.loads((drawn.sources / "coco" / "captions_val2014.json").read_bytes())
    captions = {str(row["image_id"]): row["caption"] for row in file["annotations"]}
    return [
        EditRow(
            id=f"vqa/val2014/{image_id(one)}",
            task="vqa",
            image=drawn.name(one.image),
            image_id=image_id(one),
            question=one.question,
            question_type=one.question_type,
            answers=one.answers,
            caption=captions[image_id(one)],
            target=max(one.answers, key=one.answers.count),
            prediction="something else",
            first_prediction="something else",
            confidence=None,
            scores={},
            base="miniature/mllm",
        )
        for one in questions[::5]
    ]


Outcome = EditRow | Rejected[EditRow] | Failed


def imagine(
    work: Work, rows: list[EditRow], known: Known, config: ImagineStage | None = None
) -> list[Outcome]:
    stage = Imagining(config or settings(), "0", work, BASE, known)
    stage.open()
    return stage(rows)


@pytest.fixture(scope="module")
def outcomes(drawn: Work, edits: list[EditRow], known: Known) -> list[Outcome]:
    return imagine(drawn, edits, known)


def imagined(outcome: Outcome) -> Imagined:
    row = outcome.row if isinstance(outcome, Rejected) else outcome
    assert isinstance(row, EditRow)
    assert row.imagined is not None
    return row.imagined


# What passes


def test_most_rows_get_an_image(outcomes: list[Outcome], edits: list[EditRow]) -> None:
    assert [one.id for one in outcomes] == [row.id for row in edits]
    assert sum(isinstance(one, EditRow) for one in outcomes) >= 0.7 * ROWS
    for before, after in zip(edits, outcomes, strict=True):
        assert not isinstance(after, EditRow) or replace(after, imagined=None) == before


def test_the_image_is_the_first_that_passes(outcomes: list[Outcome]) -> None:
    for one in (imagined(outcome) for outcome in outcomes if isinstance(outcome, EditRow)):
        *before, last = one.candidates
        assert (one.image, one.digest, one.seed) == (last.image, last.digest, last.seed)
        assert all(painting.reason is not None for painting in before)
        assert last.reason is None
        assert last.failed == ()
        assert last.scores["difference"] > 2
        assert last.scores["quiz"] == 1
        assert last.scores["asked"] >= 1
        assert "target_seen" not in last.scores


def test_it_is_painted_from_weak_to_strong(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        candidates = imagined(outcome).candidates
        assert isinstance(outcome, EditRow) or len(candidates) == len(STRENGTHS)
        assert tuple(one.strength for one in candidates) == STRENGTHS[: len(candidates)]
        seeds = [attempt_seed("0", outcome.id, number) for number in range(4)]
        assert [one.seed for one in candidates] == seeds[: len(candidates)]
        assert all(one.failed for one in candidates if one.reason == QUIZ_FAILED)


def test_every_image_is_kept_under_its_digest(outcomes: list[Outcome], drawn: Work) -> None:
    for candidate in (one for outcome in outcomes for one in imagined(outcome).candidates):
        assert candidate.image is not None
        assert candidate.digest is not None
        assert candidate.image == f"images/{candidate.digest[:2]}/{candidate.digest}.png"
        data = drawn.path(candidate.image).read_bytes()
        assert hashlib.sha256(data).hexdigest() == candidate.digest
        with PIL.Image.open(drawn.path(candidate.image)) as image:
            assert image.size == (64, 64)


def test_it_is_noted_how_an_image_came_about(outcomes: list[Outcome], edits: list[EditRow]) -> None:
    one = imagined(outcomes[0])
    assert (one.strategy, one.model, one.prompt) == (
        "image-to-image",
        "miniature/diffusion",
        edits[0].caption,
    )


def test_a_second_run_gives_the_same_bytes(
    outcomes: list[Outcome], edits: list[EditRow], known: Known, drawn: Work, tmp_path: Path
) -> None:
    moved = [replace(row, image=str(drawn.path(row.image))) for row in edits]
    again = imagine(Work(tmp_path), moved, known)
    assert [imagined(one) for one in again] == [imagined(one) for one in outcomes]


def test_text_to_image_needs_no_original(edits: list[EditRow], known: Known, tmp_path: Path) -> None:
    config = settings(strategy="text-to-image", quiz=None, resemblance=like(0.0), candidates=2)
    (outcome,) = imagine(Work(tmp_path), [replace(edits[0], image="nowhere.jpg")], known, config)
    assert isinstance(outcome, EditRow)
    assert set(imagined(outcome).candidates[0].scores) == {"resemblance"}
    assert imagined(outcome).candidates[0].strength is None


def test_text_to_image_tries_new_seeds(edits: list[EditRow], known: Known, drawn: Work) -> None:
    config = settings(strategy="text-to-image", resemblance=like(1.0), candidates=3)
    (outcome,) = imagine(drawn, edits[:1], known, config)
    assert isinstance(outcome, Rejected)
    tried = imagined(outcome).candidates
    assert [one.seed for one in tried] == [attempt_seed("0", edits[0].id, number) for number in range(3)]
    assert len({one.digest for one in tried}) == 3


def test_captions_are_painted_from_their_target(edits: list[EditRow], known: Known, drawn: Work) -> None:
    row = replace(
        edits[0],
        task="caption",
        question="a photo of",
        caption="another of the references",
        target="a red car",
    )
    config = settings(positive="{caption}, neat", resemblance=like(-1.0), quiz=None)
    (outcome,) = imagine(drawn, [row], known, config)
    assert imagined(outcome).prompt == "a red car, neat"


def test_what_the_text_encoder_does_not_read_is_counted(
    edits: list[EditRow], known: Known, drawn: Work
) -> None:
    row = replace(edits[0], caption=" and ".join([str(edits[0].caption)] * 6))
    config = settings(resemblance=None, quiz=None)
    (long,), (short,) = (imagine(drawn, [one], known, config) for one in (row, edits[0]))
    assert imagined(long).candidates[0].scores["prompt_tokens_cut"] > 0
    assert "prompt_tokens_cut" not in imagined(short).candidates[0].scores


# What does not


def test_unlike_images_are_rejected_with_all_that_was_tried(
    edits: list[EditRow], known: Known, drawn: Work
) -> None:
    config = settings(resemblance=like(1.0), strengths=(0.5, 0.5, 0.5))
    for outcome in imagine(drawn, edits[:2], known, config):
        assert isinstance(outcome, Rejected)
        assert outcome.reason == f"image: {UNLIKE}"
        tried = imagined(outcome).candidates
        assert [one.reason for one in tried] == [UNLIKE] * 3
        assert all("quiz" not in one.scores for one in tried)
        nearest = max(tried, key=lambda one: one.scores["resemblance"])
        assert imagined(outcome).digest == nearest.digest


def test_a_failed_quiz_rejects(edits: list[EditRow], drawn: Work) -> None:
    known = {edits[0].image_id: [("Is there a moon?", "purple"), ("How many?", "nine hundred")]}
    config = settings(resemblance=None, strengths=(0.4, 0.5))
    (outcome,) = imagine(drawn, edits[:1], known, config)
    assert isinstance(outcome, Rejected)
    assert outcome.reason == f"image: {QUIZ_FAILED}"
    for tried in imagined(outcome).candidates:
        assert tried.scores["quiz"] < 1
        assert set(tried.failed) >= {"Is there a moon?", "How many?"}


def test_the_commonest_reason_is_told(edits: list[EditRow], drawn: Work) -> None:
    known = {edits[0].image_id: [("Is there a moon?", "purple")]}
    (outcome,) = imagine(drawn, edits[:1], known, settings(resemblance=like(-1.0)))
    cosines = sorted(one.scores["resemblance"] for one in imagined(outcome).candidates)
    (outcome,) = imagine(drawn, edits[:1], known, settings(resemblance=like(sum(cosines[-2:]) / 2)))
    assert sorted(str(one.reason) for one in imagined(outcome).candidates) == [QUIZ_FAILED, *[UNLIKE] * 3]
    assert isinstance(outcome, Rejected)
    assert outcome.reason == f"image: {UNLIKE}"


def test_images_of_which_nobody_asked_are_held_by_what_captions_state(
    edits: list[EditRow], drawn: Work
) -> None:
    outcomes = imagine(drawn, edits, {}, settings(resemblance=None))
    passed = [imagined(one).candidates[-1] for one in outcomes if isinstance(one, EditRow)]
    assert len(passed) >= 0.7 * ROWS
    assert all(one.scores["asked"] >= 1 for one in passed)


def test_without_any_question_nothing_is_painted(edits: list[EditRow], drawn: Work) -> None:
    row = replace(edits[0], caption="somewhere")
    known = {row.image_id: [(row.question.upper(), "a lie")]}
    assert imagine(drawn, [row], known) == [Rejected(row.id, NOTHING_ASKED, row)]


def test_the_second_model_must_see_the_target(
    edits: list[EditRow], questions: list[VqaQuestion], drawn: Work
) -> None:
    """It must where it sees it on the original; where it does not, the rest of the quiz has to do."""
    asked = next(one for one in questions if "background" in one.question_type)
    right = next(row for row in edits if row.image_id == image_id(asked))
    right = replace(
        right,
        question=asked.question,
        answers=asked.answers,
        target=max(asked.answers, key=asked.answers.count),
    )
    wrong = replace(right, id="wrong", answers=("moon",) * 10, target="moon")
    config = settings(resemblance=None, quiz=Quiz(second=SECOND, least=0.0), strengths=(0.4,))
    seen, unseen = imagine(drawn, [right, wrong], {}, config)
    assert isinstance(seen, EditRow)
    assert imagined(seen).candidates[-1].scores["target_asked"] == 1
    assert imagined(seen).candidates[-1].scores["target_seen"] == 1
    assert isinstance(unseen, EditRow)
    assert imagined(unseen).candidates[-1].scores["target_asked"] == 0
    assert "target_seen" not in imagined(unseen).candidates[-1].scores


def test_black_images_are_no_data(edits: list[EditRow], known: Known, drawn: Work, tmp_path: Path) -> None:
    pipeline = load_generator(settings())
    with torch.no_grad():
        pipeline.vae.decoder.conv_out.weight.zero_()
        pipeline.vae.decoder.conv_out.bias.fill_(-1.0)
    pipeline.save_pretrained(tmp_path)
    config = settings(model=Local(model=str(tmp_path), device="cpu"))
    (outcome,) = imagine(drawn, edits[:1], known, config)
    assert outcome == Rejected(edits[0].id, f"image: {BLACK}", edits[0])


def test_a_row_without_a_caption_is_rejected_and_a_broken_image_fails(
    edits: list[EditRow], known: Known, drawn: Work, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(drawn.path(edits[1].image).read_bytes()[:200])
    rows = [
        replace(edits[0], caption=None),
        replace(edits[1], image=str(broken)),
        replace(edits[2], image="sources/missing.jpg"),
        edits[3],
    ]
    bare, corrupt, missing, fine = imagine(drawn, rows, known, settings(resemblance=None, quiz=None))
    assert bare == Rejected(rows[0].id, NO_CAPTION, rows[0])
    assert isinstance(corrupt, Failed)
    assert "broken.jpg" in corrupt.reason
    assert isinstance(missing, Failed)
    assert "missing.jpg" in missing.reason
    assert isinstance(fine, EditRow)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"positive": "a photo of {captoin}"}, "the only name in braces"),
        ({"positive": "a {photo"}, "the only name in braces"),
        ({"positive": "a cat", "strategy": "text-to-image"}, "the same image every time"),
    ],
)
def test_prompts_that_cannot_be_filled_in_are_told(drawn: Work, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        Imagining(settings(**changes), "0", drawn, BASE, {}).open()


# How it travels


def test_a_stage_can_be_sent_to_a_worker(drawn: Work, known: Known) -> None:
    stage = Imagining(settings(), "0", drawn, BASE, known)
    assert pickle.loads(pickle.dumps(stage)) == stage


def test_seeds_have_32_bits_and_depend_on_recipe_row_and_attempt() -> None:
    seeds = {attempt_seed(seed, row, n) for seed in "01" for row in ("vqa/1", "vqa/2") for n in range(50)}
    assert len(seeds) == 200
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert attempt_seed("0", "vqa/val2014/1", 0) == attempt_seed("0", "vqa/val2014/1", 0)
