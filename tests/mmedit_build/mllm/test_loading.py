from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import Blip2Config, Blip2ForConditionalGeneration, PretrainedConfig

from mmedit_build.errors import UserError
from mmedit_build.mllm import FAMILIES, MLLM, Query, spreading
from mmedit_build.mllm.loading import load_family, load_image_processor, look_at
from tests.mmedit_build.mllm.conftest import make_image


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such folder"):
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


@pytest.mark.parametrize(("kind", "command"), [("qwen", "qwen-vl"), ("mplug_owl2", "mplug-owl2")])
def test_a_model_that_needs_its_authors_code(tmp_path: Path, kind: str, command: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(UserError, match=f"'mmedit-build convert {command}'"):
        MLLM.load(str(tmp_path), device="cpu")


def test_another_language_model(folder: str, tmp_path: Path) -> None:
    """Flan-T5, whose decoder does not see the image in its own row."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    config = Blip2Config.from_pretrained(folder).to_dict()
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2, "vocab_size": 400}
    config["text_config"] = {"model_type": "t5", **sizes}
    Blip2ForConditionalGeneration(Blip2Config(**config)).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"type 't5'.*opt or llama"):
        MLLM.load(str(tmp_path), device="cpu")


def test_unknown_devices_and_dtypes(folder: str) -> None:
    with pytest.raises(UserError, match="use auto or"):
        MLLM.load(folder, device="abacus")
    for place in ("cpu:", "cpu:x", "cpu:1"):
        with pytest.raises(UserError, match="use auto or"):
            MLLM.load(folder, device=place)
    with pytest.raises(UserError, match="bfloat16"):
        MLLM.load(folder, device="cpu", dtype="int4")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_cuda_where_there_is_none(folder: str) -> None:
    with pytest.raises(UserError, match="'cuda' is not available"):
        MLLM.load(folder, device="cuda")


def _gpus(patched: pytest.MonkeyPatch, number: int) -> None:
    patched.setattr(torch.cuda, "is_available", lambda: number > 0)
    patched.setattr(torch.cuda, "device_count", lambda: number)


@pytest.mark.parametrize("number", [0, 1])
def test_nothing_is_spread_over_less_than_two_gpus(
    folder: str, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    _gpus(monkeypatch, number)
    with pytest.raises(UserError, match=f"several GPUs, and there are {number} here: use auto"):
        MLLM.load(folder, device="all")


def test_nothing_is_spread_without_accelerate(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _gpus(monkeypatch, 2)
    monkeypatch.setattr(spreading, "find_spec", lambda _: None)
    with pytest.raises(UserError, match="pip install accelerate"):
        MLLM.load(folder, device="all")


def test_a_model_that_is_laid_out_by_accelerate(
    folder: str, mllm: MLLM, mixture: list[Query], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over main memory alone, as there are no two GPUs to try it on."""
    _gpus(monkeypatch, 2)
    monkeypatch.setattr("mmedit_build.mllm.loading.SPREAD", {"device_map": {"": "cpu"}})
    monkeypatch.setattr("mmedit_build.mllm.loading.check_resident", lambda *_: None)
    spread = MLLM.load(folder, device="all", dtype="float32")
    assert spread.devices == [torch.device("cpu")]
    for one, other in zip(spread.score(mixture), mllm.score(mixture), strict=True):
        assert torch.equal(one.logits, other.logits)


def test_weights_that_are_left_outside_are_refused(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _gpus(monkeypatch, 2)
    seeing = ("vision_model", "qformer", "language_projection", "query_tokens")
    places = dict.fromkeys(seeing, "cpu") | {"language_model": "disk"}
    settings = {"device_map": places, "offload_folder": str(tmp_path)}
    monkeypatch.setattr("mmedit_build.mllm.loading.SPREAD", settings)
    with pytest.raises(UserError, match="does not fit on the GPUs together"):
        MLLM.load(folder, device="all", dtype="float32")


def test_auto_device_loads(folder: str) -> None:
    assert MLLM.load(folder).device.type in {"cpu", "cuda", "mps"}


def test_every_family_is_the_one_it_says(folder: str) -> None:
    config, _ = PretrainedConfig.get_config_dict(folder)
    assert config["model_type"] in FAMILIES


def test_a_name_of_the_hub_that_is_not_at_hand() -> None:
    with pytest.raises(UserError, match=r"'some/model' \(.+\): .*needs a connection") as caught:
        MLLM.load("some/model", device="cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.safetensors", b""),
        ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
        ("config.json", b"{"),
        ("config.json", b"[]"),
        ("tokenizer.json", b"{}"),
        ("processor_config.json", b"{"),
    ],
)
def test_a_broken_file(folder: str, tmp_path: Path, name: str, content: bytes) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=r"cop(y|ied) .*whole|copied whole") as caught:
        MLLM.load(str(tmp_path), device="cpu")
    assert "\n" not in str(caught.value)


def _with_text_config(folder: str, copy: Path, **changes: int) -> str:
    shutil.copytree(folder, copy, dirs_exist_ok=True)
    config = json.loads((copy / "config.json").read_text())
    config["text_config"] |= changes
    (copy / "config.json").write_text(json.dumps(config))
    return str(copy)


def test_weights_that_lack_a_layer(folder: str, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"lack 16 tensors .* such as language_model\.model\.decoder\.layers\.6"
    ):
        MLLM.load(_with_text_config(folder, tmp_path, num_hidden_layers=7), device="cpu")


def test_weights_of_another_shape(folder: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Cannot load a model"):
        MLLM.load(_with_text_config(folder, tmp_path, ffn_dim=48), device="cpu")


def test_a_template_without_its_places_is_refused_before_weights_are_read(folder: str) -> None:
    with pytest.raises(UserError, match="write for instance 'USER:"):
        look_at(folder, revision=None, device="cpu", dtype="auto", template="{prompt}")


def test_pixels_in_a_checkpoint_do_not_come_before_a_size_of_ours(tmp_path: Path) -> None:
    """As published, the file of Qwen2-VL and Qwen2.5-VL bounds images by names of another kind."""
    pixels = {"min_pixels": 3136, "max_pixels": 12845056, "image_processor_type": "Qwen2VLImageProcessor"}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(pixels))
    size = {"shortest_edge": 4 * 28**2, "longest_edge": 8 * 28**2}
    found = load_image_processor(str(tmp_path), "main", {"size": size})
    assert {name: found.size[name] for name in size} == size
    grid = found(images=[make_image(1)], return_tensors="pt")["image_grid_thw"][0].tolist()
    assert 4 <= grid[1] * grid[2] // 4 <= 8
    assert load_image_processor(str(tmp_path), "main", {}).size["longest_edge"] == 12845056


def test_settings_of_the_image_processor(folder: str) -> None:
    size = {"height": 8, "width": 8}
    other = load_family(
        folder, revision=None, device="cpu", dtype="auto", template="plain", image_processor={"size": size}
    )
    assert other.image_processor(images=[make_image(1)], return_tensors="pt")["pixel_values"].shape[-1] == 8
    assert other.embed_tokens.weight.dtype == torch.float32
    with pytest.raises(UserError, match="no setting of this image processor 'sise'; did you mean 'size'"):
        MLLM.load(folder, device="cpu", image_processor={"sise": size})
