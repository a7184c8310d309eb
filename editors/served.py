"""A served model as editors see it: it answers, and shows nothing else of itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import PIL.Image

from editors.base import Answering
from mmedit_build.errors import UserError
from mmedit_build.mllm import Generated, Positions, Query, Scored
from mmedit_build.mllm.model import BATCH_SIZE
from mmedit_build.mllm.passes import Counts
from mmedit_build.prompts import prompt_id
from mmedit_build.recipe import Endpoint
from mmedit_build.services.asking import Kind, NoAnswer, Question, ServedAsker
from mmedit_build.services.opening import open_chat
from mmedit_build.services.served.keys import address

PROMPT = "ask"
NO_ANSWER = "The served model gave no answer"
"""How the reason begins for which an edit is skipped that may be asked again."""


class ServedError(UserError):
    """The server answers nothing any more, which is the fault of no edit."""


@runtime_checkable
class Asking(Protocol):
    """An editor whose patches touch prompts alone, so that the model may be anywhere."""

    def check_asking(self) -> None:
        """Refuse options with which it looks into the model."""


def check_asking(editor: object) -> None:
    """Refuse editors, or options, that need more of a model than its answers."""
    if not isinstance(editor, Asking):
        raise UserError(
            "A method that looks into a model or changes it edits no served one, since a served model only "
            "answers; give ike or remember."
        )
    editor.check_asking()


def name_of(model: Endpoint) -> str:
    """How results name a served model; never with a key."""
    return f"{model.model}@{address(model.base_url)}"


class Served(Answering):
    """Answers by way of a server; whatever it says is kept, and paid once.

    It is asked in the words in which benchmarks are built with served models; what a patch puts before a
    prompt stands within them. Captions are queries of the form `plain`. Answers are as long as those of
    models in this process may be: one that is cut off counts as it stands.
    """

    devices = ()

    def __init__(self, model: Endpoint, replies: Path) -> None:
        self.counts = Counts()
        self.identity = [name_of(model), prompt_id(PROMPT)]
        self._asker = ServedAsker(open_chat(model, replies), cut=True)

    @staticmethod
    def question_prompt(question: str) -> str:
        return question

    def have_room(self, queries: Sequence[Query], new_tokens: int = 0) -> list[bool]:  # noqa: ARG002
        """Nobody knows but the server, which then refuses."""
        return [True] * len(queries)

    def score(
        self,
        queries: Sequence[Query],  # noqa: ARG002
        *,
        positions: Positions = "target",  # noqa: ARG002
        batch_size: int = BATCH_SIZE,  # noqa: ARG002
    ) -> list[Scored]:
        raise UserError("A served model tells no probabilities.")

    def write(
        self,
        queries: Sequence[Query],
        *,
        max_new_tokens: int = 32,
        batch_size: int = BATCH_SIZE,  # noqa: ARG002
    ) -> list[Generated]:
        """As many requests are under way as the endpoint's `concurrency` says."""
        try:
            answers = self._asker.ask([as_question(query) for query in queries], max_tokens=max_new_tokens)
        except UserError as error:
            raise ServedError(str(error)) from error
        for answer in answers:
            if isinstance(answer, NoAnswer):
                raise UserError(f"{NO_ANSWER}: {answer.reason}")
        return [Generated(answer.text, ()) for answer in answers if not isinstance(answer, NoAnswer)]


def as_question(query: Query) -> Question:
    """What a server is asked."""
    # Those of datasets are files.
    assert not isinstance(query.image, PIL.Image.Image)
    kind: Kind = "question"
    if query.image is None:
        kind = "fact"
    elif query.form == "plain":
        kind = "caption"
    return Question(query.image, query.prompt, kind)
