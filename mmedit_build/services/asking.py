"""Asking models about images and facts: one interface for models in this process and for served ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from mmedit_build.errors import UserError
from mmedit_build.image_files import read_image
from mmedit_build.pictures import open_image
from mmedit_build.prompts import load_prompt
from mmedit_build.recipe import Endpoint, LocalMLLM, Model, VisionModel
from mmedit_build.rows import Task
from mmedit_build.services.chat import Chat, ChatRequest, Message, Reply

if TYPE_CHECKING:
    from mmedit_build.mllm import MLLM, Query

Kind = Literal["question", "caption", "fact"]
KIND_OF_TASK: dict[Task, Kind] = {"vqa": "question", "caption": "caption"}
CHUNK = 512
"""Questions handed to a model in this process at a time; a broken image makes one chunk slow, no more."""


@dataclass(frozen=True, slots=True)
class Question:
    """Something to ask: about an image, for its caption (the text is its beginning), or about a fact."""

    image: Path | bytes | None
    text: str
    kind: Kind = "question"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said, and how sure it was: the geometric mean of its tokens' probabilities, if known."""

    text: str
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Why there is none, such as a broken image or a server that stayed silent."""

    reason: str


class Asker(Protocol):
    """A model that answers questions."""

    @property
    def name(self) -> str:
        """The model, with its revision after an @ if it has one."""
        ...

    def ask(self, questions: Sequence[Question], *, max_tokens: int) -> list[Answer | NoAnswer]:
        """One answer to each question, in order, greedily; one bad image costs only its own answers."""
        ...

    def ask_again(
        self, questions: Sequence[Question], answers: Sequence[Answer], *, max_tokens: int
    ) -> list[Answer | NoAnswer]:
        """Ask each by itself what was answered among others before."""
        ...


def model_name(model: Model | VisionModel) -> str:
    """How rows name a model."""
    revision = None if isinstance(model, Endpoint) else model.revision
    return f"{model.model}@{revision}" if revision else model.model


class LocalAsker:
    """An MLLM in this process."""

    def __init__(self, mllm: MLLM, name: str, batch_size: int) -> None:
        self.mllm = mllm
        self.name = name
        self._batch_size = batch_size

    @classmethod
    def load(cls, model: LocalMLLM) -> LocalAsker:
        from mmedit_build.checkpoints import locate
        from mmedit_build.mllm import MLLM

        mllm = MLLM.load(
            locate(model.model),
            revision=model.revision,
            device=model.device,
            dtype=model.dtype,
            template=model.template,
            image_processor=model.image_processor,
        )
        return cls(mllm, model_name(model), model.batch_size)

    def ask(self, questions: Sequence[Question], *, max_tokens: int) -> list[Answer | NoAnswer]:
        def said(part: Sequence[Query]) -> list[Answer | NoAnswer]:
            written = self.mllm.write(part, max_new_tokens=max_tokens, batch_size=self._batch_size)
            return [_answer(one.text, one.confidence) for one in written]

        return _one_by_one_if_need_be(said, [self._query(question) for question in questions])

    def ask_again(
        self, questions: Sequence[Question], answers: Sequence[Answer], *, max_tokens: int
    ) -> list[Answer | NoAnswer]:
        return [self._again(*pair, max_tokens) for pair in zip(questions, answers, strict=True)]

    def _again(self, question: Question, answer: Answer, max_tokens: int) -> Answer | NoAnswer:
        same = self.mllm.confirm(self._query(question), answer.text) if answer.text else None
        if same is not None:
            return _answer(same.text, same.confidence)
        return self.ask([question], max_tokens=max_tokens)[0]

    def _query(self, question: Question) -> Query:
        from mmedit_build.mllm import Query

        asked = question.kind == "question"
        return Query(question.image, self.mllm.question_prompt(question.text) if asked else question.text)


def _answer(text: str, confidence: float | None) -> Answer | NoAnswer:
    """What a model said, unless its probabilities are no numbers, and its words then mere chance."""
    if confidence is not None and not math.isfinite(confidence):
        return NoAnswer("the model's probabilities are not numbers")
    return Answer(text, confidence)


def _one_by_one_if_need_be(
    run: Callable[[Sequence[Query]], list[Answer | NoAnswer]], queries: Sequence[Query]
) -> list[Answer | NoAnswer]:
    """Run in chunks; where one fails for a reason that lies in a row, such as its image, row by row."""
    results: list[Answer | NoAnswer] = []
    for start in range(0, len(queries), CHUNK):
        chunk = queries[start : start + CHUNK]
        try:
            results += run(chunk)
        except UserError:
            results += [_alone(run, query) for query in chunk]
    return results


def _alone(run: Callable[[Sequence[Query]], list[Answer | NoAnswer]], query: Query) -> Answer | NoAnswer:
    try:
        return run([query])[0]
    except UserError as error:
        return NoAnswer(str(error))


class ServedAsker:
    """A vision model behind an OpenAI-compatible server."""

    def __init__(self, chat: Chat, *, cut: bool = False) -> None:
        """Answers that their limit cut off are none, unless the beginning of an answer will do."""
        self.name = chat.name
        self._chat = chat
        self._cut = cut

    def ask(self, questions: Sequence[Question], *, max_tokens: int) -> list[Answer | NoAnswer]:
        return self._ask(questions, max_tokens, sample=0)

    def ask_again(
        self, questions: Sequence[Question], answers: Sequence[Answer], *, max_tokens: int
    ) -> list[Answer | NoAnswer]:
        """Requests are answered one by one anyway; as another sample, they are not only looked up."""
        del answers
        return self._ask(questions, max_tokens, sample=1)

    def _ask(self, questions: Sequence[Question], max_tokens: int, sample: int) -> list[Answer | NoAnswer]:
        requests = [self._request(question, max_tokens, sample) for question in questions]
        replies = iter(self._chat.ask([one for one in requests if not isinstance(one, NoAnswer)]))
        answers: list[Answer | NoAnswer] = []
        for request in requests:
            if isinstance(request, NoAnswer):
                answers.append(request)
                continue
            reply = next(replies)
            if isinstance(reply, Reply):
                answers.append(_answer(reply.text, reply.confidence))
            else:
                answers.append(NoAnswer(reply.reason))
        return answers

    def _request(self, question: Question, max_tokens: int, sample: int) -> ChatRequest | NoAnswer:
        try:
            image = _checked_bytes(question.image)
        except UserError as error:
            return NoAnswer(str(error))
        request = chat_request(question.text, question.kind, image, max_tokens, sample)
        return replace(request, cut=self._cut)


def chat_request(text: str, kind: Kind, image: bytes | None, max_tokens: int, sample: int = 0) -> ChatRequest:
    """What a served model is sent."""
    message = Message("user", load_prompt("ask")[kind].format(text=text), image)
    return ChatRequest((message,), temperature=0.0, max_tokens=max_tokens, sample=sample, logprobs=True)


def _checked_bytes(image: Path | bytes | None) -> bytes | None:
    """The encoded image as it is, after a look whether it is one: a broken image shall cost no request."""
    if image is None:
        return None
    open_image(image)
    return image if isinstance(image, bytes) else read_image(image)
