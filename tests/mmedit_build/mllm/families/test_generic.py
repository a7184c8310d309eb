"""Types without a file: those that have one are found as the file says, and others as far as they can be."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import pytest
from torch import nn

from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query
from mmedit_build.mllm.families.generic import Generic
from mmedit_build.mllm.families.structure import find_structure
from tests.mmedit_build.mllm.families.conftest import Specimens, shown
from tests.zoo.building import Zoo

KNOWN = (
    *("llava", "llava_next", "llava_onevision", "qwen2_vl", "qwen2_5_vl", "qwen3_vl"),
    *("internvl", "idefics3", "gemma3"),
)
PARTS = ("vision", "connector", "language")


@pytest.fixture
def unknown(monkeypatch: pytest.MonkeyPatch, zoo: Zoo) -> Callable[[str], MLLM]:
    """Loads checkpoints as if their types had no file."""

    def load(name: str) -> MLLM:
        # No longer than that: what others load has its file.
        with monkeypatch.context() as patch:
            patch.setattr("mmedit_build.mllm.families.FAMILIES", {})
            return MLLM.load(zoo(name), device="cpu")

    return load


@pytest.mark.parametrize("name", KNOWN)
def test_found_as_the_file_says(
    unknown: Callable[[str], MLLM], specimens: Specimens, queries: list[Query], name: str
) -> None:
    found, expected = unknown(name), specimens(name).mllm
    assert isinstance(found._family, Generic)
    assert [row.ids for row in found.rows(queries)] == [row.ids for row in expected.rows(queries)]
    whole = expected.score(queries, positions="all")
    for layer in (0, 1, found.n_layers):
        pairs = zip(found.score(found.below(queries, layer), positions="all"), whole, strict=True)
        assert all(float((one.logits - two.logits).abs().max()) < 2e-5 for one, two in pairs)
    assert found.generate(queries, max_new_tokens=6) == expected.generate(queries, max_new_tokens=6)
    assert [sorted(found.part(part)) for part in PARTS] == [sorted(expected.part(part)) for part in PARTS]
    assert _names(found) == _names(expected)


def _names(mllm: MLLM) -> list[str]:
    """Of all that editors change."""
    seeing = [part for part in PARTS[:2] if part in mllm._family.towers]
    linears = [linear for part in seeing for linear in mllm.seeing_linears(part)]
    return [one.name for one in (*linears, *mllm.mlp(1).linears, mllm.attention(1))]


def test_a_processor_that_cannot_be_used(zoo: Zoo) -> None:
    if importlib.util.find_spec("torchvision") is not None:
        pytest.skip("needs an installation without torchvision")
    with pytest.raises(UserError, match=r"'mistral3', and the processor .* Torchvision") as caught:
        MLLM.load(zoo("mistral3"), device="cpu")
    assert "\n" not in str(caught.value)


def test_the_settings_of_the_processor_are_part_of_the_key(unknown: Callable[[str], MLLM]) -> None:
    assert unknown("gemma3").identity["settings"] == {"image_seq_length": 4}


def test_positions_that_the_processor_does_not_write(unknown: Callable[[str], MLLM]) -> None:
    mllm = unknown("internvl")
    family = mllm._family
    assert isinstance(family, Generic)
    family._processor.image_seq_length = 5
    with pytest.raises(UserError, match="sees 4 positions, but its processor writes 5"):
        mllm.rows([Query(shown(1, 16, 16), "what?")])


@pytest.mark.parametrize(
    ("where", "name", "missing"),
    [
        ("model.language_model.layers.0", "mlp", "an MLP of separate linear modules"),
        ("model.language_model.layers.0", "self_attn", "the linear module out of the attention"),
        ("model.language_model", "layers", "the decoder layers beside the embeddings"),
        ("model.language_model", "norm", "the norm after the decoder layers"),
        ("model.vision_tower.encoder", "layers", "the layers of a vision tower"),
    ],
)
def test_a_part_that_is_not_there(zoo: Zoo, where: str, name: str, missing: str) -> None:
    model = MLLM.load(zoo("llava"), device="cpu").model
    setattr(model.get_submodule(where), name, nn.Identity())
    with pytest.raises(UserError, match=missing):
        find_structure(model)
