"""The stages of a build in their order, each with what goes in and what comes out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from mmedit_build import publishing
from mmedit_build.attaching import add_blind, add_near, probe_pools
from mmedit_build.audit.report import Report, faults
from mmedit_build.audit.run import write_audit
from mmedit_build.audit.targets import from_edits
from mmedit_build.build import Build, deciding, finish, kept, rows_of
from mmedit_build.choosing import DEALING, check_chosen, choice, sizes_of
from mmedit_build.engine.base import Rejected
from mmedit_build.engine.settings import read_settings
from mmedit_build.engine.shards import Outcome, Tally, write_rows
from mmedit_build.errors import UserError
from mmedit_build.miniature.sources import is_drawn, write_sources
from mmedit_build.mining import ask_until_enough
from mmedit_build.prompts import prompt_id
from mmedit_build.publishing.picture import write_picture
from mmedit_build.recipe import Endpoint, LocalMLLM, Recipe, VisionModel
from mmedit_build.review.heeding import heed
from mmedit_build.rows import EditRow, LocalityItem
from mmedit_build.scoring.caption import Consensus
from mmedit_build.scoring.vqa import normalize
from mmedit_build.sources.reading import read_facts, read_image_pool, read_references
from mmedit_build.stages import rephrase as rephrasing
from mmedit_build.stages.attach import assign
from mmedit_build.stages.borders import Borders
from mmedit_build.stages.extend import Extending, to_extend
from mmedit_build.stages.failures import RIGHT
from mmedit_build.stages.imagine import Imagining
from mmedit_build.stages.mine import Mining
from mmedit_build.stages.rephrase import Rephrasing
from mmedit_build.stages.select import cut
from mmedit_build.stages.verdicts import sights
from mmedit_build.status import summaries
from mmedit_build.storage.addresses import shown
from mmedit_build.summary import Summary, summarize
from mmedit_build.work import Work

KNOWN = "known.jsonl"
"""What the base model answers right, as mining found out."""


def mine(build: Build) -> Summary:
    """Ask the base model until enough is found that it gets wrong."""
    recipe, config = build.recipe, build.recipe.mine
    _draw(build)
    references = read_references(recipe.sources, build.work) if config.caption else []
    stage = Mining(config, recipe.base, build.work, Consensus.of(references) if references else None)
    settings = {
        "base": _asked(recipe.base),
        "mine": deciding(config, frozenset({"sizes", "spare", "confirm_by"})),
        "sources": deciding(recipe.sources),
        "draw": deciding(recipe.draw),
    }
    if config.confirm_by is not None:
        settings["confirm_by"] = _asked(config.confirm_by)
    asked = ask_until_enough(build, stage, settings)
    write_rows(build.work.stage("mine") / KNOWN, _known(asked.outcomes))
    return finish(
        build.work, "mine", asked.outcomes.tally, asked.edits, asked.left_out, choice(build, "mine")
    )


def rephrase(build: Build) -> Summary:
    """Say each question in other words."""
    config = build.recipe.rephrase
    edits = build.rows_of("mine")
    seen = seen_elsewhere(build, edits)
    stage = Rephrasing(config, build.recipe.seed, build.work, build.recipe.base, seen)
    settings = {
        "rephrase": deciding(config),
        "prompts": [prompt_id(name) for name in (config.prompt, *rephrasing.OTHER_PROMPTS)],
        "seed": build.recipe.seed,
        "base": _asked(build.recipe.base) if config.answers_alike else None,
    }
    outcomes = build.run("rephrase", stage, edits, EditRow, settings, config.shard_rows, seen)
    return finish(build.work, "rephrase", outcomes.tally, kept(outcomes))


def imagine(build: Build) -> Summary:
    """Render each image anew."""
    recipe, config = build.recipe, build.recipe.imagine
    edits = build.rows_of("rephrase")
    known = known_answers(build)
    stage = Imagining(config, recipe.seed, build.work, recipe.base, known)
    asked = {edit.id: known.get(edit.image_id) for edit in edits} if config.quiz else {}
    settings = {"imagine": deciding(config), "base": _asked(recipe.base), "seed": recipe.seed}
    if config.quiz and config.quiz.second:
        settings["second"] = _asked(config.quiz.second)
    outcomes = build.run("imagine", stage, edits, EditRow, settings, config.shard_rows, asked)
    _check_images(build.work, kept(outcomes))
    return finish(build.work, "imagine", outcomes.tally, kept(outcomes))


def attach(build: Build) -> Summary:
    """Give each edit locality items."""
    recipe, config = build.recipe, build.recipe.attach
    painted = build.rows_of("imagine")
    edits, surplus = cut(painted, sizes_of(recipe), recipe.seed)
    settings = {"attach": deciding(config, DEALING), "base": _asked(recipe.base)}
    items = probe_pools(build, edits, pool_items(build), settings)
    mined = rows_of(build.work, "mine", KNOWN)
    known = [row for row in mined if row.scores.get("agreement", 1.0) >= config.least_agreement]
    assigned = assign(edits, items, known, config, recipe.seed)
    left_out = [*surplus, *(one for one in assigned if isinstance(one, Rejected))]
    served = add_blind(build, list(kept(assigned)), known, settings)
    # Those that the items were dealt by, of edits that got none, too.
    finished = add_near(build, served, Borders(edits, items, recipe.seed), known)
    return finish(build.work, "attach", Tally().add(painted), finished, left_out, choice(build, "attach"))


def extend(build: Build) -> Summary:
    """Give edits questions whose answers follow from them; edits without any go on as they are."""
    recipe, config = build.recipe, build.recipe.extend
    assert config is not None, "the command refuses the stage where the recipe lacks it"
    check_chosen(build)
    # All of them, however few are asked about: edits without such questions go on as they are.
    edits = rows_of(build.work, "attach")
    stage = Extending(config, recipe.base, build.work)
    settings = {
        # Who gets them decides about no outcome.
        "extend": deciding(config, frozenset({"splits"})),
        "prompt": prompt_id(config.prompt),
        "base": _asked(recipe.base),
    }
    rows = to_extend(config, edits)[: build.limit]
    outcomes = build.run("extend", stage, rows, EditRow, settings, config.shard_rows)
    extended = {edit.id: edit for edit in kept(outcomes)}
    return finish(build.work, "extend", outcomes.tally, [extended.get(edit.id, edit) for edit in edits])


def publish(build: Build) -> Release:
    """Audit the edits, write the dataset, and send it to the Hub if the recipe names a repository."""
    work, config = build.work, build.recipe.publish
    check_chosen(build)
    heeded = heed(build.finished(), work, config.review)
    edits = heeded.edits
    target = from_edits(str(work.folder), edits, work)
    report = write_audit(target, work.folder / "audit.json", work.folder / "audit.html")
    if wrong := faults(report):
        raise UserError(
            f"The build in {work.folder} has {len(wrong)} faults that it must not have, such as {wrong[0]}; "
            f"see {work.folder / 'audit.html'}."
        )
    stages = [*summaries(work), *([summarize("review", heeded.tally)] if heeded.figures else [])]
    counts = {one.stage: _counts(one) for one in stages}
    folder = publishing.build_dataset(
        edits, work, _as_mined(build), counts, _measured(report), heeded.figures
    )
    picture = work.folder / "rows.png"
    write_picture(picture, edits, work)
    sent = None
    if config.repository is not None:
        sent = publishing.publish(folder, config.repository, private=config.private, tag=config.tag)
    written = sum(group.rows for group in report.groups)
    return Release(folder, picture, written, sent, heeded.tally.rejected.total())


@dataclass(frozen=True, slots=True)
class Release:
    """A dataset that was written, and where it was sent if it was."""

    folder: Path
    picture: Path
    edits: int
    sent: publishing.Published | None
    refused: int = 0
    """Edits that people refused."""

    def sentence(self) -> str:
        """What was done, for people."""
        refused = f" ({self.refused} that people refused are left out)" if self.refused else ""
        folder, picture = shown(self.folder), shown(self.picture)
        text = f"publish: {self.edits} edits{refused} in {folder}, some of them drawn in {picture}"
        if self.sent is None:
            return f"{text}; the recipe names no repository to send them to."
        if not self.sent.changed:
            return f"{text}; {self.sent.url} has the same content already."
        return f"{text}; sent to {self.sent.url}"


STEPS: dict[str, Callable[[Build], Summary | Release]] = {
    "mine": mine,
    "rephrase": rephrase,
    "imagine": imagine,
    "attach": attach,
    "extend": extend,
    "publish": publish,
}


def pool_items(build: Build) -> list[LocalityItem]:
    """All that can become a far locality item."""
    config = build.recipe.attach
    return [*read_facts(config.text, build.work), *read_image_pool(config.image, build.work)]


def _draw(build: Build) -> None:
    wanted = build.recipe.draw
    if wanted is None:
        return
    made_from = wanted.model_dump()
    if not is_drawn(build.work.sources, **made_from):
        with build.progress("drawing", None):
            write_sources(build.work.sources, **made_from)


def _check_images(work: Work, edits: Iterable[EditRow]) -> None:
    """Painted images are named by their digests, so a file that is not what it was can be told."""
    for edit in edits:
        path = work.path(edit.imagined.image) if edit.imagined else None
        if path and not (path.is_file() and sha256(path.read_bytes()).hexdigest() == path.stem):
            raise UserError(
                f"The painted image {path} is missing or damaged; delete {work.stage('imagine')} "
                "and give the same command again."
            )


def _known(outcomes: Iterable[Outcome[EditRow]]) -> Iterator[EditRow]:
    """Questions that the model answers as most annotators do."""
    rejected = (one for one in outcomes if isinstance(one, Rejected) and one.reason == RIGHT)
    rows = (one.row for one in rejected if one.row is not None and one.row.task == "vqa")
    return (row for row in rows if normalize(row.prediction) == normalize(row.target))


def _asked(model: VisionModel) -> dict[str, Any]:
    """What decides about the answers of a model: the model, and how a served one is asked."""
    return {
        "model": deciding(_precise(model)),
        "prompt": prompt_id("ask") if isinstance(model, Endpoint) else None,
    }


def _precise(model: VisionModel) -> VisionModel:
    """The model with the precision that `auto` comes to on this machine, as answers depend on it."""
    if not isinstance(model, LocalMLLM) or model.dtype != "auto":
        return model
    # Imported here, as it takes the libraries of models.
    from mmedit_build.mllm.loading import find_dtype, main_device

    dtype = str(find_dtype(model.dtype, main_device(model.device))).removeprefix("torch.")
    return model.model_copy(update={"dtype": dtype})


def _as_mined(build: Build) -> Recipe:
    """The recipe with the base model's precision as it was when mining, perhaps on another machine."""
    recipe = build.recipe
    if not isinstance(recipe.base, LocalMLLM):
        return recipe
    dtype = read_settings(build.work.stage("mine"))["base"]["model"]["dtype"]
    return recipe.model_copy(update={"base": recipe.base.model_copy(update={"dtype": dtype})})


def seen_elsewhere(build: Build, edits: Sequence[EditRow]) -> dict[str, list[tuple[str, str]]]:
    """By edit, where else the base model answers its question right."""
    config = build.recipe.rephrase.answers_alike
    if config is None:
        return {}
    return sights(edits, rows_of(build.work, "mine", KNOWN), config, build.recipe.seed)


def known_answers(build: Build) -> dict[str, list[tuple[str, str]]]:
    """By image, what the base model answers right about it."""
    known: dict[str, list[tuple[str, str]]] = {}
    for row in rows_of(build.work, "mine", KNOWN):
        known.setdefault(row.image_id, []).append((row.question, row.prediction))
    return known


def _counts(summary: Summary) -> publishing.StageCounts:
    failed = sum(summary.failed.values())
    return {"in": summary.entered, "out": summary.kept, "rejected": summary.rejected, "failed": failed}


def _measured(report: Report) -> dict[str, int]:
    """By measure, what was found in all splits and tasks."""
    found: Counter[str] = Counter()
    of: Counter[str] = Counter()
    for group in report.groups:
        for finding in group.findings:
            found[finding.title] += finding.count
            of[finding.title] += finding.of
    return {f"{title} (of {of[title]:,})": number for title, number in found.items() if of[title]}
