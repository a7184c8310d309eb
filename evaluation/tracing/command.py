"""What `mmedit-eval trace` does: choose prompts, trace them, write lines, pictures and the page."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from editors.keys import model_key
from evaluation.data.cases import Case
from evaluation.data.dataset import digest, load_cases
from evaluation.data.miniature import ensure_built
from evaluation.data.probes import ANSWER_TOKENS
from evaluation.protocols.metrics import match
from evaluation.results.records import ResultFolder
from evaluation.tracing import records
from evaluation.tracing.prompts import Candidate, Guess, candidates, lay_out, read_subjects
from evaluation.tracing.records import Settings, Traced
from evaluation.tracing.runs import Runs, draw_noise, trace
from evaluation.tracing.terms import KINDS, Kind
from mmedit_build.checkpoints import locate
from mmedit_build.console import Advance
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query
from mmedit_build.recipe.fields import CHECKPOINT, Dtype

Progress = Callable[[str, int | None], AbstractContextManager[Advance]]
ASKED = 32
"""Questions that are asked at a time, to find those that the model answers."""
TITLES: dict[Kind, str] = {"text": "facts", "image": "questions about images"}
Answers = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the command was asked for."""

    model: str
    dataset: str
    out: Path
    kinds: tuple[Kind, ...] = KINDS
    images: Path | None = None
    limit: int = 20
    noise: float = 3.0
    samples: int = 10
    window: int | None = None
    guess: Guess = "content"
    subjects: Path | None = None
    seed: int = 0
    batch_size: int = 64
    device: str = "auto"
    dtype: Dtype = "auto"
    template: str = CHECKPOINT


def run(wish: Wish, progress: Progress) -> dict[Kind, list[Traced]]:
    """Trace what is not traced yet; the lines of every prompt, by kind."""
    if wish.noise <= 0:
        raise UserError(f"--noise {wish.noise:g} corrupts nothing; give a number greater than 0, such as 3.")
    place, subjects = locate(wish.model), read_subjects(wish.subjects)
    ensure_built(wish.dataset)
    cases = load_cases(wish.dataset, images=wish.images)
    with ResultFolder(wish.out).locked():
        mllm = MLLM.load(place, device=wish.device, dtype=wish.dtype, template=wish.template)
        settings = Settings(
            model=wish.model,
            model_digest=model_key(mllm),
            dataset=wish.dataset,
            dataset_digest=digest(cases),
            layers=mllm.n_layers,
            window=window_of(wish.window, mllm.n_layers),
            noise=wish.noise,
            samples=wish.samples,
            seed=wish.seed,
            guess=wish.guess,
            subjects=subjects,
        )
        known = records.begin(wish.out, settings)
        tracer = Tracer(mllm, settings, wish, progress)
        for kind in wish.kinds:
            tracer.trace_all(cases, kind, known[kind])
        return {kind: list(known[kind].values()) for kind in wish.kinds}


def window_of(wanted: int | None, layers: int) -> int:
    """How many layers of MLPs or attentions are restored together: 10 of 48 as published."""
    if wanted is None:
        return max(1, round(10 / 48 * layers))
    if wanted > layers:
        raise UserError(f"--window {wanted} is more than the model's {layers} layers; give at most {layers}.")
    return wanted


@dataclass(frozen=True, slots=True)
class Tracer:
    """Traces one prompt after the other and writes each down."""

    mllm: MLLM
    settings: Settings
    wish: Wish
    progress: Progress

    def trace_all(self, cases: Sequence[Case], kind: Kind, known: dict[str, Traced]) -> None:
        """Add to the known ones the first prompts that the model answers, up to the limit."""
        found = candidates(cases, self.mllm, kind)
        if not found:
            raise _nothing(self.wish, kind)
        done: list[Traced] = []
        answers: Answers = {}
        total = min(self.wish.limit, len(found))
        with self.progress(f"Tracing {TITLES[kind]}", total) as advance:
            for number, candidate in enumerate(found):
                if sum(one.skipped is None for one in done) == total:
                    break
                if candidate.id not in known:
                    self._ask(found[number:], known, answers)
                    known[candidate.id] = self.traced(candidate, answers.pop(candidate.id))
                    records.add(self.wish.out, known[candidate.id])
                done.append(known[candidate.id])
                advance(done[-1].skipped is None)
        if all(one.skipped for one in done):
            raise UserError(
                f"{self.wish.model} answers none of the {len(found)} {TITLES[kind]} of {self.wish.dataset} "
                "right; trace a dataset that was mined for this model."
            )

    def _ask(self, following: Sequence[Candidate], known: dict[str, Traced], answers: Answers) -> None:
        """Answers for the next prompts, unless the first of them has its answer."""
        if following[0].id in answers:
            return
        asked = [one for one in following if one.id not in known][:ASKED]
        written = self.mllm.write([one.probe.query for one in asked], max_new_tokens=ANSWER_TOKENS)
        answers.update((one.id, said.text) for one, said in zip(asked, written, strict=True))

    def traced(self, candidate: Candidate, answer: str) -> Traced:
        """The line of a prompt."""
        probe = candidate.probe
        line = Traced(
            id=candidate.id,
            kind=candidate.kind,
            group=candidate.group,
            prompt=probe.query.prompt,
            answer=answer,
        )
        if not answer or not match(answer, probe.probe.answers):
            return replace(line, skipped="not answered right")
        start = time.perf_counter()
        query = replace(probe.query, target=answer)
        layout = lay_out(self.mllm, query, self.settings.subjects, self.wish.guess)
        deviation = self.settings.noise * self._spread(query)
        seed = hashlib.blake2b(f"{self.settings.seed} {candidate.id}".encode(), digest_size=6).digest()
        width = self.mllm.embed_tokens.embedding_dim
        shape = (len(layout.corrupted), width)
        noise = draw_noise(self.settings.samples, shape, deviation, int.from_bytes(seed, "big"))
        runs = Runs(self.mllm, query, layout.corrupted, noise, batch_size=self.wish.batch_size)
        effects = trace(runs, self.settings.window)
        return replace(
            line,
            token=str(self.mllm.tokenizer.decode([effects.token])).strip(),
            subject=layout.subject,
            tokens=layout.tokens,
            roles=layout.roles,
            deviation=round(deviation, 6),
            clean=round(effects.clean, 6),
            corrupted=round(effects.corrupted, 6),
            effects={site: tuple(map(_rounded, rows)) for site, rows in effects.of.items()},
            together={site: _rounded(row) for site, row in effects.together.items()},
            seconds=round(time.perf_counter() - start, 3),
        )

    def _spread(self, query: Query) -> float:
        """The standard deviation of what noise is put on: this image's embeddings, or those of all tokens."""
        if query.image is not None:
            return float(self.mllm.image_features([query])[0].float().std())
        return float(self.mllm.embed_tokens.weight.float().std())


def _rounded(numbers: Tensor) -> tuple[float, ...]:
    """As short as is exact enough for a file."""
    return tuple(round(number, 6) for number in numbers.tolist())


def _nothing(wish: Wish, kind: Kind) -> UserError:
    other = next(one for one in KINDS if one != kind)
    return UserError(
        f"{wish.dataset} has no {TITLES[kind]} that a model is known to answer (its locality items); give "
        f"another dataset, or --kind {other}."
    )
