"""Imagining: render each image anew, and keep the rendering that shows the same best."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mmedit_build.engine.base import Failed, Rejected
from mmedit_build.errors import UserError
from mmedit_build.recipe import ImagineStage, VisionModel
from mmedit_build.rows import EditRow, Imagined, Painting
from mmedit_build.services.asking import model_name
from mmedit_build.services.opening import load_asker
from mmedit_build.stages.likeness import Attempt, Known, Likeness
from mmedit_build.work import Work, put_image

if TYPE_CHECKING:
    from PIL import Image

    from mmedit_build.services.images.painter import Painter

Outcome = EditRow | Rejected[EditRow] | Failed

NO_CAPTION = "no caption to paint from"


@dataclass(slots=True)
class _Task:
    """An edit with what has been tried for it."""

    row: EditRow
    caption: str
    source: Image.Image | None
    """The original, for image-to-image."""
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def failure(self) -> str | None:
        return next((one.failure for one in self.attempts if one.failure is not None), None)


@dataclass
class Imagining:
    """From edits to edits with an image in another rendering.

    Candidates are painted until enough of them pass all checks, each from a seed of its own, and the best is
    the new image. All are kept, so that a rejected edit can be looked into: its `imagined` names the one that
    came nearest. Edits on the same image are painted each on its own.
    """

    config: ImagineStage
    seed: str
    work: Work
    base: VisionModel
    known: Known
    _painter: Painter | None = field(default=None, init=False, repr=False)
    _likeness: Likeness | None = field(default=None, init=False, repr=False)

    def open(self) -> None:
        check_template(self.config)
        from mmedit_build.services.images.painter import Painter
        from mmedit_build.services.images.resemblance import Resemblance

        config, quiz = self.config, self.config.quiz
        self._painter = Painter.open(config)
        resemblance = (
            Resemblance.open(config.resemblance, config.model.device) if config.resemblance else None
        )
        model = quiz.model if quiz and quiz.model else self.base
        asker = load_asker(model, self.work.requests) if quiz else None
        self._likeness = Likeness(config, self.known, resemblance, asker, ask_target=model != self.base)

    def __call__(self, rows: Sequence[EditRow]) -> list[Outcome]:
        assert self._likeness is not None
        begun = [self._begin(row) for row in rows]
        tasks = [one for one in begun if isinstance(one, _Task)]
        while attempts := [attempt for task in tasks for attempt in self._next(task)]:
            self._paint(attempts)
            self._likeness.check(attempts)
        return [self._outcome(one) if isinstance(one, _Task) else one for one in begun]

    def _begin(self, row: EditRow) -> _Task | Rejected[EditRow] | Failed:
        from mmedit_build.mllm.images import open_image

        caption = row.target if row.task == "caption" else row.caption
        if caption is None:
            return Rejected(row.id, NO_CAPTION, row)
        try:
            over = self.config.strategy == "image-to-image"
            source = open_image(self.work.path(row.image)) if over else None
        except UserError as error:
            return Failed(row.id, str(error))
        return _Task(row, caption, source)

    def _next(self, task: _Task) -> list[Attempt]:
        """As many further attempts as it takes if all of them pass."""
        tried = len(task.attempts)
        missing = self.config.enough - sum(attempt.passing for attempt in task.attempts)
        last = tried if task.failure else min(tried + missing, self.config.candidates)
        seeds = [attempt_seed(self.seed, task.row.id, number) for number in range(tried, last)]
        attempts = [Attempt(task.row, seed, task.caption, task.source) for seed in seeds]
        task.attempts += attempts
        return attempts

    def _paint(self, attempts: Sequence[Attempt]) -> None:
        from mmedit_build.services.images.painter import Painted, PaintJob

        assert self._painter is not None
        jobs = [PaintJob(self._prompt(one.caption), one.seed, one.source) for one in attempts]
        for attempt, job, result in zip(attempts, jobs, self._painter.paint(jobs), strict=True):
            cut = self._painter.tokens_cut(job.prompt)
            if cut:
                attempt.scores["prompt_tokens_cut"] = cut
            if isinstance(result, Painted):
                attempt.data = result.data
            else:
                attempt.reason = result.reason

    def _prompt(self, caption: str) -> str:
        return self.config.positive.format(caption=caption)

    def _outcome(self, task: _Task) -> Outcome:
        row, attempts = task.row, task.attempts
        if task.failure is not None:
            return Failed(row.id, task.failure)
        paintings = tuple(self._kept(one) for one in attempts)
        # Of equal ones the first; a passing one comes before any that does not.
        best = max(range(len(attempts)), key=lambda index: (attempts[index].passing, *attempts[index].rank))
        done = replace(row, imagined=self._imagined(attempts[best], paintings[best], paintings))
        if attempts[best].passing:
            return done
        ((reason, _),) = Counter(one.reason for one in attempts).most_common(1)
        return Rejected(row.id, f"image: {reason}", done)

    def _kept(self, attempt: Attempt) -> Painting:
        image = digest = None
        if attempt.data is not None:
            image = put_image(self.work, attempt.data, ".png")
            digest = hashlib.sha256(attempt.data).hexdigest()
        return Painting(
            image=image, digest=digest, seed=attempt.seed, reason=attempt.reason, scores=attempt.scores
        )

    def _imagined(
        self, attempt: Attempt, painting: Painting, candidates: tuple[Painting, ...]
    ) -> Imagined | None:
        if painting.image is None or painting.digest is None:
            return None
        return Imagined(
            image=painting.image,
            digest=painting.digest,
            seed=painting.seed,
            prompt=self._prompt(attempt.caption),
            strategy=self.config.strategy,
            model=model_name(self.config.model),
            candidates=candidates,
        )


def attempt_seed(seed: str, row: str, number: int) -> int:
    """A seed of 32 bits for one attempt at one row, whatever other rows there are."""
    digest = hashlib.sha256(f"{seed}\n{row}\n{number}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def check_template(config: ImagineStage) -> None:
    """Refuse a prompt that cannot be filled in, or that lacks a caption where all hangs on it."""
    try:
        filled = config.positive.format(caption="a cat")
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise UserError(
            f"imagine.positive {config.positive!r} cannot be filled in: {{caption}} is the only name in "
            "braces that it may hold; write other braces twice."
        ) from error
    if config.strategy == "text-to-image" and filled == config.positive.format(caption="a dog"):
        raise UserError(
            f"imagine.positive {config.positive!r} asks for the same image every time: write {{caption}} "
            "into it."
        )
