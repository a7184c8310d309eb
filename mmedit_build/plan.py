"""What stages would do, and what they would take at most, without doing anything or sending any request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmedit_build import unread
from mmedit_build.attaching import blind_rows
from mmedit_build.bounds import Bounds
from mmedit_build.build import Build, rows_of
from mmedit_build.choosing import sizes_of
from mmedit_build.engine.base import HasId, Out
from mmedit_build.engine.known import unknown
from mmedit_build.engine.shards import NOTHING, Shards
from mmedit_build.expected import Expected, longest_answers, questions
from mmedit_build.mining import quotas
from mmedit_build.preflight import pending
from mmedit_build.publishing import preview
from mmedit_build.recipe import Endpoint, Quiz
from mmedit_build.review.heeding import heed
from mmedit_build.rows import EditRow, Example, LocalityItem
from mmedit_build.services.asking import KIND_OF_TASK, Kind, chat_request, model_name
from mmedit_build.services.chat import ChatRequest
from mmedit_build.services.served.cost import CHARACTERS_PER_TOKEN
from mmedit_build.sources.reading import missing_images
from mmedit_build.stages.extend import hop_requests, to_extend
from mmedit_build.stages.quiz import ANSWER_TOKENS, Known, items_of, known_said
from mmedit_build.stages.rephrase import judge_requests, question_requests
from mmedit_build.stages.rounds import drawn, first_round
from mmedit_build.stages.select import cut
from mmedit_build.steps import KNOWN, known_answers, pool_items, seen_elsewhere

CHECKS = 3
"""Questions by which the stage extend checks one of a chat model's."""


def plan(build: Build, stages: Sequence[str]) -> list[str]:
    """Lines for people about some stages, and about all of them together."""
    planner, lines = _Planner(build), []
    for stage in stages:
        lines += [f"{stage}: {line}" for line in planner.lines(stage)]
    return [*lines, *(f"all: {line}" for line in planner.bounds.summary())]


