"""How many rows go together, and that what is learned does not depend on it."""

from __future__ import annotations

import pytest
import torch

from editors import portions as portioning
from editors.associations.lookup import make_contexts
from editors.associations.values import ValueConfig, learn_values
from editors.base import Edit
from editors.ft import FT, FTConfig
from editors.learning.hypernetworks import edited
from editors.mend import MEND, MENDConfig
from editors.neurons.attribution import attributions, path
from editors.portions import kept_bytes, portions
from mmedit_build.mllm import MLLM
from tests.zoo.building import Zoo, zoo

__all__ = ["zoo"]

PREFIXES = ("the cat", "two boats are on the water in front of the house")


def held(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    monkeypatch.setattr(portioning, "ROOM", room)


def test_so_many_rows_go_together_as_there_is_room_for(mllm: MLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    held(monkeypatch, 30 * kept_bytes(mllm, 2))
    # The longest row of a portion decides how long all of them are.
    cut = portions(mllm, [10, 10, 10, 10, 15, 15, 40, 5], layer=2, most=8)
    assert list(cut) == [range(3), range(3, 5), range(5, 6), range(6, 7), range(7, 8)]
    assert list(portions(mllm, [1] * 5, layer=2, most=2)) == [range(2), range(2, 4), range(4, 5)]
    assert list(portions(mllm, [], layer=2, most=2)) == []


def test_less_is_kept_from_a_higher_layer_on_and_more_of_gated_mlps(mllm: MLLM, zoo: Zoo) -> None:
    assert kept_bytes(mllm, 0) == 3 * kept_bytes(mllm, mllm.n_layers * 2 // 3) > 0
    gated = MLLM.load(zoo("llava"), device="cpu")
    assert kept_bytes(gated, gated.n_layers - 1) == (8 * 32 + 3 * 48) * 4


def test_what_is_kept_is_about_what_torch_keeps(zoo: Zoo) -> None:
    """Counted where tensors are put aside for the way back."""
    for name in ("blip-2 opt", "llava", "qwen2_5_vl"):
        mllm = MLLM.load(zoo(name), device="cpu")
        below = mllm.below([Edit("a", None, "what color is the cat?" * 9, "red").query], 1)
        below.hidden[0].requires_grad_(True)
        kept: dict[int, int] = {}

        def put_aside(tensor: torch.Tensor, kept: dict[int, int] = kept) -> torch.Tensor:
            if not tensor.requires_grad and tensor.grad_fn is None:
                return tensor
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(put_aside, lambda one: one):
            logits = mllm.logits(below)[0].logits
        assert logits.requires_grad
        share = sum(kept.values()) / (kept_bytes(mllm, 1) * below.rows[0].length)
        assert 0.4 < share < 1.5, name


@pytest.fixture
def roomless(mllm: MLLM, monkeypatch: pytest.MonkeyPatch) -> MLLM:
    """A model of which no two rows go together."""
    held(monkeypatch, 1)
    return mllm


def values(mllm: MLLM, edits: list[Edit]) -> torch.Tensor:
    contexts = [make_contexts(mllm, one, PREFIXES, lookup="prompt", essence="what is this?") for one in edits]
    return learn_values(mllm, contexts, 2, mllm.mlp(2).down.name, ValueConfig(steps=4, lr=0.1)).delta


def scores(mllm: MLLM, edits: list[Edit]) -> torch.Tensor:
    return attributions(mllm, [one.query for one in edits], path(3, "right"), 2)


def tuned(mllm: MLLM, edits: list[Edit]) -> torch.Tensor:
    # By plain steps along the gradient, as Adam makes much of the smallest differences.
    deltas = FT(FTConfig(steps=1, lr=1e-2, weight_decay=0.0)).plan(mllm, edits).deltas
    return torch.cat([delta.sign().flatten() for delta in deltas.values()])


def told(mllm: MLLM, edits: list[Edit]) -> torch.Tensor:
    editor = MEND(MENDConfig())
    gradients = [one.gradient for one in editor.told(mllm, [one.query for one in edits])]
    names = edited(mllm, editor.config.layers)
    return torch.cat([(of[name].deltas.mT @ of[name].inputs).flatten() for of in gradients for name in names])


@pytest.mark.parametrize("found", [values, scores, told])
def test_what_is_found_does_not_depend_on_the_room(
    found: object, mllm: MLLM, edits: list[Edit], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(found)
    whole = found(mllm, edits)
    held(monkeypatch, 1)
    torch.testing.assert_close(found(mllm, edits), whole, rtol=1e-3, atol=1e-5 * float(whole.abs().max()))


def test_a_descent_does_not_depend_on_the_room(
    mllm: MLLM, edits: list[Edit], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tuned(mllm, edits)
    held(monkeypatch, 1)
    # But where a gradient is next to nothing its sign is.
    assert float((tuned(mllm, edits) == whole).float().mean()) > 0.999


def test_rows_really_go_one_by_one(
    roomless: MLLM, edits: list[Edit], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    logits = roomless.logits

    def counted(queries: object, **rest: object) -> object:
        if torch.is_grad_enabled():
            sizes.append(len(queries))  # type: ignore[arg-type]
        return logits(queries, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(roomless, "logits", counted)
    for found in (values, scores, told, tuned):
        sizes.clear()
        found(roomless, edits)
        assert set(sizes) == {1}
