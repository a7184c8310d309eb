"""Mining: ask the base model, and keep what it gets wrong.

What it answers right is rejected, but kept in the store: it makes near locality items and quizzes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

from mmedit_build.engine.base import Failed, Rejected
from mmedit_build.recipe import MineCaption, MineStage, MineVqa, VisionModel
from mmedit_build.recipe.models import devices_of
from mmedit_build.rows import EditRow, Example
from mmedit_build.scoring.bounds import NoNumberError
from mmedit_build.scoring.caption import Consensus
from mmedit_build.services.asking import KIND_OF_TASK, Answer, Asker, NoAnswer, Question
from mmedit_build.services.opening import load_asker
from mmedit_build.stages.failures import Verdict, judge_answer, judge_caption
from mmedit_build.work import Work

Mined = EditRow | Rejected[EditRow] | Failed


@dataclass
class Mining:
    """From examples to edits."""

    config: MineStage
    base: VisionModel
    work: Work
    consensus: Consensus | None
    """Frozen over all reference captions, whatever part of them is mined; None if captions are not mined."""
    _asker: Asker | None = field(default=None, init=False, repr=False)
    _confirmer: Asker | None = field(default=None, init=False, repr=False)
    """Who is asked again, if not the base model."""

    def devices(self) -> list[str]:
        return devices_of(self.base, self.config.confirm_by)

    def open(self) -> None:
        self._asker = load_asker(self.base, self.work.requests)
        if self.config.confirm_by is not None:
            self._confirmer = load_asker(self.config.confirm_by, self.work.requests)

    def __call__(self, rows: Sequence[Example]) -> Iterable[Mined]:
        for config, task in ((self.config.vqa, "vqa"), (self.config.caption, "caption")):
            asked = [row for row in rows if row.task == task]
            if config is not None and asked:
                yield from self._mine(asked, config)

    def _mine(self, rows: Sequence[Example], config: MineVqa | MineCaption) -> list[Mined]:
        assert self._asker is not None
        questions = [self._question(row) for row in rows]
        answers = self._asker.ask(questions, max_tokens=config.answer_tokens)
        outcomes = [self._judged(row, one, one, config) for row, one in zip(rows, answers, strict=True)]
        if self.config.confirm:
            self._confirm(rows, questions, answers, outcomes, config)
        return outcomes

    def _confirm(
        self,
        rows: Sequence[Example],
        questions: Sequence[Question],
        answers: Sequence[Answer | NoAnswer],
        outcomes: list[Mined],
        config: MineVqa | MineCaption,
    ) -> None:
        """Ask for the failures again, and judge what is said then."""
        first = {
            i: answer
            for i, (answer, outcome) in enumerate(zip(answers, outcomes, strict=True))
            if isinstance(outcome, EditRow) and isinstance(answer, Answer)
        }
        asked = [questions[i] for i in first]
        again = self._asked_again(asked, list(first.values()), config.answer_tokens)
        for (i, answer), alone in zip(first.items(), again, strict=True):
            outcomes[i] = self._judged(rows[i], alone, answer, config)

    def _asked_again(
        self, questions: Sequence[Question], answers: Sequence[Answer], max_tokens: int
    ) -> list[Answer | NoAnswer]:
        assert self._asker is not None
        if self._confirmer is not None:
            return self._confirmer.ask(questions, max_tokens=max_tokens)
        return self._asker.ask_again(questions, answers, max_tokens=max_tokens)

    def _question(self, row: Example) -> Question:
        return Question(self.work.path(row.image), row.question, KIND_OF_TASK[row.task])

    def _judged(
        self, row: Example, answer: Answer | NoAnswer, first: Answer | NoAnswer, config: MineVqa | MineCaption
    ) -> Mined:
        if isinstance(answer, NoAnswer) or isinstance(first, NoAnswer):
            return Failed(row.id, answer.reason if isinstance(answer, NoAnswer) else "not answered")
        assert self._asker is not None
        try:
            verdict = self._verdict(row, answer.text, config)
        except NoNumberError as error:
            return Failed(row.id, str(error))
        edit = EditRow(
            **asdict(row),
            target=verdict.target,
            prediction=answer.text,
            first_prediction=first.text,
            confidence=answer.confidence,
            scores=verdict.scores,
            said_wrong=verdict.said_wrong,
            left_out=verdict.left_out,
            base=self._asker.name,
        )
        return edit if verdict.reason is None else Rejected(row.id, verdict.reason, edit)

    def _verdict(self, row: Example, prediction: str, config: MineVqa | MineCaption) -> Verdict:
        if isinstance(config, MineVqa):
            return judge_answer(row.question, row.answers, prediction, config)
        assert self.consensus is not None
        return judge_caption(row.answers, prediction, self.consensus)
