"""Patches of low rank as adapters of PEFT, which PEFT itself and servers such as vLLM put on a model."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path

from safetensors.torch import save
from torch import Tensor, nn

from editors.base import Patch
from editors.patches.weights import LowRankPatch
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM
from mmedit_build.store import write_atomic


def export_adapter(patch: Patch, mllm: MLLM, folder: Path) -> None:
    """Write a patch of low rank into a folder, as an adapter for the model that it was planned for.

    Every weight gets the rank of the largest, the rest of a smaller one being zeros, and alpha is that rank:
    vLLM knows one rank and one alpha for all. It has to be told how large a rank may be (--max-lora-rank).
    Weights outside of the language model it leaves out unless asked for (--enable-tower-connector-lora).
    """
    if not isinstance(patch, LowRankPatch):
        raise UserError("An adapter adds matrices of low rank to weights, as patches of LoRA and MEND do.")
    rank = max(pair.left.shape[1] for pair in patch.factors.values())
    tensors: dict[str, Tensor] = {}
    for name, pair in patch.factors.items():
        module = f"base_model.model.{name.removesuffix('.weight')}"
        missing = rank - pair.left.shape[1]
        tensors[f"{module}.lora_A.weight"] = _plain(nn.functional.pad(pair.right, (0, 0, 0, missing)))
        tensors[f"{module}.lora_B.weight"] = _plain(nn.functional.pad(pair.left, (0, missing)))
    config = {
        "peft_type": "LORA",
        "base_model_name_or_path": mllm.name,
        "target_modules": _pattern(mllm, patch.factors),
        "r": rank,
        "lora_alpha": rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "inference_mode": True,
    }
    write_atomic(folder / "adapter_model.safetensors", save(tensors, {"format": "pt"}))
    write_atomic(folder / "adapter_config.json", f"{json.dumps(config, indent=2)}\n".encode())


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().clone().contiguous()


def _pattern(mllm: MLLM, weights: Collection[str]) -> str:
    """A regular expression of exactly these modules.

    A list of names would be of endings, which the layers of vision towers share.
    """
    for weight in weights:
        module = mllm.model.get_submodule(weight.removesuffix(".weight"))
        if not isinstance(module, nn.Linear):
            raise UserError(f"{weight} is of no linear module, and an adapter is of nothing else.")
    return "|".join(re.escape(weight.removesuffix(".weight")) for weight in weights)
