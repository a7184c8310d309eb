"""A base model: what it knows, how it fails, and whether it follows new facts in context."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from mmedit_build.miniature.captions import is_true
from mmedit_build.miniature.facts import NEW_FACT, invented_facts
from mmedit_build.miniature.measure.base import Measure, share
from mmedit_build.miniature.sources import Sources, write_sources
from mmedit_build.mllm import MLLM, Query
from mmedit_build.scoring.vqa import normalize, vqa_accuracy
from mmedit_build.sources.images import image_name
from mmedit_build.sources.vqav2 import VqaQuestion, read_questions

SPLIT = "val2014"
TOKENS = 40
NEW_FACTS = 300
ENDINGS = 300
CAPTION_PROMPT = "a photo of"


def measure_mllm(name: str, weights: Path, device: str, val_images: int = 600) -> list[Measure]:
    """All measures of the base model of that name on the validation split of the source files."""
    mllm = MLLM.load(str(weights / name), device=device)
    with TemporaryDirectory() as folder:
        sources = write_sources(Path(folder) / name, train_images=1, val_images=val_images)
        return _measures(name, mllm, sources)


def _measures(name: str, mllm: MLLM, sources: Sources) -> list[Measure]:
    asked = read_questions(sources.vqa_questions(SPLIT), sources.vqa_annotations(SPLIT), _images(sources))
    known = read_questions(sources.okvqa_questions(SPLIT), sources.okvqa_annotations(SPLIT), _images(sources))
    answers = _ask(mllm, asked)
    return [
        *_by_type(name, asked, answers),
        share(name, "OK-VQA accuracy", _accuracies(known, _ask(mllm, known)), least=0.65),
        _closed_book(name, mllm, sources),
        _captions(name, mllm, sources),
        *_new_facts(name, mllm),
        _endings(name, mllm, asked[:ENDINGS]),
    ]


def _images(sources: Sources) -> Path:
    return sources.image_folder(SPLIT)


def _queries(mllm: MLLM, questions: Sequence[VqaQuestion]) -> list[Query]:
    return [Query(row.image, mllm.question_prompt(row.question)) for row in questions]


def _ask(mllm: MLLM, questions: Sequence[VqaQuestion]) -> list[str]:
    return mllm.generate(_queries(mllm, questions), max_new_tokens=TOKENS)


def _accuracies(questions: Sequence[VqaQuestion], answers: Sequence[str]) -> list[float]:
    return [vqa_accuracy(answer, row.answers) for row, answer in zip(questions, answers, strict=True)]


def _by_type(name: str, questions: Sequence[VqaQuestion], answers: Sequence[str]) -> list[Measure]:
    accuracies = _accuracies(questions, answers)
    by_type: dict[str, list[float]] = {}
    for row, accuracy in zip(questions, accuracies, strict=True):
        by_type.setdefault(row.question_type, []).append(accuracy)
    types = [share(name, f"VQA accuracy: {kind}", by_type[kind], least=0.35) for kind in sorted(by_type)]
    failures = sum(accuracy == 0 for accuracy in accuracies)
    return [
        share(name, "VQA accuracy", accuracies, least=0.7, most=0.9),
        *types,
        Measure(name, "failures to mine", failures, len(accuracies), least=400),
    ]


def _closed_book(name: str, mllm: MLLM, sources: Sources) -> Measure:
    rows = json.loads(sources.nq("validation").read_text())
    said = mllm.generate([Query(None, question) for question in rows["questions"]], max_new_tokens=TOKENS)
    hits = (_same(*pair) for pair in zip(said, rows["answers"], strict=True))
    return share(name, "closed-book facts", hits, least=0.95)


def _captions(name: str, mllm: MLLM, sources: Sources) -> Measure:
    pictures = sources.pictures()[SPLIT]
    paths = [_images(sources) / image_name(SPLIT, picture.image_id) for picture in pictures]
    said = mllm.generate([Query(path, CAPTION_PROMPT) for path in paths], max_new_tokens=TOKENS)
    hits = (is_true(caption, picture.scene) for caption, picture in zip(said, pictures, strict=True))
    return share(name, "captions with every object right", hits, least=0.5)


def _new_facts(name: str, mllm: MLLM) -> list[Measure]:
    facts = invented_facts("test", NEW_FACTS)
    same = [(fact.questions[0], fact.questions[0], fact.answer) for fact in facts]
    other = [(fact.questions[0], fact.questions[1], fact.answer) for fact in facts]
    return [
        share(name, "new facts followed in context", _followed(mllm, same), least=0.85),
        share(name, "new facts followed in other words", _followed(mllm, other)),
    ]


def _followed(mllm: MLLM, told: Sequence[tuple[str, str, str]]) -> list[bool]:
    prompts = [NEW_FACT.format(question=q, answer=a, prompt=prompt) for q, prompt, a in told]
    said = mllm.generate([Query(None, prompt) for prompt in prompts], max_new_tokens=TOKENS)
    return [_same(answer, target) for answer, (_, _, target) in zip(said, told, strict=True)]


def _same(answer: str, target: str) -> bool:
    return normalize(answer) == normalize(target)


def _endings(name: str, mllm: MLLM, questions: Sequence[VqaQuestion]) -> Measure:
    """Answers and captions that end by themselves are the same however much longer they might be."""
    captions = [Query(row.image, CAPTION_PROMPT) for row in questions]
    queries = [*_queries(mllm, questions), *captions]
    short, long = (mllm.generate(queries, max_new_tokens=tokens) for tokens in (TOKENS, 2 * TOKENS))
    ended = (one == other for one, other in zip(short, long, strict=True))
    return share(name, "answers and captions that end by themselves", ended, least=0.99)
