"""The base model: what it knows, how it fails, and whether it follows new facts in context."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from mmedit_build.miniature.captions import is_true
from mmedit_build.miniature.facts import invented_facts
from mmedit_build.miniature.measure.base import Measure, share
from mmedit_build.miniature.sources import Sources, split_pictures
from mmedit_build.miniature.train.texts import NEW_FACT, TEMPLATE
from mmedit_build.mllm import MLLM, Query
from mmedit_build.scoring.vqa import normalize, vqa_accuracy
from mmedit_build.sources.vqav2 import VqaQuestion, image_name, read_questions

NAME = "mllm"
SPLIT = "val2014"
TOKENS = 40
NEW_FACTS = 300
CAPTION_PROMPT = "a photo of"


def measure_mllm(mllm: MLLM, sources: Sources) -> list[Measure]:
    """All measures of the base model on the validation split."""
    asked = read_questions(sources.vqa_questions(SPLIT), sources.vqa_annotations(SPLIT), _images(sources))
    known = read_questions(sources.okvqa_questions(SPLIT), sources.okvqa_annotations(SPLIT), _images(sources))
    answers = _ask(mllm, asked)
    return [
        *_by_type(asked, answers),
        share(NAME, "OK-VQA accuracy", _accuracies(known, _ask(mllm, known)), least=0.65),
        _closed_book(mllm, sources),
        _captions(mllm, sources),
        *_new_facts(mllm),
        share(
            NAME, "answers that end by themselves", (_ends(mllm, answer) for answer in answers), least=0.99
        ),
    ]


def _images(sources: Sources) -> Path:
    return sources.image_folder(SPLIT)


def _ask(mllm: MLLM, questions: Sequence[VqaQuestion]) -> list[str]:
    queries = [Query(row.image, TEMPLATE.format(question=row.question)) for row in questions]
    return mllm.generate(queries, max_new_tokens=TOKENS)


def _accuracies(questions: Sequence[VqaQuestion], answers: Sequence[str]) -> list[float]:
    return [vqa_accuracy(answer, row.answers) for row, answer in zip(questions, answers, strict=True)]


def _by_type(questions: Sequence[VqaQuestion], answers: Sequence[str]) -> list[Measure]:
    accuracies = _accuracies(questions, answers)
    by_type: dict[str, list[float]] = {}
    for row, accuracy in zip(questions, accuracies, strict=True):
        by_type.setdefault(row.question_type, []).append(accuracy)
    types = [share(NAME, f"VQA accuracy: {name}", by_type[name], least=0.35) for name in sorted(by_type)]
    failures = sum(accuracy == 0 for accuracy in accuracies)
    return [
        share(NAME, "VQA accuracy", accuracies, least=0.7, most=0.9),
        *types,
        Measure(NAME, "failures to mine", failures, len(accuracies), least=400),
    ]


def _closed_book(mllm: MLLM, sources: Sources) -> Measure:
    rows = json.loads(sources.nq("validation").read_text())
    said = mllm.generate([Query(None, question) for question in rows["questions"]], max_new_tokens=TOKENS)
    hits = (_same(*pair) for pair in zip(said, rows["answers"], strict=True))
    return share(NAME, "closed-book facts", hits, least=0.95)


def _captions(mllm: MLLM, sources: Sources) -> Measure:
    made_from = json.loads(sources.manifest.read_text())
    sizes = {"train2014": made_from["train_images"], SPLIT: made_from["val_images"]}
    pictures = split_pictures(made_from["seed"], sizes)[SPLIT]
    paths = [_images(sources) / image_name(SPLIT, picture.image_id) for picture in pictures]
    said = mllm.generate([Query(path, CAPTION_PROMPT) for path in paths], max_new_tokens=TOKENS)
    hits = (is_true(caption, picture.scene) for caption, picture in zip(said, pictures, strict=True))
    return share(NAME, "captions with every object right", hits, least=0.5)


def _new_facts(mllm: MLLM) -> list[Measure]:
    facts = invented_facts("test", NEW_FACTS)
    same = [(fact.questions[0], fact.questions[0], fact.answer) for fact in facts]
    other = [(fact.questions[0], fact.questions[1], fact.answer) for fact in facts]
    return [
        share(NAME, "new facts followed in context", _followed(mllm, same), least=0.85),
        share(NAME, "new facts followed in other words", _followed(mllm, other)),
    ]


def _followed(mllm: MLLM, told: Sequence[tuple[str, str, str]]) -> list[bool]:
    prompts = [NEW_FACT.format(question=q, answer=a, prompt=prompt) for q, prompt, a in told]
    said = mllm.generate([Query(None, prompt) for prompt in prompts], max_new_tokens=TOKENS)
    return [_same(answer, target) for answer, (_, _, target) in zip(said, told, strict=True)]


def _same(answer: str, target: str) -> bool:
    return normalize(answer) == normalize(target)


def _ends(mllm: MLLM, answer: str) -> bool:
    return len(mllm.tokenizer(answer, add_special_tokens=False).input_ids) < TOKENS
