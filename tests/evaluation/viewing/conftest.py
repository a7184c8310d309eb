"""Results on disk about the cases of a real dataset, of methods that get known edits right."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.data.cases import LOCALITY, Case, Probe
from evaluation.data.dataset import digest, load_cases
from evaluation.results.about import About
from evaluation.results.records import (
    CaseResult,
    ProbeResult,
    ResultFolder,
    RunResult,
    Settings,
    result_lines,
)
from evaluation.viewing.index import make_index
from mmedit_build.console import silent
from mmedit_build.pages.index import Index

RIGHT = {"unedited": 0, "ft": 1, "ike": 2}
"""Of how many edits, from the first on, each method gets all right."""
FAMILIES = {"ft": "fine-tuning", "ike": "memory"}


def make_run(folder: Path, method: str, cases: list[Case], dataset: Path, model: str = "made-up") -> Path:
    """The results of a method in a folder."""
    settings = Settings(
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
        seed=0,
    )
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
    )


@pytest.fixture
def results(dataset: Path, tmp_path: Path) -> Path:
    """A folder with three runs."""
    cases = load_cases(str(dataset), "vqa")
    for method in RIGHT:
        make_run(tmp_path / "results" / "vqa" / method, method, cases, dataset)
    return tmp_path / "results"


@pytest.fixture
def index(results: Path, tmp_path: Path) -> Index:
    return make_index([results], tmp_path / "cache", None, silent)
