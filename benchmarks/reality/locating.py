"""Causal tracing of facts that the model knows, by the tracer of `mmedit-eval trace`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from editors.keys import model_key
from evaluation.data.cases import Case, Probe
from evaluation.data.dataset import digest
from evaluation.data.probes import Asked
from evaluation.tracing import records
from evaluation.tracing.command import Progress, Tracer, Wish, window_of
from evaluation.tracing.prompts import Candidate
from evaluation.tracing.records import Settings, Traced
from mmedit_build.mllm import MLLM, Query

SAMPLES = 3
"""Draws of the noise; ten are usual, but a processor takes a minute for these."""


def trace_facts(mllm: MLLM, cases: Sequence[Case], limit: int, out: Path, progress: Progress) -> list[Traced]:
    """The traces of some of the facts, which are train edits: where to edit is chosen by them."""
    wish = Wish(model=mllm.name, dataset="facts", out=out, kinds=("text",), samples=SAMPLES)
    settings = Settings(
        model=mllm.name,
        model_digest=model_key(mllm),
        dataset=wish.dataset,
        dataset_digest=digest(cases),
        layers=mllm.n_layers,
        window=window_of(None, mllm.n_layers),
        noise=wish.noise,
        samples=wish.samples,
        seed=wish.seed,
        guess=wish.guess,
        subjects={case.question: case.subject for case in cases if case.subject},
    )
    known = records.begin(out, settings)["text"]
    tracer = Tracer(mllm, settings, wish, progress)
    wanted = in_turns(cases)[:limit]
    with progress("Tracing facts", len(wanted)) as advance:
        for case in wanted:
            if case.id not in known:
                known[case.id] = tracer.traced(_candidate(case), case.prediction)
                records.add(out, known[case.id])
            advance(1)
    return [known[case.id] for case in wanted]


def in_turns(cases: Sequence[Case]) -> list[Case]:
    """One fact of each relation after the other, of those whose subject does not begin the prompt.

    Noise leaves clean what stands before it, so a late subject is traced in a fraction of the time.
    """
    turns: Counter[str] = Counter()
    numbered: list[tuple[int, int, Case]] = []
    for case in cases:
        if case.subject and not case.question.startswith(case.subject):
            numbered.append((turns[case.question_type], len(numbered), case))
            turns[case.question_type] += 1
    return [case for _, _, case in sorted(numbered, key=lambda one: one[:2])]


def _candidate(case: Case) -> Candidate:
    probe = Probe(kind="text_locality", question=case.question, answers=(case.prediction,))
    asked = Asked(probe, Query(None, case.question, case.prediction))
    return Candidate(case.id, "text", asked, case.id)
