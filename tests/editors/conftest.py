"""The tiny BLIP-2 with random weights, the real miniature, and edits for both."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import PIL.Image
import pytest
import torch
from torch import Tensor

from editors.associations.moments import Covariance
from editors.base import Edit, TrainEdit
from editors.checking import snapshot as checking
from editors.memory.counterfactual import Counterfactual
from editors.memory.scope import Scope
from editors.patches.weights import LowRankPatch
from mmedit_build.checkpoints import locate
from mmedit_build.miniature.drawing import draw
from mmedit_build.miniature.facts import facts
from mmedit_build.miniature.grammar import say
from mmedit_build.miniature.questions import answer, ask
from mmedit_build.miniature.train.texts import wrong_answer
from mmedit_build.miniature.world import sample_scene
from mmedit_build.mllm import MLLM, Query
from tests.mmedit_build.mllm.conftest import _one_thread, folder, make_image, mixture, mllm, pictures

OUT, IN = 7, 11
"""The size of a weight that ROME and MEMIT are tried on by itself."""
CAT, TREE, BOAT = "what cat?", "what tree?", "what boat?"

__all__ = ["_one_thread", "folder", "make_image", "mixture", "mllm", "pictures"]


class Points(Scope):
    """A classifier whose vectors are given: texts lie on a line, unknown ones far away."""

    points: Mapping[str, float]

    def _encoded(self, texts: Sequence[str]) -> Tensor:
        return torch.tensor([[self.points.get(text, 1e3)] for text in texts])


def by_hand(mllm: MLLM, model: Counterfactual, text: str, query: Query) -> tuple[Tensor, int]:
    """The counterfactual model's logits at all positions, and how many positions the query itself has."""
    words = mllm.tokenizer
    ids = words(text)["input_ids"] + words(f" {query.target}", add_special_tokens=False)["input_ids"]
    plain = (
        words(query.prompt)["input_ids"] + words(f" {query.target}", add_special_tokens=False)["input_ids"]
    )
    embedded = model.language.get_input_embeddings()(torch.tensor(ids))
    if query.image is not None:
        (seen,) = mllm.image_features([query])
        embedded = torch.cat([model.projection(seen), embedded])
        return model.language(inputs_embeds=embedded[None]).logits[0], len(seen) + len(plain)
    return model.language(inputs_embeds=embedded[None]).logits[0], len(plain)


@pytest.fixture
def edits(pictures: list[PIL.Image.Image]) -> list[Edit]:
    """Three wishes about pictures, for the tiny model."""
    return [
        Edit("one", pictures[0], "Question: what color is the cat? Answer:", "two boats"),
        Edit("two", pictures[1], "a photo of", "a red tree"),
        Edit("three", pictures[2], "Question: how many boats are on the water? Answer:", "red"),
    ]


@pytest.fixture
def probes(edits: list[Edit], mixture: list[Query]) -> list[Query]:
    """What patched models are asked: the edits, and queries of every sort."""
    return [*(edit.query for edit in edits), *mixture]


@pytest.fixture
def train(edits: list[Edit], pictures: list[PIL.Image.Image]) -> list[TrainEdit]:
    """What of them can be learned: with rephrases and without, and some answers that shall stay."""
    facts = (Query(None, "who wrote the book?", "the cat"), Query(None, "a", "small tree"))
    asked = [replace(one.query, prompt=f"{one.prompt} a") for one in edits]
    seen = [replace(one.query, image=pictures[(i + 1) % 3]) for i, one in enumerate(edits)]
    kept = [(Query(pictures[i], "a photo of", "a boat"),) for i in range(3)]
    return [
        TrainEdit(edits[0], asked[0], seen[0], facts, kept[1]),
        TrainEdit(edits[1], asked[1], None, facts[:1], kept[2] + kept[0]),
        TrainEdit(edits[2], None, None, (), kept[0]),
    ]


@pytest.fixture(scope="session")
def miniature() -> MLLM:
    return MLLM.load(locate("miniature/mllm"), device="cpu")


@pytest.fixture(scope="session")
def world(miniature: MLLM) -> list[TrainEdit]:
    """Edits of the drawn world: questions with an answer that is wrong, and all that belongs to them."""
    return [_world_edit(miniature, number) for number in range(16)]


def _world_edit(miniature: MLLM, number: int) -> TrainEdit:
    rng = random.Random(f"edit {number}")
    scene = sample_scene(rng)
    image, other_image = (draw(scene, f"{number}/{seed}") for seed in (1, 2))
    asked, other = ask(scene, rng, 2)
    told, rephrased = (miniature.question_prompt(text) for text in rng.sample(list(say(asked)), 2))
    target = wrong_answer(answer(asked, scene), rng)
    fact = facts()[number]
    kept = Query(image, miniature.question_prompt(say(other)[0]), answer(other, scene))
    return TrainEdit(
        Edit(f"world/{number}", image, told, target),
        text_rephrase=Query(image, rephrased, target),
        image_rephrase=Query(other_image, told, target),
        text_locality=(Query(None, fact.questions[0], fact.answer),),
        image_locality=(kept,),
    )


class Snapshot(checking.Snapshot):
    """A model as it was."""

    def assert_unchanged(self, mllm: MLLM) -> None:
        """The model is bit for bit what it was."""
        assert self.differences(mllm) == []


@pytest.fixture
def snapshot() -> type[Snapshot]:
    return Snapshot


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


@pytest.fixture
def covariance() -> Covariance:
    root = drawn(IN, 3 * IN)
    return Covariance(root @ root.mT / (3 * IN), 0.0, torch.device("cpu"))


def deltas(patch: LowRankPatch) -> dict[str, Tensor]:
    """What a patch adds to each weight."""
    return {name: pair.left @ pair.right for name, pair in patch.factors.items()}
