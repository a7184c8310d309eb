from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import PretrainedConfig

from mmedit_build.errors import UserError
from mmedit_build.mllm import FAMILIES, MLLM


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="save_pretrained"):
        MLLM.load(str(tmp_path / "nowhere"), device="cpu")


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="save_pretrained"):
        MLLM.load(str(tmp_path), device="cpu")


def test_a_folder_without_weights(folder: str, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(UserError, match="safetensors"):
        MLLM.load(str(tmp_path), device="cpu")


def test_an_unknown_family_names_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "minigpt4"}))
    with pytest.raises(UserError, match=r"minigpt4.*blip-2"):
        MLLM.load(str(tmp_path), device="cpu")


def test_another_language_model(folder: str, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    config["text_config"] = {"model_type": "gpt2", "n_embd": 32, "n_layer": 1, "n_head": 2, "vocab_size": 40}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="gpt2"):
        MLLM.load(str(tmp_path), device="cpu")


def test_unknown_devices_and_dtypes(folder: str) -> None:
    with pytest.raises(UserError, match="use auto or"):
        MLLM.load(folder, device="abacus")
    with pytest.raises(UserError, match="bfloat16"):
        MLLM.load(folder, device="cpu", dtype="int4")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_cuda_where_there_is_none(folder: str) -> None:
    with pytest.raises(UserError, match="'cuda' is not available"):
        MLLM.load(folder, device="cuda")


def test_auto_device_loads(folder: str) -> None:
    assert MLLM.load(folder).device.type in {"cpu", "cuda", "mps"}


def test_every_family_is_the_one_it_says(folder: str) -> None:
    config, _ = PretrainedConfig.get_config_dict(folder)
    assert config["model_type"] in FAMILIES
