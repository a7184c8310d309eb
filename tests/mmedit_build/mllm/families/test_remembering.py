"""What a vision tower remembers is what it would see, in each family."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from mmedit_build.mllm import MLLM, Query
from tests.mmedit_build.mllm.conftest import make_image
from tests.mmedit_build.mllm.families.conftest import Specimen, Specimens
from tests.zoo.members import MEMBERS

every_family = pytest.mark.parametrize("name", MEMBERS)
QUERIES = [Query(make_image(number), "what is it?", " red") for number in range(2)]


def layers_of(specimen: Specimen) -> list[nn.Module]:
    tower = specimen.family.towers["vision"]
    found = specimen.mllm.model.get_submodule(tower.path)
    return list(found) if isinstance(found, nn.ModuleList) else []


@contextmanager
def counted(layers: list[nn.Module]) -> Iterator[list[int]]:
    """How often each layer really runs: what is put in front of it does not count."""
    runs = [0] * len(layers)
    owners = [layer.forward for layer in layers]

    def counting(number: int) -> object:
        def run(*inputs: object, **named: object) -> object:
            runs[number] += 1
            return owners[number](*inputs, **named)

        return run

    for number, layer in enumerate(layers):
        layer.forward = counting(number)  # type: ignore[assignment]
    try:
        yield runs
    finally:
        for layer in layers:
            del layer.forward


def seen(mllm: MLLM) -> list[Tensor]:
    with torch.enable_grad(), mllm.fresh_features():
        return [scored.logits for scored in mllm.logits(QUERIES)]


@every_family
def test_the_same_images_are_seen_once_while_the_connector_is_tuned(specimens: Specimens, name: str) -> None:
    specimen = specimens(name)
    mllm, layers = specimen.mllm, layers_of(specimen)
    plain = seen(mllm)
    forwards = [layer.forward for layer in layers]
    with counted(layers) as runs, mllm.remembering_vision(mllm.part("connector")):
        first, once = seen(mllm), list(runs)
        second = seen(mllm)
        assert runs == once
    assert all(map(torch.equal, plain, first))
    assert all(map(torch.equal, plain, second))
    assert [layer.forward for layer in layers] == forwards


@every_family
def test_layers_from_a_tuned_one_on_are_seen_anew(specimens: Specimens, name: str) -> None:
    specimen = specimens(name)
    mllm, layers = specimen.mllm, layers_of(specimen)
    if len(layers) < 2:
        pytest.skip("a tower of one layer")
    start = f"{specimen.family.towers['vision'].path}.1."
    tuned = {path: one for path, one in mllm.part("vision").items() if path.startswith(start)}
    with counted(layers) as runs, mllm.remembering_vision(tuned):
        seen(mllm)
        once = list(runs)
        before = {path: one.data for path, one in tuned.items()}
        for one in tuned.values():
            one.data = one.data * 1.5
        moved = seen(mllm)
        assert runs[0] == once[0]
        assert all(now > then for now, then in zip(runs[1:], once[1:], strict=True) if then)
    assert all(map(torch.equal, moved, seen(mllm)))
    for path, one in tuned.items():
        one.data = before[path]


@every_family
def test_nothing_is_remembered_where_all_of_the_tower_is_tuned(specimens: Specimens, name: str) -> None:
    specimen = specimens(name)
    mllm, layers = specimen.mllm, layers_of(specimen)
    with counted(layers) as runs, mllm.remembering_vision(mllm.part("vision")):
        seen(mllm)
        once = list(runs)
        seen(mllm)
    assert runs == [2 * number for number in once]
