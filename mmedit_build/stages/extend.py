"""Extending: questions whose answers follow from an edit by common knowledge, for which portability asks.

A chat model proposes; the base model decides. A proposal is kept if the base model knows the step by itself,
answers otherwise with the wrong answer in the place of the right one, and does not say it of the image yet:
then its answer is one that the edit, and nothing else, should bring about.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from mmedit_build.engine.base import Failed, Rejected
from mmedit_build.prompts import prompt_id
from mmedit_build.recipe import ExtendStage, Local, VisionModel
from mmedit_build.recipe.models import devices_of
from mmedit_build.rows import EditRow, Portability, Proposal
from mmedit_build.services.asking import Answer, Asker, NoAnswer, Question
from mmedit_build.services.chat import (
    NOT_NUMBERS,
    Chat,
    ChatRequest,
    Message,
    NoReply,
    Reply,
    prompt_messages,
)
from mmedit_build.services.opening import load_asker, open_chat
from mmedit_build.stages.attach import same
from mmedit_build.stages.hops import put_in_place, read_hop, refusal
from mmedit_build.work import Work

UNKNOWN = "the base model does not know it"
GUESSED = "the base model only guesses it"
NOT_CHANGED = "the wrong answer leads to the same"
KNOWN_ALREADY = "the base model says it of the image already"
REPEATED = "another question has the same answer"

Outcome = EditRow | Rejected[EditRow] | Failed


@dataclass(slots=True)
class _Draft:
    """A proposal on its way through the checks."""

    edit: EditRow
    hop: Proposal
    undecided: bool = False
    """Whether it was refused only because something could not be asked."""

    def refuse(self, reason: str | None) -> None:
        self.hop = replace(self.hop, reason=reason)


@dataclass
class Extending:
    """From edits to edits with portability; those for which nothing passed are rejected."""

    config: ExtendStage
    base: VisionModel
    work: Work
    _chat: Chat | None = field(default=None, init=False, repr=False)
    _asker: Asker | None = field(default=None, init=False, repr=False)

    def devices(self) -> list[str]:
        return devices_of(self.config.model, self.base)

    def open(self) -> None:
        """Load both models."""
        self._chat = open_chat(self.config.model, self.work.requests)
        self._asker = load_asker(self.base, self.work.requests)

    def __call__(self, rows: Sequence[EditRow]) -> Iterator[Outcome]:
        assert self._chat is not None
        replies, number = self._chat.ask(hop_requests(self.config, rows)), self.config.candidates
        by_row = [replies[place * number : (place + 1) * number] for place in range(len(rows))]
        drafts = [_drafts(*pair) for pair in zip(rows, by_row, strict=True)]
        self._ask_base([draft for some in drafts for draft in some])
        for row, some, replied in zip(rows, drafts, by_row, strict=True):
            _refuse_repeats(some)
            yield self._outcome(row, some, replied)

    def _ask_base(self, drafts: Sequence[_Draft]) -> None:
        """From cheap to dear: what the words alone refuse is not asked about the image."""
        self._ask(drafts, _in_words, self._unless_known)
        self._ask(drafts, _with_the_wrong_answer, lambda right, _: NOT_CHANGED if right else None)
        self._ask(drafts, self._about_the_image, lambda right, _: KNOWN_ALREADY if right else None)

    def _unless_known(self, right: bool, answer: Answer) -> str | None:
        if not right:
            return UNKNOWN
        unsure = answer.confidence is not None and answer.confidence < self.config.least_confidence
        return GUESSED if unsure else None

    def _ask(
        self,
        drafts: Iterable[_Draft],
        question: Callable[[_Draft], Question],
        verdict: Callable[[bool, Answer], str | None],
    ) -> None:
        assert self._asker is not None
        still = [draft for draft in drafts if draft.hop.reason is None]
        answers = self._asker.ask([question(one) for one in still], max_tokens=self.config.answer_tokens)
        for draft, answer in zip(still, answers, strict=True):
            if isinstance(answer, NoAnswer):
                draft.refuse(answer.reason)
                draft.undecided = True
            else:
                draft.refuse(verdict(same(answer.text) == same(draft.hop.answer), answer))

    def _about_the_image(self, draft: _Draft) -> Question:
        return Question(self.work.path(draft.edit.image), draft.hop.question)

    def _outcome(self, row: EditRow, drafts: Sequence[_Draft], replies: Sequence[Reply | NoReply]) -> Outcome:
        assert self._chat is not None
        silent = [reply.reason for reply in replies if isinstance(reply, NoReply)]
        if not drafts:
            # A model in this process would say nothing of use again, unless it computed nothing of use.
            final = isinstance(self.config.model, Local) and NOT_NUMBERS not in silent
            return Rejected(row.id, _commonest(silent), row) if final else Failed(row.id, _commonest(silent))
        held = Portability(
            model=self._chat.name,
            prompt=prompt_id(self.config.prompt),
            candidates=tuple(draft.hop for draft in drafts),
        )
        if held.hops:
            return replace(row, portability=held)
        if undecided := [draft.hop.reason for draft in drafts if draft.undecided and draft.hop.reason]:
            # One may yet pass, so it is not the row that is to blame.
            return Failed(row.id, _commonest(undecided))
        reasons = [draft.hop.reason for draft in drafts if draft.hop.reason]
        return Rejected(row.id, _commonest(reasons), replace(row, portability=held))


def to_extend(config: ExtendStage, edits: Sequence[EditRow]) -> list[EditRow]:
    """The edits that get such questions: captions say too much at once for one step to follow from them."""
    return [edit for edit in edits if edit.task == "vqa" and edit.split in config.splits]


def hop_requests(config: ExtendStage, edits: Sequence[EditRow]) -> list[ChatRequest]:
    """What the chat model is asked for these edits."""
    return [
        ChatRequest(_messages(config.prompt, edit), config.temperature, config.max_tokens, sample)
        for edit in edits
        for sample in range(config.candidates)
    ]


def _messages(prompt: str, edit: EditRow) -> tuple[Message, ...]:
    return prompt_messages(prompt, question=edit.question, target=edit.target, prediction=edit.prediction)


def _drafts(edit: EditRow, replies: Sequence[Reply | NoReply]) -> list[_Draft]:
    """The different proposals for an edit after the checks that cost nothing."""
    hops = dict.fromkeys(read_hop(reply.text) for reply in replies if isinstance(reply, Reply))
    return [_Draft(edit, hop if hop.reason else replace(hop, reason=refusal(edit, hop))) for hop in hops]


def _in_words(draft: _Draft) -> Question:
    return Question(None, draft.hop.premise, "fact")


def _with_the_wrong_answer(draft: _Draft) -> Question:
    edit, hop = draft.edit, draft.hop
    return Question(None, put_in_place(hop.premise, edit.target, edit.prediction), "fact")


def _refuse_repeats(drafts: Sequence[_Draft]) -> None:
    """One question for each answer: two wordings of one step would count it twice."""
    seen: set[str] = set()
    for draft in (draft for draft in drafts if draft.hop.reason is None):
        if same(draft.hop.answer) in seen:
            draft.refuse(REPEATED)
        seen.add(same(draft.hop.answer))


def _commonest(reasons: Sequence[str]) -> str:
    """The reason that most have; the first of equals."""
    return Counter(reasons).most_common(1)[0][0]
