"""Stage 2: says each question in other words, and keeps only what still asks for the same."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mmedit_build.engine.base import Failed, Rejected
from mmedit_build.prompts import load_prompt, prompt_id
from mmedit_build.recipe import Local, RephraseStage
from mmedit_build.rows import Candidate, EditRow, Rephrase
from mmedit_build.scoring.bounds import NoNumberError, within
from mmedit_build.services.chat import NOT_NUMBERS, Chat, ChatRequest, NoReply, Reply, prompt_messages
from mmedit_build.services.opening import open_chat
from mmedit_build.stages.checks import difference, refusal

if TYPE_CHECKING:
    from mmedit_build.services.embedding import Embedder

TEMPLATES = "caption"
JUDGE = "judge"
OTHER_PROMPTS = (TEMPLATES, JUDGE)
"""Prompts besides the one that the recipe names."""
JUDGE_TOKENS = 8
NO_MATCH = "judge: not the same question"
UNCLEAR = "judge: neither yes nor no"
MUTE = "judge: no reply"
FAR = "embeddings far apart"

Outcome = EditRow | Rejected[EditRow] | Failed


@dataclass(slots=True)
class _Draft:
    """A candidate on its way through the checks."""

    text: str
    reason: str | None
    scores: dict[str, float] = field(default_factory=dict)
    judged: bool = False
    undecided: bool = False
    """Whether it was refused only because something could not be measured or asked."""


def question_requests(config: RephraseStage, edits: Sequence[EditRow]) -> list[ChatRequest]:
    """What the chat model is asked for these edits; captions are rephrased without one."""
    return [request for edit in edits if edit.task == "vqa" for request in _requests(config, edit.question)]


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
    cache: Path
    """Where replies of served models are kept."""
    _opened: _Opened | None = field(default=None, init=False, repr=False)

    def open(self) -> None:
        """Load the models."""
        self._opened = _Opened(
            open_chat(self.config.model, self.cache),
            open_chat(self.config.judge, self.cache) if self.config.judge else None,
            _open_embedder(self.config),
        )

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
    judge: Chat | None
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
        self._drafts = {row.id: _checked(row, self._replies[row.id]) for row in rows}
        self._questions = {row.id: row.question for row in rows}
        if opened.embedder:
            self._embed(opened.embedder)
        if opened.judge:
            self._judge(opened.judge)

    def outcome(self, row: EditRow) -> Outcome:
        """The row with the most different candidate that passed, or why there is none."""
        drafts = self._drafts[row.id]
        if not drafts:
            reason = f"rephrase: {_commonest(_reasons(self._replies[row.id]))}"
            # A model in this process would say nothing of use again, unless it computed nothing of use.
            sane = all(one != NOT_NUMBERS for one in _reasons(self._replies[row.id]))
            return Rejected(row.id, reason, row) if self._repeats and sane else Failed(row.id, reason)
        best = _best(drafts)
        kept = Rephrase(
            text=best.text if best else "",
            model=self._name,
            prompt=prompt_id(self._config.prompt),
            candidates=tuple(
                Candidate(text=one.text, reason=one.reason, scores=one.scores) for one in drafts
            ),
        )
        if best:
            return replace(row, rephrase=kept)
        if undecided := [one.reason for one in drafts if one.reason and one.undecided]:
            # One may yet pass, so it is not the row that is to blame.
            return Failed(row.id, f"rephrase: {_commonest(undecided)}")
        reasons = [one.reason for one in drafts if one.reason]
        return Rejected(row.id, f"rephrase: {_commonest(reasons)}", replace(row, rephrase=kept))

    def _embed(self, embedder: Embedder) -> None:
        similarity = self._config.similarity
        assert similarity is not None
        open_ = [
            (name, draft) for name, drafts in self._drafts.items() for draft in drafts if not draft.reason
        ]
        cosines = embedder.cosines([(self._questions[name], draft.text) for name, draft in open_])
        for (_, draft), cosine in zip(open_, cosines, strict=True):
            try:
                draft.reason = None if within("similarity", cosine, least=similarity.least) else FAR
            except NoNumberError as error:
                draft.reason, draft.undecided = str(error), True
            else:
                draft.scores["similarity"] = cosine

    def _judge(self, judge: Chat) -> None:
        """Ask about the best candidate of each row, then about the next best of those that failed."""
        while asked := [
            (self._questions[name], best)
            for name, drafts in self._drafts.items()
            if (best := _best(drafts)) and not best.judged
        ]:
            requests = [
                ChatRequest(prompt_messages(JUDGE, question=question, rephrase=draft.text), 0.0, JUDGE_TOKENS)
                for question, draft in asked
            ]
            for (_, draft), reply in zip(asked, judge.ask(requests), strict=True):
                draft.judged = True
                _take_verdict(draft, reply)


def _checked(row: EditRow, replies: Sequence[Reply | NoReply]) -> list[_Draft]:
    """The different candidates of a row after the checks that cost nothing."""
    texts = dict.fromkeys(reply.text for reply in replies if isinstance(reply, Reply))
    return [
        _Draft(
            text,
            refusal(row.question, text, row.target, row.answers),
            {"difference": difference(row.question, text)},
        )
        for text in texts
    ]


def _best(drafts: Sequence[_Draft]) -> _Draft | None:
    """The most different candidate that passes so far; the first of equals."""
    passing = (draft for draft in drafts if draft.reason is None)
    return max(passing, key=lambda draft: draft.scores["difference"], default=None)


def _take_verdict(draft: _Draft, reply: Reply | NoReply) -> None:
    if isinstance(reply, NoReply):
        draft.reason, draft.undecided = MUTE, True
        return
    word = reply.text.strip(" \"'*`.").lower()
    if word.startswith("yes"):
        draft.scores["judge"] = 1.0
    else:
        draft.scores["judge"] = 0.0
        draft.reason = NO_MATCH if word.startswith("no") else UNCLEAR


def _reasons(replies: Sequence[Reply | NoReply]) -> list[str]:
    return [reply.reason for reply in replies if isinstance(reply, NoReply)]


def _commonest(reasons: Sequence[str]) -> str:
    """The reason that most have; the first of equals."""
    return Counter(reasons).most_common(1)[0][0]
