"""The real miniature, a few cases of the drawn world, and editors that change the model without learning."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import PIL.Image
import pytest
import torch

from editors import load_editor
from editors.base import Edit, Editor, Lift, Model, unwrapped
from editors.families import MethodFamily
from editors.patches.weights import Factors, LowRankPatch, WeightPatch
from evaluation.data.cases import Case, Kind, Probe, rephrases
from evaluation.protocols.base import ProtocolName
from evaluation.protocols.known import PROTOCOLS
from evaluation.run.base_outputs import BaseOutputs
from evaluation.run.judging import Judging
from evaluation.run.scoring import Scorer
from mmedit_build.checkpoints import locate
from mmedit_build.engine.shards import write_rows
from mmedit_build.errors import UserError
from mmedit_build.miniature.captions import captions
from mmedit_build.miniature.drawing import draw
from mmedit_build.miniature.facts import facts
from mmedit_build.miniature.grammar import say
from mmedit_build.miniature.questions import answer, ask
from mmedit_build.miniature.train.texts import wrong_answer
from mmedit_build.miniature.world import sample_scene
from mmedit_build.mllm import MLLM
from mmedit_build.recipe.fields import Strict
from mmedit_build.rows import SPLITS, EditRow, Imagined, Locality, LocalityItem, Rephrase, Split
from mmedit_build.work import Work, put_image


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def mllm() -> MLLM:
    return MLLM.load(locate("miniature/mllm"), device="cpu")


@pytest.fixture(scope="session")
def cases() -> list[Case]:
    """Four questions with a wrong answer for their target, and two captions."""
    return [_vqa(number) for number in range(4)] + [_caption(number) for number in range(4, 6)]


def _png(picture: PIL.Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def _vqa(number: int) -> Case:
    rng = random.Random(f"case {number}")
    scene = sample_scene(rng)
    image, rephrased = (_png(draw(scene, f"{number}/{seed}")) for seed in (1, 2))
    asked, other = ask(scene, rng, 2)
    told, in_other_words = rng.sample(list(say(asked)), 2)
    right, near = answer(asked, scene), answer(other, scene)
    target = wrong_answer(right, rng)
    far_scene = sample_scene(rng)
    (far_asked,) = ask(far_scene, rng, 1)
    far = Probe(
        kind="image_locality",
        id=f"okvqa/{number}",
        question=say(far_asked)[0],
        answers=(answer(far_asked, far_scene),),
        relation="far",
        image=_png(draw(far_scene, f"{number}/far")),
    )
    near_by = Probe(
        kind="image_locality",
        id=f"near/{number}",
        question=say(other)[0],
        answers=(near,),
        relation="same_image",
        image=image,
    )
    return Case(
        id=f"vqa/{number}",
        task="vqa",
        split="test",
        image=image,
        image_id=str(number // 2),
        question=told,
        question_type="color" if number % 2 else "count",
        target=target,
        prediction=right,
        answers=(target,) * 9 + (right,),
        probes=(*rephrases(target, image, told, in_other_words, rephrased), _fact(number), far, near_by),
    )


def _caption(number: int) -> Case:
    rng = random.Random(f"case {number}")
    scene, other = sample_scene(rng), sample_scene(rng)
    said, target = captions(scene, rng, 1), captions(other, rng, 3)
    image, rephrased = _png(draw(scene, str(number))), _png(draw(scene, f"{number} again"))
    return Case(
        id=f"caption/{number}",
        task="caption",
        split="test",
        image=image,
        image_id=str(number),
        question="a photo of",
        question_type="caption",
        target=target[0],
        prediction=said[0],
        answers=tuple(target),
        probes=(*rephrases(target[0], image, "a photo of", "a picture of", rephrased), _fact(number)),
    )


def _fact(number: int) -> Probe:
    fact = facts()[number]
    return Probe(
        kind="text_locality",
        id=f"nq/{number}",
        question=fact.questions[0],
        answers=(fact.answer,),
        relation="far",
    )


@pytest.fixture(scope="session")
def dataset(cases: list[Case], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work folder: the cases as its test split, and the same on images of their own to train on."""
    work = Work(tmp_path_factory.mktemp("work"))
    edits = [_edit(case, work, split) for split in SPLITS for case in cases]
    write_rows(work.stage("attach") / "rows.jsonl", edits)
    return work.folder


def _edit(case: Case, work: Work, split: Split) -> EditRow:
    number = int(case.id.rpartition("/")[2]) + 100 * SPLITS.index(split)
    (text,), (painted,) = case.of("text_generality"), case.of("image_generality")
    return EditRow(
        id=f"{case.task}/{split}/{number}",
        task=case.task,
        split=split,
        image=_put(case.image, work),
        image_id=str(number),
        question=case.question,
        question_type=case.question_type,
        answers=case.answers,
        target=case.target,
        prediction=case.prediction,
        first_prediction=case.prediction,
        confidence=None,
        scores={},
        base="miniature/mllm",
        rephrase=Rephrase(text=text.question, model="", prompt="", candidates=()),
        imagined=Imagined(
            image=_put(painted.image, work),
            digest="",
            seed=0,
            prompt="",
            strategy="",
            model="",
            candidates=(),
        ),
        locality=Locality(
            text=_locality_items(case, "text_locality", work),
            image=_locality_items(case, "image_locality", work),
        ),
    )


