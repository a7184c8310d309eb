"""Results on disk about the cases of a real dataset, of methods that get known edits right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evaluation.data.cases import LOCALITY, Case, Probe
from evaluation.data.dataset import digest, load_cases
from evaluation.protocols.base import ProtocolName
from evaluation.results.about import About
from evaluation.results.records import (
    CaseResult,
    ProbeResult,
    ResultFolder,
    RunResult,
    Settings,
    read_results,
    result_lines,
)
from evaluation.results.streams import Checkpoint, Kept, Placed, StreamFolder
from evaluation.results.verdicts import Verdict, judged_of, verdict_lines
from evaluation.viewing.index import make_index
from mmedit_build.console import silent
from mmedit_build.pages.index import Index

RIGHT = {"unedited": 0, "ft": 1, "ike": 2}
"""Of how many edits, from the first on, each method gets all right."""
FAMILIES = {"ft": "fine-tuning", "ike": "memory"}


NUMBERS = (2, 4)
"""After how many edits streams are looked at."""


def settings_of(
    method: str, cases: list[Case], dataset: Path, model: str = "made-up", seed: int = 0, **more: Any
) -> Settings:
    return Settings(
        method=method,
        config={},
        model=model,
        model_digest=model,
        dataset=str(dataset),
        dataset_digest=digest(cases),
        task="vqa",
        split="test",
        protocols=("legacy", "wild"),
        prompts="family",
        seed=seed,
        **more,
    )


def make_run(folder: Path, method: str, cases: list[Case], dataset: Path, **changes: Any) -> Path:
    """The results of a method in a folder."""
    settings = settings_of(method, cases, dataset, **changes)
    about = About(family=FAMILIES.get(method, "sanity"), batch=True)
    folder.mkdir(parents=True)
    ResultFolder(folder).write_header(
        RunResult(settings=settings, finished=True, edits=len(cases), about=about)
    )
    right = RIGHT[method]
    result_lines(folder).write(make_case(case, method, place < right) for place, case in enumerate(cases))
    return folder


def make_case(case: Case, method: str, right: bool) -> CaseResult:
    own = Probe(kind="reliability", question=case.question, answers=(case.target,))
    return CaseResult(
        id=case.id,
        task=case.task,
        image_id=case.image_id,
        question=case.question,
        question_type=case.question_type,
        target=case.target,
        probes=tuple(make_probe(probe, method, right) for probe in (own, *case.probes)),
    )


def make_probe(probe: Probe, method: str, right: bool) -> ProbeResult:
    local = probe.kind in LOCALITY
    score = float(right or (local and method == "unedited"))
    good = {"unchanged": score, "right": score, "kl": 1 - score} if local else {"match": score}
    forced = {"top1": score, "top10": score / 2} if local else {"exact_match": score, "token_accuracy": score}
    return ProbeResult(
        kind=probe.kind,
        item=probe.id,
        relation=probe.relation,
        prompt=f"Question: {probe.question}",
        question=probe.question,
        target=probe.answers[0],
        before="100% before",
        after=probe.answers[0] if score else f"wrong <b>{method}</b>",
        log_prob_before=-2.0,
        log_prob_after=-1.0,
        target_tokens=1,
        written_tokens=1,
        scores={"legacy": forced, "wild": good},
        text_cosine=len(probe.question) / 100 if probe.kind == "image_locality" else None,
    )


def make_stream(
    folder: Path, method: str, cases: list[Case], dataset: Path, forgets: int, **changes: Any
) -> None:
    """Streams in two orders; each edit is right at first, and so many of an order are wrong later."""
    settings = settings_of(method, cases, dataset, stream=len(cases), **changes)
    header = RunResult(settings=settings, finished=True, about=About(family=FAMILIES[method], batch=True))
    folder.mkdir(parents=True)
    to = StreamFolder(folder)
    to.write_header(header)
    for order, dealt in enumerate((cases, cases[::-1])):
        for place, case in enumerate(dealt):
            to.add_online(Placed(order=order, position=place, result=make_case(case, method, True)))
        for number in NUMBERS:
            kept = tuple(
                Placed(order=order, position=place, result=make_case(case, method, place >= forgets))
                for place, case in enumerate(dealt[:number])
            )
            to.add_checkpoint(checkpoint(order, number, kept, cases[0], method, known=number < 4))


def checkpoint(
    order: int, number: int, kept: tuple[Placed, ...], case: Case, method: str, *, known: bool
) -> Checkpoint:
    probes = [one for one in make_case(case, method, known).probes if one.kind == "image_locality"]
    knew: dict[ProtocolName, bool] = {"legacy": True, "wild": True}
    knows: dict[ProtocolName, bool] = {"legacy": known, "wild": known}
    fixed = tuple(Kept(image=case.image_id, knew=knew, knows=knows, result=one) for one in probes)
    return Checkpoint(
        order=order,
        edits=number,
        retention=kept,
        fixed=fixed,
        patch_bytes=1,
        plan_seconds=0.1,
        query_seconds=0.2,
        unedited_seconds=0.1,
        peak_bytes=1,
    )


def judge(folder: Path) -> None:
    """A judge of a run who says what the match says, but that its first wrong answer is right, and the last
    unclear."""
    _, cases = read_results(folder)
    asked = [judged_of("vqa", probe) for case in cases for probe in case.probes]
    different = list(dict.fromkeys(said for said in asked if said is not None))
    wrong = [said for said in different if said.answer.startswith("wrong")]
    for said in different:
        right = None if said == wrong[-1] else not said.answer.startswith("wrong") or said == wrong[0]
        raw = {True: "Right.", False: "Wrong.", None: "Who knows?"}[right]
        line = Verdict(judge="sage", prompt="grade#1", raw=raw, right=right, **said._asdict())
        verdict_lines(folder).add(line)


@pytest.fixture
def results(dataset: Path, tmp_path: Path) -> Path:
    """A folder with three runs."""
    cases = load_cases(str(dataset), "vqa")
    for method in RIGHT:
        make_run(tmp_path / "results" / "vqa" / method, method, cases, dataset)
    return tmp_path / "results"


@pytest.fixture
def streamed(results: Path, dataset: Path, tmp_path: Path) -> Index:
    cases = load_cases(str(dataset), "vqa")
    for method, forgets in (("ft", 2), ("ike", 0)):
        make_stream(results / "vqa" / "streams" / method, method, cases, dataset, forgets)
    return make_index([results], tmp_path / "cache", None, silent)


@pytest.fixture
def index(results: Path, tmp_path: Path) -> Index:
    return make_index([results], tmp_path / "cache", None, silent)
