"""Imagining: render each image anew, and keep the first rendering that differs and shows the same."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mmedit_build.engine.base import Failed, Rejected
from mmedit_build.errors import UserError
from mmedit_build.pictures import open_image
from mmedit_build.recipe import ImagineStage, VisionModel
from mmedit_build.recipe.models import devices_of
from mmedit_build.rows import EditRow, Imagined, Painting
from mmedit_build.services.asking import NoAnswer, model_name
from mmedit_build.services.opening import load_asker
from mmedit_build.stages.likeness import Attempt, Exam, Likeness
from mmedit_build.stages.quiz import Examiner, Known, items_of, known_said
from mmedit_build.work import Work, put_image

if TYPE_CHECKING:
    from PIL import Image

    from mmedit_build.services.images.painter import Painter

Outcome = EditRow | Rejected[EditRow] | Failed

NO_CAPTION = "no caption to paint from"
NOTHING_ASKED = "no question to tell by what an image shows"


@dataclass(slots=True)
class _Task:
    """An edit with what has been tried for it."""

    row: EditRow
    caption: str
    source: Image.Image | None
    """The original, for image-to-image."""
    exams: tuple[Exam, ...] = ()
    """For each model what it is asked about an image of this edit."""
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def failure(self) -> str | None:
        return next((one.failure for one in self.attempts if one.failure is not None), None)

    @property
    def done(self) -> bool:
        """Whether no more images are needed."""
        return any(one.passing or one.failure is not None for one in self.attempts)


_Begun = _Task | Rejected[EditRow] | Failed


@dataclass
class Imagining:
    """From edits to edits with an image in another rendering.

    Images are painted until one passes all checks, each from a seed of its own: over the original from weak
    to strong, or from the caption alone. All are kept, so that a rejected edit can be looked into: its
    `imagined` names the one that came nearest. Edits on the same image are painted each on its own.
    """

    config: ImagineStage
    seed: str
    work: Work
    base: VisionModel
    known: Known
    _painter: Painter | None = field(default=None, init=False, repr=False)
    _likeness: Likeness | None = field(default=None, init=False, repr=False)

    def devices(self) -> list[str]:
        return devices_of(self.config, self.base if self.config.quiz else None)

    def open(self) -> None:
        check_template(self.config)
        from mmedit_build.services.images.painter import Painter
        from mmedit_build.services.images.resemblance import Resemblance

        config = self.config
        self._painter = Painter.open(config)
        resemblance = (
            Resemblance.open(config.resemblance, config.model.device) if config.resemblance else None
        )
        self._likeness = Likeness(config, resemblance, self._examiners())

    def _examiners(self) -> list[Examiner]:
        """The base model, which need not be asked what it was asked when mining, and the second model."""
        quiz, requests = self.config.quiz, self.work.requests
        if quiz is None:
            return []
        base = Examiner(load_asker(self.base, requests), self.work, own=False)
        base.said.update(known_said(self.known))
        if quiz.second is None:
            return [base]
        return [base, Examiner(load_asker(quiz.second, requests), self.work, own=True)]

    def __call__(self, rows: Sequence[EditRow]) -> list[Outcome]:
        assert self._likeness is not None
        begun = self._with_exams([self._begin(row) for row in rows])
        tasks = [one for one in begun if isinstance(one, _Task)]
        while attempts := [self._next(task) for task in tasks if not self._ended(task)]:
            self._paint(attempts)
            self._likeness.check(attempts)
        return [self._outcome(one) if isinstance(one, _Task) else one for one in begun]

    def _begin(self, row: EditRow) -> _Begun:
        caption = row.target if row.task == "caption" else row.caption
        if caption is None:
            return Rejected(row.id, NO_CAPTION, row)
        try:
            over = self.config.strategy == "image-to-image"
            source = open_image(self.work.path(row.image)) if over else None
        except UserError as error:
            return Failed(row.id, str(error))
        return _Task(row, caption, source)

    def _with_exams(self, begun: list[_Begun]) -> list[_Begun]:
        """Each task with what models answer right about the original; one without any is at its end."""
        quiz, likeness = self.config.quiz, self._likeness
        if quiz is None or likeness is None:
            return begun
        tasks = {place: one for place, one in enumerate(begun) if isinstance(one, _Task)}
        edits = [task.row for task in tasks.values()]
        items = [items_of(edit, self.known, quiz.questions) for edit in edits]
        chosen = [examiner.choose(edits, items) for examiner in likeness.examiners]
        for (place, task), *exams in zip(tasks.items(), *chosen, strict=True):
            silent = next((one for one in exams if isinstance(one, NoAnswer)), None)
            task.exams = tuple(one for one in exams if not isinstance(one, NoAnswer))
            if silent is not None:
                begun[place] = Failed(task.row.id, silent.reason)
            elif not any(task.exams):
                begun[place] = Rejected(task.row.id, NOTHING_ASKED, task.row)
        return begun

    def _ended(self, task: _Task) -> bool:
        return task.done or len(task.attempts) == self.config.tries

    def _next(self, task: _Task) -> Attempt:
        number = len(task.attempts)
        strength = self.config.strengths[number] if task.source is not None else None
        seed = attempt_seed(self.seed, task.row.id, number)
        attempt = Attempt(task.row, seed, task.caption, task.source, strength, task.exams)
        task.attempts.append(attempt)
        return attempt

    def _paint(self, attempts: Sequence[Attempt]) -> None:
        from mmedit_build.services.images.painter import Painted, PaintJob

        assert self._painter is not None
        jobs = [PaintJob(self._prompt(one.caption), one.seed, one.source, one.strength) for one in attempts]
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
        # The one that passes, or else the nearest; of equal ones the first.
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
            image=image,
            digest=digest,
            seed=attempt.seed,
            reason=attempt.reason,
            scores=attempt.scores,
            strength=attempt.strength,
            failed=tuple(attempt.failed),
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
