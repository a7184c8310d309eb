"""ROME, MEMIT and AlphaEdit against numbers of the authors' own code, on the same tiny OPT.

See parity/rome.json and parity/alphaedit.json.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from transformers import Blip2Config, Blip2ForConditionalGeneration, PreTrainedTokenizerFast

from editors.alphaedit import AlphaEdit, AlphaEditConfig
from editors.associations.base import AssociationEditor
from editors.base import Edit, TrainEdit
from editors.growing import Made
from editors.memit import MEMIT, MEMITConfig
from editors.patches.weights import LowRankPatch
from editors.rome import ROME, ROMEConfig
from mmedit_build.mllm import MLLM
from mmedit_build.mllm.families.blip2 import Blip2
from mmedit_build.mllm.rendering import PLAIN

FOLDER = Path(__file__).parent / "parity"
GIVEN: dict[str, Any] = json.loads((FOLDER / "rome.json").read_text(encoding="utf-8"))
ALPHA: dict[str, Any] = json.loads((FOLDER / "alphaedit.json").read_text(encoding="utf-8"))
PREFIXES = {"prefixes": GIVEN["prefixes"]}
SHARED = PREFIXES | {"ridge": 0.0}


@pytest.fixture(scope="module")
def theirs() -> dict[str, Tensor]:
    return load_file(FOLDER / "rome.safetensors") | load_file(FOLDER / "alphaedit.safetensors")


@pytest.fixture(scope="module")
def tiny() -> MLLM:
    """A BLIP-2 around the OPT that their code was run on."""
    towers = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    config = Blip2Config(
        vision_config=towers | {"image_size": 8, "patch_size": 8},
        qformer_config=towers | {"encoder_hidden_size": 8, "vocab_size": 8},
        text_config={"model_type": "opt", **GIVEN["config"]},
        num_query_tokens=2,
    )
    model = Blip2ForConditionalGeneration(config)
    model.requires_grad_(False).eval()
    for name, parameter in model.get_submodule("language_model").named_parameters():
        parameter.copy_(_filling(name, parameter))
    family = Blip2(model, _tokenizer(), None, PLAIN)
    return MLLM(family, "tiny")


def _filling(name: str, parameter: Tensor) -> Tensor:
    places = torch.arange(1, parameter.numel() + 1, dtype=torch.float64)
    numbers = (12.9898 * places + 78.233 * (zlib.crc32(name.encode()) % 1000)).sin() * 43758.5453
    base = 1.0 if "norm.weight" in name else 0.0
    found: Tensor = base + GIVEN["scale"] * (numbers - numbers.floor() - 0.5)
    return found.reshape(parameter.shape)


def _tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {word: number for number, word in enumerate(GIVEN["vocabulary"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>")


@pytest.fixture(scope="module")
def edits() -> list[Edit]:
    return [
        Edit(str(number), None, one["prompt"], one["target"], one["subject"])
        for number, one in enumerate(GIVEN["edits"])
    ]


def _fitted(editor: AssociationEditor, mllm: MLLM, folder: Path) -> None:
    """Second moments over the texts, each told as a prompt with its last word for the answer."""
    halves = [text.rpartition(" ") for text in GIVEN["texts"]]
    train = [TrainEdit(Edit("text", None, prompt, answer)) for prompt, _, answer in halves]
    editor.fit(mllm, train, [], work=folder / "work", advance=lambda _: None)


@pytest.fixture(scope="module")
def rome(tiny: MLLM, tmp_path_factory: pytest.TempPathFactory) -> ROME:
    editor = ROME(ROMEConfig(**SHARED, **GIVEN["rome"]))
    _fitted(editor, tiny, tmp_path_factory.mktemp("rome"))
    return editor


@pytest.fixture(scope="module")
def memit(tiny: MLLM, tmp_path_factory: pytest.TempPathFactory) -> MEMIT:
    told = dict(GIVEN["memit"])
    editor = MEMIT(MEMITConfig(**SHARED, edited=told.pop("layers"), **told))
    _fitted(editor, tiny, tmp_path_factory.mktemp("memit"))
    return editor


@pytest.fixture(scope="module")
def alphaedit(tiny: MLLM, tmp_path_factory: pytest.TempPathFactory) -> AlphaEdit:
    told = {name: value for name, value in GIVEN["memit"].items() if name != "weight"}
    options = {"threshold": ALPHA["threshold"], "l2": ALPHA["l2"], "edited": told.pop("layers")}
    editor = AlphaEdit(AlphaEditConfig(**PREFIXES, **options, **told))
    _fitted(editor, tiny, tmp_path_factory.mktemp("alphaedit"))
    return editor


def changes(patch: LowRankPatch) -> dict[int, Tensor]:
    """The change of each layer's down-projection."""
    name = "language_model.model.decoder.layers.{}.fc2.weight".format
    found = {layer: patch.factors.get(name(layer)) for layer in range(GIVEN["config"]["num_hidden_layers"])}
    return {layer: pair.left @ pair.right for layer, pair in found.items() if pair is not None}


