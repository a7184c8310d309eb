"""Who can tell whether a rephrase means the same: a chat model, asked in both directions, and the base model,
asked both questions about images on which it is known to be right.

A chat model that compares a question with its own rephrase says yes too easily: asked the other way round, it
must say so again. And who sees the image answers a question that is turned round otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from mmedit_build.recipe import AnswersAlike
from mmedit_build.rows import EditRow
from mmedit_build.scoring.text import plain
from mmedit_build.scoring.vqa import normalize
from mmedit_build.services.asking import Answer, Asker, NoAnswer, Question
from mmedit_build.services.chat import Chat, ChatRequest, NoReply, Reply, prompt_messages
from mmedit_build.stages.drafts import Draft
from mmedit_build.stages.quiz import ANSWER_TOKENS
from mmedit_build.work import Work

JUDGE = "judge"
"""The prompt that the chat model is asked by."""
DIRECTIONS = 2
JUDGE_TOKENS = 8
NO_MATCH = "judge: not the same question"
UNCLEAR = "judge: neither yes nor no"
MUTE = "judge: no reply"
OTHERWISE = "answered otherwise by the base model"

Sights = Mapping[str, Sequence[tuple[str, str]]]
"""By edit: images about which the base model answers the edit's question right, with its answers."""


def sights(
    edits: Sequence[EditRow], known: Sequence[EditRow], config: AnswersAlike, seed: str
) -> dict[str, list[tuple[str, str]]]:
    """Of what the base model answers right, the same question about other images: some for each edit."""
    by_question: dict[str, list[EditRow]] = {}
    for row in known:
        by_question.setdefault(plain(row.question), []).append(row)

    def some(edit: EditRow) -> list[tuple[str, str]]:
        found = by_question.get(plain(edit.question), [])
        drawn = sorted(found, key=lambda row: sha256(f"{seed}\n{edit.id}\n{row.id}".encode()).digest())
        return [(row.image, row.prediction) for row in drawn[: config.images]]

    return {edit.id: some(edit) for edit in edits if edit.task == "vqa"}


def judge_request(question: str, rephrase: str) -> ChatRequest:
    """Whether two questions ask for the same."""
    return ChatRequest(prompt_messages(JUDGE, question=question, rephrase=rephrase), 0.0, JUDGE_TOKENS)


@dataclass(frozen=True, slots=True)
class Judge:
    """A chat model that must say yes in both directions."""

    chat: Chat

    def check(self, drafts: Sequence[Draft]) -> None:
        """Refuse what it does not take for the same question."""
        for turned in range(DIRECTIONS):
            asked = [draft for draft in drafts if draft.reason is None]
            pairs = [(draft.row.question, draft.text)[:: -1 if turned else 1] for draft in asked]
            replies = self.chat.ask([judge_request(*pair) for pair in pairs])
            for draft, reply in zip(asked, replies, strict=True):
                _take_verdict(draft, reply)


def _take_verdict(draft: Draft, reply: Reply | NoReply) -> None:
    if isinstance(reply, NoReply):
        draft.refuse(MUTE, undecided=True)
        return
    word = reply.text.strip(" \"'*`.").lower()
    if word.startswith("yes"):
        draft.scores["judge"] = draft.scores.get("judge", 0.0) + 1 / DIRECTIONS
    else:
        draft.scores.setdefault("judge", 0.0)
        draft.refuse(NO_MATCH if word.startswith("no") else UNCLEAR)


@dataclass(frozen=True, slots=True)
class Witness:
    """The base model, which must answer the rephrase as it answers the question."""

    config: AnswersAlike
    asker: Asker
    sights: Sights
    work: Work

    def check(self, drafts: Sequence[Draft]) -> None:
        """Refuse what it answers otherwise; where it is known to be right on no image, nothing is said."""
        asked = [
            Question(self.work.path(image), draft.text) for draft in drafts for image, _ in self._seen(draft)
        ]
        answers = iter(self.asker.ask(asked, max_tokens=ANSWER_TOKENS))
        for draft in drafts:
            self._mark(draft, [(answer, next(answers)) for _, answer in self._seen(draft)])

    def _seen(self, draft: Draft) -> Sequence[tuple[str, str]]:
        return self.sights.get(draft.row.id, ())

    def _mark(self, draft: Draft, pairs: Sequence[tuple[str, Answer | NoAnswer]]) -> None:
        said = [(right, answer.text) for right, answer in pairs if isinstance(answer, Answer)]
        missing = [answer.reason for _, answer in pairs if isinstance(answer, NoAnswer)]
        if missing and not said:
            draft.refuse(missing[0], undecided=True)
        if not said:
            return
        alike = sum(normalize(right) == normalize(text) for right, text in said) / len(said)
        draft.scores["alike"] = round(alike, 4)
        if alike < self.config.least:
            draft.refuse(OTHERWISE)
