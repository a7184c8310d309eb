"""Whether all is there that a build needs, looked at before anything expensive.

Not only of the stage that is wanted: a wrong facts file shall not be found after the paid rephrasing and the
painting of a night. What a finished stage needed is not asked for again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from mmedit_build.build import Build, fingerprint, stages_of
from mmedit_build.checkpoints import locate
from mmedit_build.choosing import changed
from mmedit_build.errors import LONGEST_SENTENCE, UserError
from mmedit_build.prompts import load_prompt
from mmedit_build.publishing import check_access
from mmedit_build.recipe import Endpoint, FactFile, Model, QuestionFiles, VisionModel
from mmedit_build.services.served.keys import address, find_key
from mmedit_build.sources.looking import is_there, look_at_source
from mmedit_build.sources.reading import read_facts, read_image_pool
from mmedit_build.stages import rephrase as rephrasing
from mmedit_build.summary import Summary
from mmedit_build.work import ROWS, STAGES

Look = Callable[[], object]
"""Raises a UserError if something is not as it must be."""
SHOWN = 6
"""How many faults one sentence tells at most."""


def check_ready(build: Build, first: str) -> None:
    """Refuse to begin a stage if it, or one after it, lacks anything; all that was found is told at once."""
    looks = [look for stage in pending(build, first) for look in NEEDS[stage](build)]
    faults = list(dict.fromkeys(fault for look in looks if (fault := _fault(look))))
    if len(faults) == 1:
        raise UserError(faults[0])
    if faults:
        raise UserError(_all_of(faults))


def _all_of(faults: Sequence[str]) -> str:
    """One sentence of many faults: as many as it has room for, none of which is cut."""
    head = f"Nothing was begun, as {len(faults)} things are not as they must be:"
    room, told = LONGEST_SENTENCE - len(head) - len(" And 99 more."), ""
    for number, fault in enumerate(faults, 1):
        longer = f"{told} ({number}) {fault}"
        if number > SHOWN or (told and len(longer) > room):
            return f"{head}{told} And {len(faults) - number + 1} more."
        told = longer
    return head + told


def pending(build: Build, first: str) -> list[str]:
    """The stages from one on that have anything to do, as far as that can be told without reading sources."""
    names = [*stages_of(build.recipe), "publish"]
    stages = names[names.index(first) :]
    if build.retry_failed or changed(build):
        return stages
    while stages and stages[0] in STAGES and _stands(build, stages[0]):
        stages.pop(0)
    return stages


def _stands(build: Build, stage: str) -> bool:
    """Whether a stage is finished, and was made of what the stage before it has now."""
    summary = Summary.read(build.work.stage(stage))
    if summary is None or not (build.work.stage(stage) / ROWS).exists():
        return False
    before = STAGES[STAGES.index(stage) - 1] if stage != STAGES[0] else None
    return before is None or summary.made_of == fingerprint(build.work, before)


def _fault(look: Look) -> str | None:
    try:
        look()
    except UserError as error:
        return str(error)
    return None


def _mine(build: Build) -> Iterator[Look]:
    sources = build.recipe.sources
    yield partial(_look_at_mllm, build.recipe.base)
    if build.recipe.mine.confirm_by is not None:
        yield partial(_look_at_mllm, build.recipe.mine.confirm_by)
    for source in (*sources.vqa, *sources.captions):
        yield partial(look_at_source, source, build.recipe.draw, build.work)


def _rephrase(build: Build) -> Iterator[Look]:
    config = build.recipe.rephrase
    for prompt in (config.prompt, *rephrasing.OTHER_PROMPTS):
        yield partial(load_prompt, prompt)
    yield partial(_look_at_chat, config.model)
    if config.judge is not None:
        yield partial(_look_at_chat, config.judge)
    if config.answers_alike is not None:
        yield partial(_look_at_mllm, build.recipe.base)
    if config.similarity is not None:
        from mmedit_build.services import embedding

        yield partial(embedding.look_at, config.similarity)


def _imagine(build: Build) -> Iterator[Look]:
    # Imported here, as it takes seconds, and not every stage comes before this one.
    from mmedit_build.services.images import generator, resemblance
    from mmedit_build.stages.imagine import check_template

    config = build.recipe.imagine
    yield partial(check_template, config)
    yield partial(generator.look_at, config)
    if config.resemblance is not None:
        yield partial(resemblance.look_at, config.resemblance, config.model.device)
    if config.quiz is not None:
        yield partial(_look_at_mllm, build.recipe.base)
        if config.quiz.second is not None:
            yield partial(_look_at_mllm, config.quiz.second)


def _attach(build: Build) -> Iterator[Look]:
    """Pools in files are read as a whole, as nothing else tells that their rows are right."""
    config, work = build.recipe.attach, build.work
    yield partial(_look_at_mllm, build.recipe.base)
    for source in (*config.text, *config.image):
        yield partial(look_at_source, source, build.recipe.draw, work)
    facts = [one for one in config.text if isinstance(one, FactFile) and is_there(one, work)]
    yield partial(read_facts, facts, work)
    images = [one for one in config.image if isinstance(one, QuestionFiles) and is_there(one, work)]
    yield partial(read_image_pool, images, work)
    if config.neighbors is not None:
        from mmedit_build.services import embedding
        from mmedit_build.services.images import resemblance

        yield partial(resemblance.look_at, config.neighbors, config.neighbors.device)
        if config.neighbors.text is not None:
            yield partial(embedding.look_at, config.neighbors.text)


def _extend(build: Build) -> Iterator[Look]:
    config = build.recipe.extend
    assert config is not None
    yield partial(load_prompt, config.prompt)
    yield partial(_look_at_chat, config.model)
    yield partial(_look_at_mllm, build.recipe.base)


def _publish(build: Build) -> Iterator[Look]:
    config = build.recipe.publish
    if config.repository is not None:
        yield partial(check_access, config.repository, config.tag)


NEEDS: dict[str, Callable[[Build], Iterator[Look]]] = {
    "mine": _mine,
    "rephrase": _rephrase,
    "imagine": _imagine,
    "attach": _attach,
    "extend": _extend,
    "publish": _publish,
}
"""What each stage needs beside the rows of the one before it."""


def _look_at_mllm(model: VisionModel) -> None:
    if isinstance(model, Endpoint):
        _look_at_server(model)
        return
    from mmedit_build.mllm import loading

    loading.look_at(
        locate(model.model),
        revision=model.revision,
        device=model.device,
        dtype=model.dtype,
        template=model.template,
    )


def _look_at_chat(model: Model) -> None:
    if isinstance(model, Endpoint):
        _look_at_server(model)
        return
    from mmedit_build.services import local_chat

    local_chat.look_at(model)


def _look_at_server(model: Endpoint) -> None:
    """Its address and key; no request is sent."""
    address(model.base_url)
    find_key(model)