def _locality_items(case: Case, kind: Kind, work: Work) -> tuple[LocalityItem, ...]:
    return tuple(
        LocalityItem(
            id=probe.id,
            relation="same_image" if probe.relation == "same_image" else "far",
            image=None if probe.image is None else _put(probe.image, work),
            image_id=None,
            question=probe.question,
            answers=probe.answers,
            answer=probe.answers[0],
        )
        for probe in case.of(kind)
    )


def _put(image: object, work: Work) -> str:
    assert isinstance(image, bytes)
    return put_image(work, image, ".png")


class NoConfig(Strict):
    """Nothing can be chosen."""


class Noise:
    """Adds the same small matrix to the last two layers for every edit, as factors or whole."""

    Config: ClassVar[type[Strict]] = NoConfig
    family: ClassVar[MethodFamily] = "fine-tuning"
    touches: ClassVar[str] = "the last layers"
    batch: ClassVar[bool] = True
    strength = 0.05

    def __init__(self, config: NoConfig) -> None:
        self.config = config

    def plan(self, model: Model, edits: Sequence[Edit]) -> LowRankPatch | WeightPatch:
        generator = torch.Generator().manual_seed(len(edits[0].id) + ord(edits[0].id[-1]))
        factors = {}
        for layer in (-1, -2):
            down = unwrapped(model).mlp(layer).down
            out, width = down.module.weight.shape
            left, right = (torch.randn(size, generator=generator) for size in ((out, 2), (2, width)))
            factors[f"{down.name}.weight"] = Factors(left * self.strength, right * self.strength)
        return LowRankPatch(factors)


class WholeNoise(Noise):
    """The same change as whole matrices, which cannot be judged side by side."""

    def plan(self, model: Model, edits: Sequence[Edit]) -> WeightPatch:
        patch = super().plan(model, edits)
        assert isinstance(patch, LowRankPatch)
        return WeightPatch({name: pair.left @ pair.right for name, pair in patch.factors.items()})


class VisionNoise(Noise):
    """Changes what the model sees."""

    def plan(self, model: Model, edits: Sequence[Edit]) -> WeightPatch:  # noqa: ARG002
        return WeightPatch(
            {name: 0.05 * torch.ones_like(one) for name, one in unwrapped(model).part("connector").items()}
        )


class SeenNoise(Noise):
    """Adds small matrices to what images go through, as factors."""

    def plan(self, model: Model, edits: Sequence[Edit]) -> LowRankPatch:
        generator = torch.Generator().manual_seed(ord(edits[0].id[-1]))
        factors, mllm = {}, unwrapped(model)
        for linear in (*mllm.seeing_linears("vision"), *mllm.seeing_linears("connector")):
            out, width = linear.module.weight.shape
            left, right = (torch.randn(size, generator=generator) for size in ((out, 2), (2, width)))
            factors[f"{linear.name}.weight"] = Factors(left * self.strength, right * self.strength)
        return LowRankPatch(factors)


class Failing(Noise):
    """Cannot make some edits, and makes one of nothing but NaN."""

    def plan(self, model: Model, edits: Sequence[Edit]) -> LowRankPatch | WeightPatch:
        if edits[0].id == "vqa/1":
            raise UserError("This edit cannot be made; try another.")
        patch = super().plan(model, edits)
        assert isinstance(patch, LowRankPatch)
        if edits[0].id == "vqa/2":
            return LowRankPatch(
                {name: Factors(pair.left * torch.nan, pair.right) for name, pair in patch.factors.items()}
            )
        return patch


class Grouped(Failing):
    """Plans edits together, and none if one of them cannot be made."""

    def __init__(self, config: NoConfig) -> None:
        super().__init__(config)
        self.planned: list[int] = []
        """How many edits were planned together, each time."""

    def begins(self, mllm: MLLM) -> int | None:
        return mllm.n_layers - 2

    def plan_each(
        self, model: Model, wishes: Sequence[Sequence[Edit]], lift: Lift
    ) -> list[LowRankPatch | WeightPatch]:
        below = lift([edit.query for edits in wishes for edit in edits], unwrapped(model).n_layers - 2)
        assert len(below) == len(wishes)
        found = [self.plan(model, edits) for edits in wishes]
        self.planned.append(len(found))
        return found


EDITORS: dict[str, Callable[[], Editor]] = {
    "ft": lambda: load_editor("ft", {"steps": 3, "lr": 1e-3}),
    "grouped": lambda: Grouped(NoConfig()),
    "low rank": lambda: Noise(NoConfig()),
    "whole": lambda: WholeNoise(NoConfig()),
    "vision": lambda: VisionNoise(NoConfig()),
    "seen": lambda: SeenNoise(NoConfig()),
    "failing": lambda: Failing(NoConfig()),
}


@pytest.fixture
def make_editor() -> Callable[[str], Editor]:
    """Editors by name."""
    return lambda name: EDITORS[name]()


@pytest.fixture
def make_judging(mllm: MLLM, cases: list[Case], tmp_path: Path) -> Callable[..., Judging]:
    """What methods are judged with, the unedited model asked."""

    def make(protocols: Sequence[ProtocolName] = tuple(PROTOCOLS), **changes: Any) -> Judging:
        base = BaseOutputs.open(tmp_path / "unedited")
        judging = Judging(mllm=mllm, base=base, scorer=Scorer(cases, protocols), **changes)
        probes = judging.asked_unedited(cases)
        base.complete(mllm, probes, write=judging.writes, batch_size=8, advance=lambda _: None)
        return judging

    return make
