"""Stage 2: says each question in other words, and keeps only what still asks for the same."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mmedit_build.engine.base import Failed, Rejected
from mmedit_build.prompts import load_prompt, prompt_id
from mmedit_build.recipe import Local, RephraseStage, VisionModel
from mmedit_build.recipe.models import devices_of
from mmedit_build.rows import EditRow, Rephrase
from mmedit_build.scoring.bounds import NoNumberError, within
from mmedit_build.services.chat import NOT_NUMBERS, Chat, ChatRequest, NoReply, Reply, prompt_messages
from mmedit_build.services.opening import load_asker, open_chat
from mmedit_build.stages.drafts import best, drafts_of
from mmedit_build.stages.verdicts import DIRECTIONS, JUDGE, Judge, Sights, Witness, judge_request
from mmedit_build.work import Work

if TYPE_CHECKING:
    from mmedit_build.services.embedding import Embedder

TEMPLATES = "caption"
OTHER_PROMPTS = (TEMPLATES, JUDGE)
"""Prompts besides the one that the recipe names."""
FAR = "embeddings far apart"

Outcome = EditRow | Rejected[EditRow] | Failed


def question_requests(config: RephraseStage, edits: Sequence[EditRow]) -> list[ChatRequest]:
    """What the chat model is asked for these edits; captions are rephrased without one."""
    return [request for edit in edits if edit.task == "vqa" for request in _requests(config, edit.question)]


def judge_requests(config: RephraseStage, edits: Sequence[EditRow]) -> list[ChatRequest]:
    """The most that the judge is asked, with the questions in the place of their rephrases."""
    questions = [edit.question for edit in edits if edit.task == "vqa"] if config.judge else []
    return [
        replace(judge_request(question, question), sample=number)
        for question in questions
        for number in range(DIRECTIONS * config.candidates)
    ]


def _requests(config: RephraseStage, question: str) -> list[ChatRequest]:
    messages = prompt_messages(config.prompt, question=question)
    return [
        ChatRequest(messages, config.temperature, config.max_tokens, sample)
        for sample in range(config.candidates)
    ]


@dataclass
class Rephrasing:
    """From edits to edits with rephrases."""

    config: RephraseStage
    seed: str
    work: Work
    base: VisionModel
    sights: Sights
    """Where the base model can tell whether a rephrase means the same; empty: it is not asked."""
    _opened: _Opened | None = field(default=None, init=False, repr=False)

    def devices(self) -> list[str]:
        config = self.config
        asked = config.answers_alike is not None and any(self.sights.values())
        return devices_of(config.model, config.judge, config.similarity, self.base if asked else None)

    def open(self) -> None:
        """Load the models."""
        chat = open_chat(self.config.model, self.work.requests)
        verifiers: list[Judge | Witness] = []
        if self.config.judge is not None:
            same = self.config.judge == self.config.model
            verifiers.append(Judge(chat if same else open_chat(self.config.judge, self.work.requests)))
        if self.config.answers_alike is not None and any(self.sights.values()):
            asker = load_asker(self.base, self.work.requests)
            verifiers.append(Witness(self.config.answers_alike, asker, self.sights, self.work))
        self._opened = _Opened(chat, verifiers, _open_embedder(self.config))

    def __call__(self, rows: Sequence[EditRow]) -> Iterator[Outcome]:
        assert self._opened is not None
        questions = [row for row in rows if row.task == "vqa"]
        drafts = _Drafts(self.config, self._opened, questions)
        for row in rows:
            yield drafts.outcome(row) if row.task == "vqa" else self._template(row)

    def _template(self, row: EditRow) -> EditRow:
        """A caption's prompt in other words, the same for the same seed and row."""
        templates = [one for one in load_prompt(TEMPLATES)["templates"] if one != row.question]
        digest = hashlib.sha256(f"{self.seed}\n{row.id}".encode()).digest()
        text = templates[int.from_bytes(digest[:8]) % len(templates)]
        return replace(
            row, rephrase=Rephrase(text=text, model="template", prompt=prompt_id(TEMPLATES), candidates=())
        )


@dataclass(frozen=True, slots=True)
class _Opened:
    chat: Chat
    verifiers: Sequence[Judge | Witness]
    embedder: Embedder | None


def _open_embedder(config: RephraseStage) -> Embedder | None:
    if config.similarity is None:
        return None
    from mmedit_build.services.embedding import Embedder

    return Embedder.load(config.similarity)


class _Drafts:
    """The candidates of one shard's questions, checked from cheap to dear."""

    def __init__(self, config: RephraseStage, opened: _Opened, rows: Sequence[EditRow]) -> None:
        self._config = config
        self._name = opened.chat.name
        self._repeats = isinstance(config.model, Local)
        replies = opened.chat.ask(question_requests(config, rows))
        number = config.candidates
        self._replies = {row.id: replies[i * number : (i + 1) * number] for i, row in enumerate(rows)}
        self._drafts = {row.id: drafts_of(row, self._replies[row.id]) for row in rows}
        if opened.embedder:
            self._embed(opened.embedder)
        self._verify(opened.verifiers)

    def outcome(self, row: EditRow) -> Outcome:
        """The row with the most different candidate that passed, or why there is none."""
        drafts = self._drafts[row.id]
        if not drafts:
            reason = f"rephrase: {_commonest(_reasons(self._replies[row.id]))}"
            # A model in this process would say nothing of use again, unless it computed nothing of use.
            sane = all(one != NOT_NUMBERS for one in _reasons(self._replies[row.id]))
            return Rejected(row.id, reason, row) if self._repeats and sane else Failed(row.id, reason)
        taken = best(drafts)
        kept = Rephrase(
            text=taken.text if taken else "",
            model=self._name,
            prompt=prompt_id(self._config.prompt),
            candidates=tuple(draft.kept() for draft in drafts),
        )
        if taken:
            return replace(row, rephrase=kept)
        if undecided := [one.reason for one in drafts if one.reason and one.undecided]:
            # One may yet pass, so it is not the row that is to blame.
            return Failed(row.id, f"rephrase: {_commonest(undecided)}")
        reasons = [one.reason for one in drafts if one.reason]
        return Rejected(row.id, f"rephrase: {_commonest(reasons)}", replace(row, rephrase=kept))

    def _embed(self, embedder: Embedder) -> None:
        similarity = self._config.similarity
        assert similarity is not None
        open_ = [draft for drafts in self._drafts.values() for draft in drafts if not draft.reason]
        cosines = embedder.cosines([(draft.row.question, draft.text) for draft in open_])
        for draft, cosine in zip(open_, cosines, strict=True):
            try:
                draft.reason = None if within("similarity", cosine, least=similarity.least) else FAR
            except NoNumberError as error:
                draft.refuse(str(error), undecided=True)
            else:
                draft.scores["similarity"] = cosine

    def _verify(self, verifiers: Sequence[Judge | Witness]) -> None:
        """Ask about the best candidate of each row, then about the next best of those that failed."""
        while asked := [
            draft for drafts in self._drafts.values() if (draft := best(drafts)) and not draft.verified
        ]:
            for verifier in verifiers:
                verifier.check([draft for draft in asked if draft.reason is None])
            for draft in asked:
                draft.verified = True


def _reasons(replies: Sequence[Reply | NoReply]) -> list[str]:
    return [reply.reason for reply in replies if isinstance(reply, NoReply)]


def _commonest(reasons: Sequence[str]) -> str:
    """The reason that most have; the first of equals."""
    return Counter(reasons).most_common(1)[0][0]
