"""The rows that a stage has at most where the one before it is not finished: so there is a bound for all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from mmedit_build.build import Build, stages_of
from mmedit_build.choosing import sizes_of
from mmedit_build.miniature.sources import is_drawn
from mmedit_build.mining import examples_to_mine
from mmedit_build.recipe import Recipe
from mmedit_build.rows import EditRow, Example, Task
from mmedit_build.services.asking import chat_request
from mmedit_build.services.chat import ChatRequest
from mmedit_build.sources.declared import declared
from mmedit_build.stages.select import with_spare
from mmedit_build.work import ROWS

LETTERS = 100
"""Of a question that nobody has read yet."""


@dataclass
class Expected:
    """What a build has, or will have at most."""

    build: Build

    @cached_property
    def readable(self) -> bool:
        """Whether the sources are there; nothing is drawn or fetched for a plan."""
        sources = self.build.recipe.sources
        return self._there("mine", (*sources.vqa, *sources.captions))

    @cached_property
    def pools_readable(self) -> bool:
        """The same of what locality items are taken from."""
        config = self.build.recipe.attach
        return self._there("probe", (*config.text, *config.image))

    def _there(self, stage: str, sources: Iterable[Any]) -> bool:
        recipe, work = self.build.recipe, self.build.work
        if recipe.draw is not None and not is_drawn(work.sources, **recipe.draw.model_dump()):
            return False
        # What a stage began to read is at hand.
        return work.stage(stage).exists() or not any(one.kind == "hub" for one in sources)

    @cached_property
    def declared(self) -> dict[str, int] | None:
        """How much there is to mine of each task, by what sources say of themselves; None if one does not."""
        recipe, limit = self.build.recipe, self.build.limit
        found: dict[str, int] = {}
        for task, sources in (("vqa", recipe.sources.vqa), ("caption", recipe.sources.captions)):
            number = declared(sources, recipe.draw, self.build.work) if task in sizes_of(recipe) else 0
            if number is None:
                return None
            found[task] = number if limit is None else min(number, limit)
        return found

    @cached_property
    def pools_declared(self) -> tuple[int, int] | None:
        """The same of facts and of questions about images that become locality items."""
        config, draw, work = self.build.recipe.attach, self.build.recipe.draw, self.build.work
        facts, images = (declared(sources, draw, work) for sources in (config.text, config.image))
        return None if facts is None or images is None else (facts, images)

    @cached_property
    def examples(self) -> list[Example]:
        """All that can be mined."""
        return examples_to_mine(self.build)

    def before(self, stage: str) -> tuple[list[EditRow], str]:
        """The rows that a stage works on, and what to say where these are stand-ins for some to come."""
        names = stages_of(self.build.recipe)
        earlier = names if stage == "publish" else names[: names.index(stage)]
        for name in reversed(earlier):
            if self.has(name):
                note = "" if name == earlier[-1] else f"at most, by what {name} came to: "
                return self.build.rows_of(name), note
        return self._stand_ins(), "at most, by the sizes of the recipe: "

    def has(self, stage: str) -> bool:
        """Whether a stage is finished."""
        return (self.build.work.stage(stage) / ROWS).exists()

    def _stand_ins(self) -> list[EditRow]:
        """As many edits as mining passes on at most, with the longest questions that there are."""
        found: list[EditRow] = []
        wanted = with_spare(sizes_of(self.build.recipe), self.build.recipe.mine.spare)
        for task, size in wanted.items():
            number = size.train + size.test
            if self.readable:
                of_task = [row for row in self.examples if row.task == task]
                longest = sorted(of_task, key=lambda row: -len(row.question))[:number]
            else:
                known = number if self.declared is None else self.declared[task]
                most = min(number, known, self.build.limit or number)
                longest = [_unread(task, place) for place in range(most)]
            found += [_as_edit(row, len(found) + place) for place, row in enumerate(longest)]
        return found[: self.build.limit]


def longest_answers(recipe: Recipe) -> dict[Task, int]:
    """What mining lets the base model write, in tokens."""
    vqa, caption = recipe.mine.vqa, recipe.mine.caption
    return {
        "vqa": vqa.answer_tokens if vqa else 1,
        "caption": caption.answer_tokens if caption else 1,
    }


def questions(number: int, max_tokens: int, letters: int = LETTERS) -> list[ChatRequest]:
    """Requests about images that nobody can know yet."""
    return [chat_request(str(one).ljust(letters, "?"), "question", b"", max_tokens) for one in range(number)]


def _unread(task: str, number: int) -> Example:
    """An example of a source that is not there yet."""
    return Example(
        id=f"{task}/{number}",
        task="vqa" if task == "vqa" else "caption",
        image=str(number),
        image_id=str(number),
        question="?" * LETTERS,
        question_type="",
        answers=("?" * LETTERS,),
    )


def _as_edit(row: Example, number: int) -> EditRow:
    """Questions are numbered, as equal ones would be asked once."""
    answer = max(row.answers, key=len, default="")
    known = {field.name: getattr(row, field.name) for field in fields(Example)}
    numbered = {"question": f"{row.question} {number}"}
    return EditRow(
        **{**known, **numbered},
        target=answer,
        prediction=answer,
        first_prediction=answer,
        confidence=None,
        scores={},
        base="",
    )
