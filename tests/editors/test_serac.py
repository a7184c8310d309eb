"""SERAC: its losses are the published ones, and it learns."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch
from torch import Tensor

from editors.base import Edit, TrainEdit
from editors.losses import locality_kl, target_nll
from editors.memory.config import SERACConfig, SERACImageConfig
from editors.memory.counterfactual import Counterfactual
from editors.memory.patch import MemoryPatch
from editors.memory.scope import in_scope, similarity
from editors.memory.teaching import Learned, ScopedEdit, Teaching
from editors.serac import SERAC, SERACImage
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query
from tests.editors.conftest import CAT, TREE, Points, by_hand


@pytest.fixture
def train(pictures: list[PIL.Image.Image]) -> list[TrainEdit]:
    """Two questions, two edits each."""

    def one(number: int, prompt: str, other: str, target: str) -> TrainEdit:
        image = pictures[number % 3]
        return TrainEdit(
            Edit(str(number), image, prompt, target),
            Query(image, other, target),
            Query(pictures[(number + 1) % 3], prompt, target),
            (Query(None, "who wrote?", "book"),),
            (Query(pictures[2], "color?", "red"), Query(pictures[(number + 2) % 3], prompt, "boat")),
        )

    return [one(0, CAT, "cat?", "red"), one(1, TREE, "tree?", "two"), one(2, CAT, "a cat?", "small")]


def teaching(mllm: MLLM, train: Sequence[TrainEdit], **options: Any) -> Teaching:
    editor = SERAC(SERACConfig(**options))
    torch.manual_seed(0)
    scope = Points.load("base", mllm, images=editor.config.images)
    scope.points = {
        CAT: 0.0,
        "cat?": 0.5,
        "a cat?": 0.7,
        TREE: 2.0,
        "tree?": 2.4,
        "who wrote?": 5.0,
        "color?": 1.0,
    }
    learned = Learned(scope, Counterfactual.load("base", mllm, 2))
    scoped = [editor._scoped(mllm, one) for one in train]
    return Teaching(editor.config, mllm, learned, scoped, scoped)


def scoped_of(teaching: Teaching) -> list[ScopedEdit]:
    return list(teaching._scoped)


def sides(pair: tuple[Tensor, Tensor]) -> list[list[float]]:
    return [sorted(round(float(one), 4) for one in side) for side in pair]


def test_pairs_that_belong_together_and_pairs_that_do_not(mllm: MLLM, train: list[TrainEdit]) -> None:
    near = sorted([0.25, 0.0, 0.16, 0.0, 0.49, 0.0])
    text = [25.0, 9.0, 25.0]
    # Prompts of the image locality that are the edit's own cannot be told apart by words.
    image = [1.0, 1.0, 1.0]
    assert sides(_distances(mllm, train, negatives=("text",))) == [near, sorted(text)]
    assert sides(_distances(mllm, train, negatives=("image",))) == [near, sorted(image)]
    # Each edit about the cat against the one about the tree and back; both of the cat have the same scope.
    others = [2.25, 4.0, 1.69, 4.0, 5.76, 4.0, 5.76, 4.0]
    assert sides(_distances(mllm, train, negatives=("others",))) == [near, sorted(others)]


def _distances(mllm: MLLM, train: list[TrainEdit], **options: Any) -> tuple[Tensor, Tensor]:
    found = teaching(mllm, train, **options)
    return found.distances(scoped_of(found))


def test_with_images_the_same_question_elsewhere_is_out_of_scope(mllm: MLLM, train: list[TrainEdit]) -> None:
    _, text = _distances(mllm, train, negatives=("image",))
    _, both = _distances(mllm, train, negatives=("image",), images=True)
    assert len(both) == len(text) + 3
    both.sum().backward()


def test_the_supervised_loss_is_the_published_one(mllm: MLLM, train: list[TrainEdit]) -> None:
    found = teaching(mllm, train, negatives=("text", "others"), exchange=0.0, edit_weight=0.1)
    near, far = found.distances(scoped_of(found))
    scores = similarity(near.detach()), similarity(far.detach())
    scope = -scores[0].log().mean() - (1 - scores[1]).log().mean()
    nll = []
    for one in train:
        for query in (one.text_rephrase, one.image_rephrase):
            assert query is not None
            text = f"{one.edit.prompt} {one.edit.target} {query.prompt}"
            whole, _ = by_hand(mllm, found._learned.counterfactual, text, query)
            ids = mllm.tokenizer(f" {query.target}", add_special_tokens=False)["input_ids"]
            # The end of the answer is learned too.
            predicted = whole[-len(ids) - 1 :].log_softmax(dim=-1)
            nll.append(-predicted.gather(1, torch.tensor([*ids, mllm.stop_ids[0]])[:, None]).mean())
    loss = found.loss(range(3), random.Random(0))
    torch.testing.assert_close(loss, 0.1 * torch.stack(nll).mean() + scope, rtol=1e-4, atol=1e-5)
    loss.backward()
    projection = found._learned.counterfactual.projection.weight
    assert projection.grad is not None
    assert projection.grad.abs().sum() > 0


def test_the_mixture_loss_is_the_published_one(mllm: MLLM, train: list[TrainEdit]) -> None:
    found = teaching(mllm, train, objective="mixture", negatives=("text",))
    (edit,) = scoped_of(found)[:1]
    patch = MemoryPatch((edit.memory,), found._learned.scope, found._learned.counterfactual, mixing="soft")
    kept = list(train[0].text_locality)
    # Nearer, so that some of it is mixed in.
    assert isinstance(found._learned.scope, Points)
    found._learned.scope.points = {**found._learned.scope.points, "who wrote?": 1.5}
    ended = [replace(query, target=f"{query.target}\n") for query in edit.inside]
    with patch.applied(mllm) as model:
        nll = target_nll(model.score(ended)).sum()
        kl = locality_kl(mllm.score(kept, positions="all"), model.score(kept, positions="all"))
    loss = found.loss([0], random.Random(0))
    torch.testing.assert_close(loss.detach(), 0.1 * nll + kl, rtol=1e-4, atol=1e-5)
    assert float(kl) > 1e-3
    loss.backward()


def test_wrong_decisions_count_in_validation(mllm: MLLM, train: list[TrainEdit]) -> None:
    found = teaching(mllm, train, negatives=("image",))
    assert isinstance(found._learned.scope, Points)
    # One of six queries too far from its edit, two of three that do not belong to one too near.
    found._learned.scope.points = {**found._learned.scope.points, "cat?": 0.9, "color?": 0.5}
    with torch.no_grad():
        nll = float(found._nll(scoped_of(found)))
        assert found.validate() == pytest.approx(nll + 1 / 6 + 2 / 3, rel=1e-5)


def test_an_exchanged_target_is_told_and_asked_for(mllm: MLLM, train: list[TrainEdit]) -> None:
    found = teaching(mllm, train, exchange=1.0)
    rng = random.Random(0)
    drawn = [found._exchanged(edit, rng) for edit in scoped_of(found) * 5]
    assert {one.memory.target for one in drawn} == {"red", "two", "small"}
    assert all({query.target for query in one.inside} == {one.memory.target} for one in drawn)
    assert [one.memory.prompt for one in drawn[:3]] == [CAT, TREE, CAT]
    told = [one.memory.target for one in drawn]
    assert told != [one.edit.target for one in train] * 5


def test_the_rate_falls_to_nothing(
    mllm: MLLM, train: list[TrainEdit], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []
    step = torch.optim.Adam.step

    def seen(optimizer: torch.optim.Adam, *args: Any) -> Any:
        rates.append(optimizer.param_groups[0]["lr"])
        return step(optimizer, *args)

    monkeypatch.setattr(torch.optim.Adam, "step", seen)
    editor = SERAC(SERACConfig(steps=4, lr=1e-3, layers=1, batch_size=2))
    editor.fit(mllm, train[:2], train[2:], work=tmp_path, advance=lambda _: None)
    assert rates == pytest.approx([1e-3, 7.5e-4, 5e-4, 2.5e-4])


def test_an_interrupted_fit_goes_on_as_if_it_had_not_been(
    mllm: MLLM, train: list[TrainEdit], tmp_path: Path
) -> None:
    options: dict[str, Any] = {"steps": 4, "validate_every": 2, "layers": 1, "batch_size": 2}

    def fit(work: str, last: int) -> SERACImage:
        editor, done = SERACImage(SERACImageConfig(**options)), 0

        def advance(steps: int) -> None:
            nonlocal done
            done += steps
            if done == last:
                raise KeyboardInterrupt

        editor.fit(mllm, train[:2], train[2:], work=tmp_path / work, advance=advance)
        return editor

    with pytest.raises(KeyboardInterrupt):
        fit("killed", 3)
    resumed, whole = fit("killed", 99).fitted(), fit("whole", 99).fitted()
    assert resumed.tensors.keys() == whole.tensors.keys()
    assert all(torch.equal(one, whole.tensors[name]) for name, one in resumed.tensors.items())
    assert resumed.fields == whole.fields


def test_mistakes(mllm: MLLM, train: list[TrainEdit], tmp_path: Path) -> None:
    editor = SERAC(SERACConfig())
    with pytest.raises(ValueError, match="fitted"):
        editor.plan(mllm, [train[0].edit])
    with pytest.raises(UserError, match="0 edits to learn from"):
        editor.fit(mllm, [], train, work=tmp_path, advance=lambda _: None)


def test_it_learns_the_drawn_world(miniature: MLLM, world: list[TrainEdit], tmp_path: Path) -> None:
    # So short a training goes farther at the full rate.
    options: dict[str, Any] = {"steps": 45, "lr": 1e-3, "lr_falls": False, "exchange": 0.5, "mixing": "soft"}
    editor = SERACImage(SERACImageConfig(**options))
    editor.fit(miniature, world[:12], world[12:14], work=tmp_path, advance=lambda _: None)
    assert editor.fitted().tensors["counterfactual.projection.weight"].abs().sum() > 0
    right = routed = kept = 0
    for one in world[12:]:
        assert one.text_rephrase is not None
        assert one.image_rephrase is not None
        patch = editor.plan(miniature, [one.edit])
        asked = [one.edit.query, one.text_rephrase, one.image_rephrase]
        routed += int(in_scope(patch.route(miniature, asked)[0]).sum())
        locality = [*one.text_locality, *one.image_locality]
        kept += not in_scope(patch.route(miniature, locality)[0]).any()
        with patch.applied(miniature) as model:
            right += sum(text == one.edit.target for text in model.generate(asked, max_new_tokens=6))
    assert kept == 4
    assert routed >= 10
    assert right >= 9