def assert_near(ours: Tensor, theirs: Tensor) -> None:
    assert float((ours - theirs).norm() / theirs.norm()) < 1e-4


def test_the_second_moments_are_the_authors(rome: ROME, theirs: dict[str, Tensor]) -> None:
    assert_near(rome.covariance(GIVEN["rome"]["layer"]).second, theirs["rome.moment"])


@pytest.mark.parametrize("number", range(3))
def test_one_edit_by_rome(
    tiny: MLLM, rome: ROME, edits: list[Edit], theirs: dict[str, Tensor], number: int
) -> None:
    (change,) = changes(rome.plan(tiny, [edits[number]])).values()
    assert_near(change, theirs[f"rome.{number}"])


def test_edits_one_after_the_other_by_rome(
    tiny: MLLM, rome: ROME, edits: list[Edit], theirs: dict[str, Tensor]
) -> None:
    (change,) = changes(rome.plan(tiny, edits)).values()
    assert_near(change, theirs["rome.sequence"])


@pytest.mark.parametrize(("label", "number"), [("one", 1), ("all", 3)])
def test_memit(
    tiny: MLLM, memit: MEMIT, edits: list[Edit], theirs: dict[str, Tensor], label: str, number: int
) -> None:
    found = changes(memit.plan(tiny, edits[:number]))
    assert list(found) == GIVEN["memit"]["layers"]
    for layer, change in found.items():
        assert_near(change, theirs[f"memit.{label}.{layer}"])


def test_alphaedit_leaves_as_many_directions_free(alphaedit: AlphaEdit, theirs: dict[str, Tensor]) -> None:
    for layer, taken in alphaedit.fitted().tensors.items():
        assert taken.shape[0] - taken.shape[1] == int(theirs[f"kept.{layer}"])


def test_alphaedit_of_all_at_once(
    tiny: MLLM, alphaedit: AlphaEdit, edits: list[Edit], theirs: dict[str, Tensor]
) -> None:
    for layer, change in changes(alphaedit.plan(tiny, edits)).items():
        assert_near(change, theirs[f"all.{layer}"])


def test_alphaedit_batch_after_batch(
    tiny: MLLM, alphaedit: AlphaEdit, edits: list[Edit], theirs: dict[str, Tensor]
) -> None:
    first, second = ([edits[number] for number in batch] for batch in ALPHA["batches"])
    patch = alphaedit.extend(tiny, Made(tuple(first), alphaedit.plan(tiny, first)), second)
    found = changes(patch)
    assert list(found) == GIVEN["memit"]["layers"]
    for (layer, change), keys in zip(found.items(), patch.known.values(), strict=True):
        assert_near(change, theirs[f"batches.{layer}"])
        assert_near(keys @ keys.mT, theirs[f"earlier.{layer}"])