class _Planner:
    """Plans stages one after the other, each of what those before it have or will have at most."""

    def __init__(self, build: Build) -> None:
        self.build = build
        self.expected = Expected(build)
        self.bounds = Bounds()

    def lines(self, stage: str) -> list[str]:
        planners = {
            "mine": self._mine,
            "rephrase": self._rephrase,
            "imagine": self._imagine,
            "attach": self._attach,
            "extend": self._extend,
            "publish": self._publish,
        }
        return list(planners[stage]())

    def _mine(self) -> Iterator[str]:
        build, recipe = self.build, self.build.recipe
        asked = model_name(recipe.base)
        if not self.expected.readable:
            told, requests = unread.mining(self.expected)
            yield told
            yield from self._mining(self._known("mine", requests))
            return
        if "mine" not in pending(build, "mine"):
            yield "is finished; nothing is left to ask unless the sources have changed since."
            return
        rows = self.expected.examples
        quota = quotas(build, rows)
        first, todo = quota.drawn(quota.first()), _todo(build, "mine", rows, EditRow)
        yield (
            f"asks {asked} {_counted(first)}, then as many more as it takes and all else about the images of "
            f"the edits, at most {_counted(rows)}, about {len({row.image for row in rows}):,} images; "
            f"{len(rows) - len(todo):,} rows are done."
        )
        if missing := missing_images(rows, build.work):
            yield f"{missing:,} images are missing; their rows will fail."
        known = {row.id for row in rows} - {row.id for row in todo}
        at_first = [row for row in first if row.id not in known]
        # What comes first is among all, and counts once.
        yield from (f"at first: {line}" for line in Bounds().served(recipe.base, self._asking(at_first)))
        yield from self._mining(self._asking(todo))
        yield from self.bounds.time(build, "mine", len(todo))

    def _mining(self, requests: Sequence[ChatRequest]) -> Iterator[str]:
        """What is asked at most, and asked again."""
        recipe = self.build.recipe
        yield from (f"at most: {line}" for line in self.bounds.served(recipe.base, requests))
        again = recipe.mine.confirm_by or (recipe.base if recipe.mine.confirm else None)
        if isinstance(again, Endpoint):
            yield f"asks {model_name(again)} again for each failure that it finds, at most for all of these:"
            yield from self.bounds.served(again, requests)
        elif recipe.mine.confirm_by is not None:
            yield f"asks {model_name(recipe.mine.confirm_by)} again for each failure that it finds."

    def _asking(self, rows: Sequence[Example]) -> list[ChatRequest]:
        """The name of the image stands for its content: an estimate counts all images alike."""
        limits = longest_answers(self.build.recipe)
        return [
            chat_request(row.question, KIND_OF_TASK[row.task], row.image.encode(), limits[row.task])
            for row in rows
        ]

    def _rephrase(self) -> Iterator[str]:
        build, base = self.build, self.build.recipe.base
        config = build.recipe.rephrase
        edits, note = self.expected.before("rephrase")
        alike = config.answers_alike
        seen: Mapping[str, Sequence[object]]
        if self.expected.has("mine"):
            seen = seen_elsewhere(build, edits)
        else:
            asked_of = [""] * alike.images if alike else []
            seen = {edit.id: asked_of for edit in edits if edit.task == "vqa"}
        todo = _todo(build, "rephrase", edits, EditRow, seen)
        requests = question_requests(config, todo)
        yield (
            f"{note}rephrases {len(edits):,} prompts, of which {len(edits) - len(todo):,} are done; asks "
            f"{model_name(config.model)} for {len(requests):,} rephrases."
        )
        yield from self.bounds.served(config.model, requests, build)
        if config.judge is not None:
            judged = judge_requests(config, todo)
            yield (
                f"asks {model_name(config.judge)} up to {len(judged):,} times whether they mean the same, in "
                f"both directions; {len(judged) // config.candidates:,} times if the first always pass."
            )
            yield from self.bounds.served(config.judge, judged, build)
        if asked := config.candidates * sum(len(seen.get(edit.id, ())) for edit in todo):
            yield f"asks {model_name(base)} up to {asked:,} of them about other images."
            yield from self.bounds.served(base, questions(asked, ANSWER_TOKENS))
        yield from self.bounds.time(build, "rephrase", len(todo))

    def _imagine(self) -> Iterator[str]:
        build, config = self.build, self.build.recipe.imagine
        edits, note = self.expected.before("imagine")
        known: Known = known_answers(build) if self.expected.has("mine") else {}
        beside = {edit.id: known.get(edit.image_id) for edit in edits} if config.quiz else {}
        todo = _todo(build, "imagine", edits, EditRow, beside)
        images = len(todo) * config.tries
        self.bounds.images += images
        yield (
            f"{note}paints up to {images:,} images with {model_name(config.model)} ({config.strategy}, "
            f"{config.steps} steps) for {len(edits):,} edits, of which {len(edits) - len(todo):,} are done."
        )
        if config.quiz:
            yield from self._quizzing(config.quiz, todo, known)
        yield from self.bounds.time(build, "imagine", len(todo))

    def _quizzing(self, quiz: Quiz, todo: Sequence[EditRow], known: Known) -> Iterator[str]:
        """What each model of a quiz is asked at most: about originals, and about all that is painted."""
        tries = self.build.recipe.imagine.tries
        for model, own in ((self.build.recipe.base, False), (quiz.second, True)):
            if model is None:
                continue
            originals, painted = self._quizzed(quiz, todo, known, own=own)
            yield (
                f"asks {model_name(model)} {originals:,} questions about originals and up to "
                f"{painted * tries:,} about what was painted."
            )
            yield from self.bounds.served(model, questions(originals + painted * tries, ANSWER_TOKENS))

    def _quizzed(self, quiz: Quiz, todo: Sequence[EditRow], known: Known, *, own: bool) -> tuple[int, int]:
        """How many questions there are about originals that are not known, and about one painting of each."""
        if not self.expected.has("mine"):
            return quiz.questions * len(todo), quiz.questions * len(todo)
        quizzes = [(edit.image_id, items_of(edit, known, quiz.questions)) for edit in todo]
        asked = [(image, item.question) for image, its in quizzes for item in its if own or not item.own]
        new = set(asked) if own else set(asked) - known_said(known).keys()
        return len(new), len(asked)

    def _attach(self) -> Iterator[str]:
        build, recipe, config = self.build, self.build.recipe, self.build.recipe.attach
        edits, note = self.expected.before("attach")
        if not note:
            edits, _ = cut(edits, sizes_of(recipe), recipe.seed)
        if not self.expected.pools_readable:
            told, requests = unread.attaching(self.expected, len(edits))
            yield f"{note}{told}"
            asking = self._known("attach", requests)
            yield from (f"at most: {line}" for line in self.bounds.served(recipe.base, asking))
            if config.no_image:
                yield from self._blind_at_most(len(edits))
            yield from self._neighbors()
            return
        asked = model_name(recipe.base)
        pools = pool_items(build)
        first = drawn(pools, first_round(len(edits), pools, config), recipe.seed)
        todo, all_todo = (_todo(build, "probe", rows, LocalityItem) for rows in (first, pools))
        of_all = "" if len(first) == len(pools) else f" of {len(pools):,}"
        more = ", more of them while edits go short," if of_all else ","
        yield (
            f"{note}asks {asked} {len(first):,}{of_all} locality questions, of which "
            f"{len(first) - len(todo):,} are done{more} and deals them to {len(edits):,} edits."
        )
        unseen: list[LocalityItem] = []
        if config.no_image and self.expected.has("mine"):
            blind = blind_rows(build, edits, build.rows_of("mine", KNOWN))
            unseen = _todo(build, "blind", blind, LocalityItem)
            yield (
                f"asks {len(blind):,} questions of edits without their images, of which "
                f"{len(blind) - len(unseen):,} are done."
            )
        elif config.no_image:
            yield from self._blind_at_most(len(edits))
        yield from self._neighbors()
        at_first = [_probing(item, config.answer_tokens) for item in (*todo, *unseen)]
        at_most = [_probing(item, config.answer_tokens) for item in (*all_todo, *unseen)]
        if of_all:
            yield from (f"at first: {line}" for line in Bounds().served(recipe.base, at_first))
            yield from (f"at most: {line}" for line in self.bounds.served(recipe.base, at_most))
        else:
            yield from self.bounds.served(recipe.base, at_most)
        yield from self.bounds.time(build, "probe", len(all_todo))
        yield from self.bounds.time(build, "blind", len(unseen))

    def _known(self, stage: str, requests: Sequence[ChatRequest] | None) -> Sequence[ChatRequest]:
        """Requests about sources that are not there yet; notes what nobody can tell."""
        self.bounds.untimed.append(stage)
        if requests is None and isinstance(self.build.recipe.base, Endpoint):
            self.bounds.unbounded.append(stage)
        return requests or []

    def _blind_at_most(self, edits: int) -> Iterator[str]:
        recipe = self.build.recipe
        yield f"asks up to {edits:,} questions of edits without their images."
        yield from self.bounds.served(recipe.base, questions(edits, recipe.attach.answer_tokens))

    def _neighbors(self) -> Iterator[str]:
        config = self.build.recipe.attach.neighbors
        if config is not None:
            yield f"looks for neighbors of the edits with {config.model}."

    def _extend(self) -> Iterator[str]:
        build, config = self.build, self.build.recipe.extend
        assert config is not None
        edits, note = self.expected.before("extend")
        if not note:
            # All, however few are wanted: edits that are not extended go on as they are.
            edits = to_extend(config, rows_of(build.work, "attach"))[: build.limit]
        todo = _todo(build, "extend", edits, EditRow)
        requests = hop_requests(config, todo)
        yield (
            f"{note}goes one step beyond {len(edits):,} edits, of which {len(edits) - len(todo):,} are done; "
            f"asks {model_name(config.model)} for {len(requests):,} questions."
        )
        yield from self.bounds.served(config.model, requests, build)
        if isinstance(build.recipe.base, Endpoint):
            checks = CHECKS * len(requests)
            yield f"asks {build.recipe.base.model} up to {checks:,} questions to check them."
            letters = CHARACTERS_PER_TOKEN * config.max_tokens
            yield from self.bounds.served(build.recipe.base, questions(checks, config.answer_tokens, letters))
        yield from self.bounds.time(build, "extend", len(todo))

    def _publish(self) -> Iterator[str]:
        build, config = self.build, self.build.recipe.publish
        edits, note = self.expected.before("publish")
        heeded = heed(edits, build.work, config.review)
        images = "with" if config.embed_source_images else "without"
        to = build.work.dataset
        yield f"{note}writes {sum(1 for _ in heeded.edits):,} edits, {images} their source images, to {to}."
        if refused := heeded.tally.rejected.total():
            yield f"leaves out what people refused: {refused:,} of {heeded.tally.total:,} edits."
        if config.repository is not None:
            tag = f" as {config.tag}" if config.tag else ""
            yield f"sends them to {config.repository}{tag} in one commit."
        if build.work.dataset.exists():
            sent = preview(build.work.dataset)
            yield f"now there: {len(sent.files)} files of {sent.size / 1e6:,.1f} MB in all:"
            yield from (f"  {file.name}" for file in sent.files)


def _counted(rows: Sequence[Example]) -> str:
    captions = sum(row.task == "caption" for row in rows)
    return f"{len(rows) - captions:,} questions and {captions:,} captions"


def _probing(item: LocalityItem, max_tokens: int) -> ChatRequest:
    kind: Kind = "fact" if item.image is None and item.relation != "no_image" else "question"
    return chat_request(item.question, kind, item.image.encode() if item.image else None, max_tokens)


def _todo(
    build: Build, stage: str, rows: Sequence[Out], row_type: type[HasId], beside: Mapping[str, Any] = NOTHING
) -> list[Out]:
    return unknown(Shards(build.work.stage(stage), row_type), rows, beside)
