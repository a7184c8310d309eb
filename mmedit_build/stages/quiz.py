"""The quiz: what models answer right about the original image they are asked about its painting, too.

Questions come from the sources and from captions. Each model is asked only what it answers right about the
original: another answer about the painting then says that it shows something else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mmedit_build.rows import EditRow
from mmedit_build.scoring.stated import stated
from mmedit_build.scoring.text import plain
from mmedit_build.scoring.vqa import normalize, vqa_accuracy
from mmedit_build.services.asking import Answer, Asker, NoAnswer, Question
from mmedit_build.work import Work

Known = Mapping[str, Sequence[tuple[str, str]]]
"""By image id: questions that the base model answers right about the original image, with its answers."""

ANSWER_TOKENS = 16
"""The longest answer that is compared with a known one."""


@dataclass(frozen=True, slots=True)
class Item:
    """A question of a quiz. The edit's own comes with all answers of its annotators."""

    question: str
    answers: tuple[str, ...]
    own: bool = False

    def right(self, said: str) -> bool:
        if normalize(said) == normalize(self.answers[0]):
            return True
        return self.own and vqa_accuracy(said, self.answers[1:]) > 0


def known_said(known: Known) -> dict[tuple[str, str], Answer | NoAnswer]:
    """What the base model said about originals when mining."""
    return {(image, question): Answer(said) for image, pairs in known.items() for question, said in pairs}


def items_of(edit: EditRow, known: Known, most: int) -> list[Item]:
    """What can be asked about the image of an edit: its own question, those of sources, what captions say."""
    own = [Item(edit.question, (edit.target, *edit.answers), own=True)] if edit.task == "vqa" else []
    captions = [edit.target, *edit.answers] if edit.task == "caption" else [edit.caption or ""]
    found = {plain(item.question): item for item in own}
    for question, answer in (*known.get(edit.image_id, ()), *stated(captions)):
        found.setdefault(plain(question), Item(question, (answer,)))
    return list(found.values())[:most]


@dataclass(slots=True)
class Examiner:
    """A model that is asked, with what it said about originals."""

    asker: Asker
    work: Work
    own: bool
    """Whether it is asked the edit's own question, which the base model is known to get wrong."""
    said: dict[tuple[str, str], Answer | NoAnswer] = field(default_factory=dict)
    """By image id and question, so that nothing is asked twice."""

    def choose(
        self, edits: Sequence[EditRow], items: Sequence[Sequence[Item]]
    ) -> list[tuple[Item, ...] | NoAnswer]:
        """For each edit what is answered right about the original, or why that is not known."""
        asked = [[item for item in its if self.own or not item.own] for its in items]
        self._ask(edits, asked)
        return [self._chosen(edit, its) for edit, its in zip(edits, asked, strict=True)]

    def examine(
        self, images: Sequence[bytes], items: Sequence[tuple[Item, ...]]
    ) -> list[list[Item] | NoAnswer]:
        """For each painting the items that are answered otherwise about it, or why that is not known."""
        asked = [
            Question(image, item.question) for image, its in zip(images, items, strict=True) for item in its
        ]
        answers = iter(self.asker.ask(asked, max_tokens=ANSWER_TOKENS))
        return [_failed(its, [next(answers) for _ in its]) for its in items]

    def _ask(self, edits: Sequence[EditRow], items: Sequence[Sequence[Item]]) -> None:
        new = {
            (edit.image_id, item.question): Question(self.work.path(edit.image), item.question)
            for edit, its in zip(edits, items, strict=True)
            for item in its
            if (edit.image_id, item.question) not in self.said
        }
        answers = self.asker.ask(list(new.values()), max_tokens=ANSWER_TOKENS)
        self.said.update(zip(new, answers, strict=True))

    def _chosen(self, edit: EditRow, items: Sequence[Item]) -> tuple[Item, ...] | NoAnswer:
        said = [self.said[edit.image_id, item.question] for item in items]
        failed = _failed(items, said)
        return failed if isinstance(failed, NoAnswer) else tuple(one for one in items if one not in failed)


def _failed(items: Sequence[Item], said: Sequence[Answer | NoAnswer]) -> list[Item] | NoAnswer:
    """The items that are not answered right."""
    silent = next((one for one in said if isinstance(one, NoAnswer)), None)
    if silent is not None:
        return silent
    texts = [one.text for one in said if isinstance(one, Answer)]
    return [item for item, text in zip(items, texts, strict=True) if not item.right(text)]
