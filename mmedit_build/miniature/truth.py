"""How much of a build is true, by the scenes behind its drawings.

The stages never see a scene: their checks are what a user has for photos. Here the world's own grammar and
scenes judge what they passed, and a critic that no stage knows what paintings show.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from PIL import Image

from mmedit_build.api import run_stages
from mmedit_build.build import Build, rows_of, stages_of
from mmedit_build.checkpoints import WEIGHTS
from mmedit_build.miniature.annotators import SYNONYMS
from mmedit_build.miniature.captions import falsehood, lacks
from mmedit_build.miniature.critic import NAME as CRITIC
from mmedit_build.miniature.critic import load_critic
from mmedit_build.miniature.facts import facts
from mmedit_build.miniature.grammar import Meaning, parse, same
from mmedit_build.miniature.hops import is_right
from mmedit_build.miniature.knowledge import askable_knowledge
from mmedit_build.miniature.measure.base import Measure, share
from mmedit_build.miniature.questions import answer
from mmedit_build.miniature.sources import Sources
from mmedit_build.miniature.world import Scene
from mmedit_build.recipe import Draw, MineStage, Recipe, Sizes
from mmedit_build.rows import SPLITS, EditRow, LocalityItem, Painting
from mmedit_build.scoring.vqa import normalize
from mmedit_build.work import Work

Scenes = Mapping[str, Scene]
"""By the ids of images."""
SAME_ANSWER = "paintings on which the edit's question has the same answer"
STILL_TRUE = "paintings of which the target caption is true"
BOTH = "paintings that hold one or the other"
RIGHT_HOPS = "portability probes that are right"
_IN_THE_PICTURE = re.compile(r" in (?:the|this) (?:picture|image|drawing)\?$")
QUIZZED = ("quiz", "target_seen")
"""Scores of a painting that was asked about."""


def drawn_anew(recipe: Recipe, seed: str, train_images: int, val_images: int) -> Recipe:
    """A recipe of the miniature on other drawings, with as many more edits as there are more drawings; all
    edits are taken further, as those of tests are few."""
    draw = Draw(seed=seed, train_images=train_images, val_images=val_images)
    assert recipe.draw is not None
    times = max(1.0, val_images / recipe.draw.val_images)
    extend = recipe.extend and recipe.extend.model_copy(update={"splits": SPLITS})
    return recipe.model_copy(
        update={"seed": seed, "draw": draw, "mine": _larger(recipe.mine, times), "extend": extend}
    )


def _larger(stage: MineStage, times: float) -> MineStage:
    """The same with so many times the edits."""
    larger = {}
    for task in ("vqa", "caption"):
        if (of_task := getattr(stage, task)) is not None:
            train, test = (round(size * times) for size in (of_task.sizes.train, of_task.sizes.test))
            larger[task] = of_task.model_copy(update={"sizes": Sizes(train=train, test=test)})
    return stage.model_copy(update=larger)


def build_all(build: Build) -> None:
    """Run all stages that make rows; what is finished stays."""
    for _ in run_stages(build, stages_of(build.recipe)):
        """Only the last one matters."""


def measure_truth(build: Build) -> list[Measure]:
    """All measures of a finished build."""
    work = build.work
    scenes = scenes_of(work)
    mined, rephrased, painted = (rows_of(work, stage) for stage in ("mine", "rephrase", "imagine"))
    finished = list(build.finished())
    return [
        *_of_mining(mined, scenes),
        *_of_rephrases(mined, rephrased),
        *_of_paintings(rephrased, painted, scenes, work),
        *_of_items(finished, scenes),
        *_of_hops(finished),
    ]


def scenes_of(work: Work) -> Scenes:
    """The scenes behind all drawings of a build."""
    sources = Sources(work.sources, 0, 0, 0, 0, 0)
    return {str(one.image_id): one.scene for of in sources.pictures().values() for one in of}


def _of_mining(mined: Sequence[EditRow], scenes: Scenes) -> Iterator[Measure]:
    questions, captions = _by_task(mined)
    truths = [_answer(row.question, scenes[row.image_id]) for row in questions]
    pairs = list(zip(questions, truths, strict=True))
    yield share("mine", "questions whose target is true", (row.target == true for row, true in pairs), 1.0)
    false = (not _says(row.prediction, true) for row, true in pairs)
    yield share("mine", "questions whose prediction is false", false, 1.0)
    wrong = (_is_wrong(row, scenes[row.image_id]) for row in captions)
    yield share("mine", "captions that say what is false or lack what most references say", wrong, 0.95)


def _is_wrong(row: EditRow, scene: Scene) -> bool:
    return falsehood(row.prediction, scene) is not None or bool(lacks(row.prediction, row.answers))


def _of_rephrases(mined: Sequence[EditRow], rephrased: Sequence[EditRow]) -> Iterator[Measure]:
    (asked, _), (kept, _) = _by_task(mined), _by_task(rephrased)
    true = (
        row.rephrase is not None and same(_meaning(row.rephrase.text), parse(row.question)) for row in kept
    )
    yield share("rephrase", "rephrases that ask for the same", true, 0.995)
    yield _yield("rephrase", "questions that get a rephrase", asked, kept, 0.95)


def _meaning(text: str) -> Meaning | None:
    """What a question in any words means; all that it can ask about is in the picture, whether it says so or
    not."""
    return parse(text) or parse(_IN_THE_PICTURE.sub("?", text))


def _of_paintings(
    rephrased: Sequence[EditRow], painted: Sequence[EditRow], scenes: Scenes, work: Work
) -> Iterator[Measure]:
    shown = [row.imagined for row in painted if row.imagined is not None]
    critic = load_critic(WEIGHTS / CRITIC)
    seen = critic.scenes([painting_of(row, work) for row in painted])
    holds = [(row, is_still_true(row, scene, scenes)) for row, scene in zip(painted, seen, strict=True)]
    for task, name in (("vqa", SAME_ANSWER), ("caption", STILL_TRUE)):
        yield share("imagine", name, (ok for row, ok in holds if row.task == task), 0.97)
    yield share("imagine", BOTH, (ok for _, ok in holds), 0.97)
    seen = critic.scenes([_open(work, row.image) for row in painted])
    real = (is_still_true(*pair, scenes) for pair in zip(painted, seen, strict=True))
    yield share("imagine", "the same of the originals (ceiling)", real)
    chosen = [_chosen(one.candidates, one.digest) for one in shown]
    quizzed = (not set(QUIZZED).isdisjoint(one.scores) for one in chosen)
    yield share("imagine", "paintings that were quizzed", quizzed, 0.97)
    yield _yield("imagine", "edits that get a painting", rephrased, painted, 0.9)


def is_still_true(row: EditRow, seen: Scene, scenes: Scenes) -> bool:
    """Whether what an edit says of its image is true of a scene as well."""
    if row.task == "caption":
        return falsehood(row.target, seen) is None
    truth = _answer(row.question, scenes[row.image_id])
    return truth is not None and _answer(row.question, seen) == truth


def _open(work: Work, path: str) -> Image.Image:
    with Image.open(work.path(path)) as image:
        return image.convert("RGB")


def painting_of(row: EditRow, work: Work) -> Image.Image:
    """The painting that was taken."""
    assert row.imagined is not None
    return _open(work, row.imagined.image)


def _chosen(candidates: Sequence[Painting], digest: str) -> Painting:
    return next(one for one in candidates if one.digest == digest and one.reason is None)


def _of_items(finished: Sequence[EditRow], scenes: Scenes) -> Iterator[Measure]:
    """Questions without their image have no true answer, and are left out."""
    served = [row.locality for row in finished if row.locality is not None]
    items = {
        (item.id, item.relation): item
        for of in served
        for item in (*of.text, *of.image, *of.gain)
        if item.relation != "no_image"
    }
    true = (_is_true(item, scenes) for item in items.values())
    yield share("attach", "locality items whose answer is true", true, 0.99)


def _is_true(item: LocalityItem, scenes: Scenes) -> bool:
    if item.image_id is None:
        return any(item.question in fact.questions and _says(item.answer, fact.answer) for fact in facts())
    scene = scenes[item.image_id]
    if parse(item.question) is not None:
        return _says(item.answer, _answer(item.question, scene))
    known = (one for one in askable_knowledge(scene) if one.question == item.question)
    return any(_says(item.answer, right) for one in known for right in (one.answer, *one.alternatives))


def _of_hops(finished: Sequence[EditRow]) -> Iterator[Measure]:
    probes = [(row, hop) for row in finished if row.portability for hop in row.portability.hops]
    if probes:
        right = (is_right(row.question, row.target, hop) for row, hop in probes)
        yield share("extend", RIGHT_HOPS, right, 0.98)


def _by_task(rows: Iterable[EditRow]) -> tuple[list[EditRow], list[EditRow]]:
    questions, captions = ([row for row in rows if row.task == task] for task in ("vqa", "caption"))
    return questions, captions


def _yield(
    stage: str, name: str, before: Sequence[EditRow], after: Sequence[EditRow], least: float
) -> Measure:
    kept = {row.id for row in after}
    return share(stage, name, (row.id in kept for row in before), least)


def _answer(question: str, scene: Scene) -> str | None:
    """The right answer; None where a scene has none, as a painting may."""
    meaning = parse(question)
    try:
        return None if meaning is None else answer(meaning, scene)
    # What the question points to is not there, or there twice.
    except (ValueError, StopIteration):
        return None


def _says(said: str, truth: str | None) -> bool:
    """Whether an answer is the right one, in whatever words."""
    if truth is None:
        return False
    return normalize(said) in {normalize(word) for word in (truth, *SYNONYMS.get(truth, ()))}
