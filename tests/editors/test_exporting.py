"""Patches as adapters, which PEFT loads, and under the names by which vLLM knows modules.

vLLM itself is no dependency. What it asks for was found by running it (0.32): see docs/editors.md.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors import safe_open
from safetensors.torch import load_file

from editors import load_editor
from editors.base import Edit
from editors.exporting import export_adapter
from editors.lora import linears
from editors.patches.weights import Factors, LowRankPatch, WeightPatch
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM
from tests.zoo.building import Zoo, zoo

__all__ = ["zoo"]

LAYERS = "language_model.model.decoder.layers"
LLAMA = [f"self_attn.{one}_proj" for one in "qkvo"] + [f"mlp.{one}_proj" for one in ("gate", "up", "down")]
OPT = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj", "fc1", "fc2"]
NEW = "model.language_model.layers"
"""As transformers names them since 4.52, which vLLM renames to its own names."""
SERVED = {
    "blip-2 opt": (LAYERS, OPT),
    "blip-2 llama": ("language_model.model.layers", LLAMA),
    "llava": (NEW, LLAMA),
    "llava_next": (NEW, LLAMA),
    "qwen2_vl": (NEW, LLAMA),
    "qwen2_5_vl": (NEW, LLAMA),
    "qwen3_vl": (NEW, LLAMA),
    "internvl": (NEW, LLAMA),
    "idefics3": ("model.text_model.layers", LLAMA),
    "smolvlm": ("model.text_model.layers", LLAMA),
    "gemma3": (NEW, LLAMA),
    "paligemma": (NEW, LLAMA),
}
"""Families whose adapters vLLM loads: what has to stand before the number of a layer, and its modules."""


@pytest.fixture
def patch() -> LowRankPatch:
    """Of two ranks."""
    shapes = {f"{LAYERS}.5.fc1": (128, 3, 32), f"{LAYERS}.2.self_attn.q_proj": (32, 2, 32)}
    random = torch.Generator().manual_seed(0)
    return LowRankPatch(
        {
            f"{name}.weight": Factors(
                torch.randn(out, rank, generator=random), torch.randn(rank, width, generator=random)
            )
            for name, (out, rank, width) in shapes.items()
        }
    )


def test_the_modules_are_matched_and_no_others(mllm: MLLM, patch: LowRankPatch, tmp_path: Path) -> None:
    export_adapter(patch, mllm, tmp_path / "adapter")
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    matched = [name for name, _ in mllm.model.named_modules() if re.fullmatch(config["target_modules"], name)]
    assert matched == [f"{LAYERS}.2.self_attn.q_proj", f"{LAYERS}.5.fc1"]
    assert config["peft_type"] == "LORA"
    assert config["base_model_name_or_path"] == mllm.name


def test_weights_have_one_rank_and_their_own_change(mllm: MLLM, patch: LowRankPatch, tmp_path: Path) -> None:
    export_adapter(patch, mllm, tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["r"] == config["lora_alpha"] == 3
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    assert len(tensors) == 4
    for name, pair in patch.factors.items():
        a, b = (tensors[f"base_model.model.{name[:-7]}.lora_{side}.weight"] for side in "AB")
        assert len(a) == b.shape[1] == 3
        torch.testing.assert_close(b @ a, pair.left @ pair.right, rtol=0, atol=1e-6)


def test_what_is_no_adapter_is_refused(mllm: MLLM, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="An adapter adds matrices of low rank"):
        export_adapter(WeightPatch({}), mllm, tmp_path)
    embedding = {f"{LAYERS[:-7]}.embed_tokens.weight": Factors(torch.ones(97, 1), torch.ones(1, 32))}
    with pytest.raises(UserError, match="is of no linear module"):
        export_adapter(LowRankPatch(embedding), mllm, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [{"steps": 5, "lr": 1e-2}, {"preset": "easyedit"}])
def test_peft_answers_as_the_patch(
    mllm: MLLM, folder: str, edits: list[Edit], options: dict[str, object], tmp_path: Path
) -> None:
    patch = load_editor("lora", options).plan(mllm, edits[:1])
    export_adapter(patch, mllm, tmp_path)
    queries = [edit.query for edit in edits]
    with patch.applied(mllm) as model:
        expected = model.score(queries)
    other = MLLM.load(folder, device="cpu")
    adapted = PeftModel.from_pretrained(other.model, str(tmp_path))
    for one, two in zip(expected, other.score(queries), strict=True):
        torch.testing.assert_close(one.logits, two.logits, rtol=0, atol=1e-5)
    with adapted.disable_adapter():
        for one, two in zip(mllm.score(queries), other.score(queries), strict=True):
            assert torch.equal(one.logits, two.logits)


@pytest.mark.parametrize("family", SERVED)
def test_names_are_those_that_vllm_asks_for(family: str, zoo: Zoo, tmp_path: Path) -> None:
    """It leaves out what it knows by no name, and says nothing."""
    layers, modules = SERVED[family]
    mllm = MLLM.load(zoo(family), device="cpu")
    changed = linears(mllm, ("*",), (1,)).items()
    shapes = {name: (module.out_features, module.in_features) for name, module in changed}
    patch = {name: Factors(torch.ones(out, 1), torch.ones(1, width)) for name, (out, width) in shapes.items()}
    export_adapter(LowRankPatch(patch), mllm, tmp_path)
    with safe_open(tmp_path / "adapter_model.safetensors", "pt") as file:
        found = set(file.keys())
    wanted = {f"base_model.model.{layers}.1.{one}.lora_{side}.weight" for one in modules for side in "AB"}
    assert found == wanted
