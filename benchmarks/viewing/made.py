"""Results made up at full size: as many edits and methods as one likes, in the files of real ones."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from editors.listed import listed
from evaluation.data.cases import LOCALITY, Kind, Relative
from evaluation.results.about import About
from evaluation.results.records import (
    CaseResult,
    ProbeResult,
    ResultFolder,
    RunResult,
    Settings,
    result_lines,
)
from evaluation.run.experiment import UNEDITED

PROBES: tuple[tuple[Kind, Relative | None], ...] = (
    *(("reliability", None), ("text_generality", None), ("image_generality", None)),
    *(("portability", "1-hop"), ("portability", "1-hop"), ("text_locality", "far")),
    *(("text_locality", "no_image"), ("image_locality", "far"), ("image_locality", "same_image")),
    *(("image_locality", "same_question"), ("image_locality", "similar_question")),
    *(("image_locality", "near_right"), ("image_locality", "far_right")),
    *(("gain", "near_wrong"), ("gain", "far_wrong")),
)
"""What an edit of a dataset with everything in it is judged by: fifteen questions."""
THINGS = (
    "apple",
    "boat",
    "bottle",
    "cat",
    "clock",
    "dog",
    "fish",
    "horse",
    "kite",
    "sheep",
    "train",
    "zebra",
)
TYPES = ("color", "count", "object", "place", "what is", "yes/no")


@dataclass(frozen=True)
class Asked:
    """What is asked about one edit, the same of every method."""

    number: int
    question: str
    target: str
    before: tuple[str, ...]


def make_results(folder: Path, edits: int = 3000, methods: int = 24, model: str = "made-up/model") -> None:
    """A folder of results: the unedited model and so many methods, each with so many edits."""
    asked = [_asked(number, model) for number in range(edits)]
    known = {name: about.family for name, about in listed().items() if name != UNEDITED}
    chosen = [UNEDITED, *list(known)[:methods]]
    for place, name in enumerate(chosen):
        header = RunResult(
            settings=_settings(name, model),
            finished=True,
            edits=edits,
            scored=edits,
            about=About(family=known.get(name, "sanity"), batch=True),
        )
        into = folder / "vqa" / name
        into.mkdir(parents=True)
        ResultFolder(into).write_header(header)
        skill = 0.0 if name == UNEDITED else 0.35 + 0.6 * place / len(chosen)
        result_lines(into).write(_cases(asked, skill, random.Random(f"{model} {name}")))


def _settings(name: str, model: str) -> Settings:
    return Settings(
        method=name,
        config={"steps": 15},
        model=model,
        model_digest=f"digest of {model}",
        dataset=f"{model}/dataset",
        dataset_digest="2",
        task="vqa",
        split="test",
        protocols=("legacy", "wild"),
        prompts="family",
        seed=0,
    )


def _asked(number: int, model: str) -> Asked:
    draw = random.Random(f"{model} {number}")
    thing, other = draw.sample(THINGS, 2)
    before = tuple(draw.choice(THINGS) for _ in PROBES)
    return Asked(number, f"What stands beside the {thing} in the picture {number}?", other, before)


def _cases(asked: list[Asked], skill: float, draw: random.Random) -> Iterator[CaseResult]:
    for one in asked:
        probes = tuple(_probe(one, place, skill, draw) for place in range(len(PROBES)))
        yield CaseResult(
            id=f"vqa/val2014/{one.number:06}",
            task="vqa",
            image_id=str(one.number // 2),
            question=one.question,
            question_type=TYPES[one.number % len(TYPES)],
            target=one.target,
            probes=probes,
            plan_seconds=round(draw.expovariate(1), 3),
            probe_seconds=0.4,
            changed=1_000_000,
        )


def _probe(asked: Asked, place: int, skill: float, draw: random.Random) -> ProbeResult:
    kind, relation = PROBES[place]
    local = kind in LOCALITY
    right = draw.random() < (0.95 if local and not skill else skill)
    score, before = float(right), asked.before[place]
    kept, changed = (before, draw.choice(THINGS)) if local else (asked.target, before)
    question = f"{asked.question} ({kind.replace('_', ' ')} {place})" if place else asked.question
    near = round(draw.uniform(-0.2, 0.9), 4) if relation else None
    return ProbeResult(
        kind=kind,
        item=f"item/{asked.number % 997}/{place}" if relation else "",
        relation=relation,
        text_cosine=near,
        image_cosine=near if kind == "image_locality" else None,
        prompt=f"Question: {question} Short answer:",
        question=question,
        target=before if local else asked.target,
        before=before,
        after=kept if right else changed,
        log_prob_before=-3 * draw.random(),
        log_prob_after=-3 * draw.random(),
        target_tokens=1,
        written_tokens=1,
        scores={
            "legacy": {"top1": score, "top10": round(0.1 * draw.randint(0, 10), 1), "answer_top1": score}
            if local
            else {"exact_match": score, "token_accuracy": score},
            "wild": {"unchanged": score, "right": score, "kl": draw.expovariate(5)}
            if local
            else {"match": score, "vqa": score},
        },
    )
