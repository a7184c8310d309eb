"""What a stage would do, and what it would cost, without doing it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmedit_build.attaching import blind_rows
from mmedit_build.build import Build, rows_of, stages_of
from mmedit_build.choosing import sizes_of
from mmedit_build.engine.base import HasId, Out
from mmedit_build.engine.known import unknown
from mmedit_build.engine.shards import NOTHING, Shards
from mmedit_build.miniature.sources import is_drawn
from mmedit_build.mining import examples_to_mine, quotas
from mmedit_build.preflight import pending
from mmedit_build.publishing import preview
from mmedit_build.recipe import CaptionSource, Endpoint, Model, QuestionSource, Quiz, VisionModel
from mmedit_build.review.heeding import heed
from mmedit_build.rows import EditRow, Example, LocalityItem
from mmedit_build.services.asking import KIND_OF_TASK, Kind, chat_request, model_name
from mmedit_build.services.chat import ChatRequest
from mmedit_build.services.served.cost import estimate
from mmedit_build.sources.reading import missing_images
from mmedit_build.stages.extend import hop_requests, to_extend
from mmedit_build.stages.quiz import ANSWER_TOKENS, Known, items_of, known_said
from mmedit_build.stages.rephrase import judge_requests, question_requests
from mmedit_build.stages.rounds import drawn, first_round
from mmedit_build.stages.select import cut
from mmedit_build.steps import KNOWN, known_answers, pool_items, seen_elsewhere
from mmedit_build.work import ROWS


def plan(build: Build, stage: str) -> list[str]:
    """Lines for people about one stage."""
    planners = {
        "mine": _mine,
        "rephrase": _rephrase,
        "imagine": _imagine,
        "attach": _attach,
        "extend": _extend,
        "publish": _publish,
    }
    names = [*stages_of(build.recipe), "publish"]
    before = names[names.index(stage) - 1] if stage != names[0] else None
    if before and not (build.work.stage(before) / ROWS).exists():
        return [f"{stage}: known once {before} is finished."]
    return [f"{stage}: {line}" for line in planners[stage](build)]


def _mine(build: Build) -> list[str]:
    recipe, work, config = build.recipe, build.work, build.recipe.mine
    asked = model_name(recipe.base)
    if recipe.draw is not None and not is_drawn(work.sources, **recipe.draw.model_dump()):
        images = recipe.draw.train_images + recipe.draw.val_images
        return [f"draws {images:,} images, then asks {asked} about them."]
    if not work.stage("mine").exists() and any(one.kind == "hub" for one in _sources(build)):
        return [f"reads sources from the Hub, then asks {asked} about them."]
    if "mine" not in pending(build, "mine"):
        return ["is finished; nothing is left to ask unless the sources have changed since."]
    rows = examples_to_mine(build)
    drawn = quotas(build, rows)
    first, todo = drawn.drawn(drawn.first()), _todo(build, "mine", rows, EditRow)
    lines = [
        f"asks {asked} {_counted(first)}, then as many more as it takes and all else about the images of the "
        f"edits, at most {_counted(rows)}, about {len({row.image for row in rows}):,} images; "
        f"{len(rows) - len(todo):,} rows are done."
    ]
    if missing := missing_images(rows, work):
        lines.append(f"{missing:,} images are missing; their rows will fail.")
    limits = {
        "vqa": config.vqa.answer_tokens if config.vqa else 1,
        "caption": config.caption.answer_tokens if config.caption else 1,
    }
    known = {row.id for row in rows} - {row.id for row in todo}
    at_first = [row for row in first if row.id not in known]
    for when, part in (("at first", at_first), ("at most", todo)):
        costs = _cost(recipe.base, [_asking(row, limits[row.task]) for row in part])
        lines += [f"{when}: {line}" for line in costs]
    if config.confirm_by is not None:
        lines.append(f"asks {model_name(config.confirm_by)} again for each failure that it finds.")
    elif isinstance(recipe.base, Endpoint) and config.confirm:
        lines.append("asks again for each failure that it finds, which is not in these numbers.")
    return lines


def _counted(rows: Sequence[Example]) -> str:
    captions = sum(row.task == "caption" for row in rows)
    return f"{len(rows) - captions:,} questions and {captions:,} captions"


def _sources(build: Build) -> list[QuestionSource | CaptionSource]:
    return [*build.recipe.sources.vqa, *build.recipe.sources.captions]


def _asking(row: Example, max_tokens: int) -> ChatRequest:
    """The name of the image stands for its content: an estimate counts all images alike."""
    return chat_request(row.question, KIND_OF_TASK[row.task], row.image.encode(), max_tokens)


def _rephrase(build: Build) -> list[str]:
    config, base = build.recipe.rephrase, build.recipe.base
    edits = build.rows_of("mine")
    seen = seen_elsewhere(build, edits)
    todo = _todo(build, "rephrase", edits, EditRow, seen)
    requests = question_requests(config, todo)
    lines = [
        f"rephrases {len(edits):,} prompts, of which {len(edits) - len(todo):,} are done; asks "
        f"{model_name(config.model)} for {len(requests):,} rephrases."
    ]
    lines += _cost(config.model, requests, build)
    if config.judge is not None:
        judged = judge_requests(config, todo)
        lines.append(
            f"asks {model_name(config.judge)} up to {len(judged):,} times whether they mean the same, in "
            f"both directions; {len(judged) // config.candidates:,} times if the first always pass."
        )
        lines += _cost(config.judge, judged, build)
    if asked := config.candidates * sum(len(seen.get(edit.id, ())) for edit in todo):
        lines.append(f"asks {model_name(base)} up to {asked:,} of them about other images.")
        lines += _cost(base, [chat_request(str(i), "question", b"", ANSWER_TOKENS) for i in range(asked)])
    return lines


def _imagine(build: Build) -> list[str]:
    config = build.recipe.imagine
    edits = build.rows_of("rephrase")
    known = known_answers(build)
    beside = {edit.id: known.get(edit.image_id) for edit in edits} if config.quiz else {}
    todo = _todo(build, "imagine", edits, EditRow, beside)
    images = len(todo) * config.tries
    return [
        f"paints up to {images:,} images with {model_name(config.model)} ({config.strategy}, {config.steps} "
        f"steps) for {len(edits):,} edits, of which {len(edits) - len(todo):,} are done.",
        *(_quizzing(config.quiz, build.recipe.base, todo, known, config.tries) if config.quiz else []),
    ]


def _quizzing(
    quiz: Quiz, base: VisionModel, todo: Sequence[EditRow], known: Known, tries: int
) -> Iterator[str]:
    """What each model of a quiz is asked at most: about originals, and about all that is painted."""
    quizzes = [(edit.image_id, items_of(edit, known, quiz.questions)) for edit in todo]
    for model, own in ((base, False), (quiz.second, True)):
        if model is None:
            continue
        asked = [(image, item.question) for image, its in quizzes for item in its if own or not item.own]
        new = set(asked) if own else set(asked) - known_said(known).keys()
        cost = ", at a cost not estimated" if isinstance(model, Endpoint) else ""
        yield (
            f"asks {model_name(model)} {len(new):,} questions about originals and up to "
            f"{len(asked) * tries:,} about what was painted{cost}."
        )


def _attach(build: Build) -> list[str]:
    recipe, config = build.recipe, build.recipe.attach
    edits, _ = cut(build.rows_of("imagine"), sizes_of(recipe), recipe.seed)
    pools = pool_items(build)
    first = drawn(pools, first_round(len(edits), pools, config), recipe.seed)
    todo = _todo(build, "probe", first, LocalityItem)
    of_all = "" if len(first) == len(pools) else f" of {len(pools):,}"
    more = ", more of them while edits go short," if of_all else ","
    lines = [
        f"asks {model_name(recipe.base)} {len(first):,}{of_all} locality questions, of which "
        f"{len(first) - len(todo):,} are done{more} and deals them to {len(edits):,} edits."
    ]
    blind = blind_rows(build, edits, build.rows_of("mine", KNOWN)) if config.no_image else []
    unseen = _todo(build, "blind", blind, LocalityItem)
    if blind:
        lines.append(
            f"asks {len(blind):,} questions of edits without their images, of which "
            f"{len(blind) - len(unseen):,} are done."
        )
    if config.neighbors is not None:
        lines.append(f"looks for neighbors of the edits with {config.neighbors.model}.")
    return lines + _cost(recipe.base, [_probing(item, config.answer_tokens) for item in (*todo, *unseen)])


def _probing(item: LocalityItem, max_tokens: int) -> ChatRequest:
    kind: Kind = "fact" if item.image is None and item.relation != "no_image" else "question"
    return chat_request(item.question, kind, item.image.encode() if item.image else None, max_tokens)


def _extend(build: Build) -> list[str]:
    config = build.recipe.extend
    assert config is not None
    edits = to_extend(config, rows_of(build.work, "attach"))[: build.limit]
    todo = _todo(build, "extend", edits, EditRow)
    requests = hop_requests(config, todo)
    lines = [
        f"goes one step beyond {len(edits):,} edits, of which {len(edits) - len(todo):,} are done; "
        f"asks {model_name(config.model)} for {len(requests):,} questions."
    ]
    lines += _cost(config.model, requests, build)
    if isinstance(build.recipe.base, Endpoint):
        lines.append(
            f"asks {build.recipe.base.model} up to {3 * len(requests):,} questions to check them, which are "
            "not in these numbers."
        )
    return lines


def _publish(build: Build) -> list[str]:
    config = build.recipe.publish
    heeded = heed(build.finished(), build.work, config.review)
    images = "with" if config.embed_source_images else "without"
    lines = [f"writes {len(heeded.edits):,} edits, {images} their source images, to {build.work.dataset}."]
    if refused := heeded.tally.rejected.total():
        lines.append(f"leaves out what people refused: {refused:,} of {heeded.tally.total:,} edits.")
    if config.repository is not None:
        tag = f" as {config.tag}" if config.tag else ""
        lines.append(f"sends them to {config.repository}{tag} in one commit.")
    if build.work.dataset.exists():
        sent = preview(build.work.dataset)
        lines.append(f"now there: {len(sent.files)} files of {sent.size / 1e6:,.1f} MB in all:")
        lines += [f"  {file.name}" for file in sent.files]
    return lines


def _todo(
    build: Build, stage: str, rows: Sequence[Out], row_type: type[HasId], beside: Mapping[str, Any] = NOTHING
) -> list[Out]:
    return unknown(Shards(build.work.stage(stage), row_type), rows, beside)


def _cost(
    model: Model | VisionModel, requests: Sequence[ChatRequest], build: Build | None = None
) -> list[str]:
    """With a build, what its work folder holds already is not counted."""
    if not isinstance(model, Endpoint):
        return []
    will = estimate(model, requests, build.work.requests if build else None)
    cost = "no price is stated" if will.cost is None else f"about {will.cost:.2f} {will.currency} or less"
    return [
        f"{will.requests:,} requests of about {will.input_tokens:,} tokens in and at most "
        f"{will.output_tokens:,} out: {cost}."
    ]
