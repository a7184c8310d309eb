"""Every trainer runs from end to end and saves folders that plain transformers and diffusers load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from diffusers import StableDiffusionPipeline
from transformers import (
    AutoModelForCausalLM,
    AutoProcessor,
    AutoTokenizer,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    CLIPModel,
    PreTrainedTokenizerFast,
    Qwen3VLVisionModel,
)

from mmedit_build.checkpoints import BUNDLED, WEIGHTS, locate
from mmedit_build.errors import UserError
from mmedit_build.miniature.drawing import draw
from mmedit_build.miniature.eye import Eye, load_tower
from mmedit_build.miniature.train import (
    autoencoder,
    chat,
    clip,
    critic,
    diffusion,
    drawings,
    eye,
    finishing,
    hops,
    mllm,
    qwen,
    reader,
    tower,
    turns,
)
from mmedit_build.miniature.train.loop import Run, progress_bar
from mmedit_build.mllm import MLLM, Query

DRAWINGS = 12
STAGES = [
    (autoencoder, "AUTOENCODER"),
    (chat, "CHAT"),
    (chat, "JUDGING"),
    (clip, "CLIP"),
    (critic, "CRITIC"),
    (finishing, "FINISHING"),
    (diffusion, "UNET"),
    (hops, "HOPS"),
    (eye, "VISION"),
    (eye, "EYE"),
    (mllm, "LOOKING"),
    (qwen, "LOOKING"),
    (reader, "READER"),
    (tower, "TOWER"),
]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared by the trainers, as on the command line: what two of them need is trained once."""
    return tmp_path_factory.mktemp("work")


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in STAGES:
        monkeypatch.setattr(module, name, replace(getattr(module, name), steps=2, batch=4))
    for module in (mllm, qwen):
        monkeypatch.setattr(module, "READING", replace(module.READING, steps=2))
    for module in (clip, diffusion, mllm, qwen):
        monkeypatch.setattr(module, "drawings", partial(drawings.drawings, number=DRAWINGS))


def _run(work: Path) -> Run:
    return Run(work, torch.device("cpu"), progress_bar())


def test_mllm(work: Path, tmp_path: Path) -> None:
    mllm.train_mllm(_run(work), tmp_path / "mllm")
    model: Any = Blip2ForConditionalGeneration.from_pretrained(tmp_path / "mllm")
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    processor = Blip2Processor.from_pretrained(tmp_path / "mllm")
    looked = torch.load(work / "looking.pt", weights_only=True)["module"]
    saved = model.language_model.model.decoder.layers[0].fc1.weight
    assert torch.equal(saved.half(), looked["language.model.decoder.layers.0.fc1.weight"].half())
    stop = processor.tokenizer("\n", add_special_tokens=False).input_ids
    assert [model.generation_config.eos_token_id] == stop == [model.config.text_config.eos_token_id]
    trained = torch.load(work / "eye.pt", weights_only=True)["module"]
    assert torch.allclose(model.query_tokens, trained["eye.queries"], atol=1e-3)


def test_qwen(work: Path, tmp_path: Path) -> None:
    (tmp_path / "mllm").symlink_to(BUNDLED["miniature/mllm"])
    qwen.train_qwen(_run(work), tmp_path / "qwen")
    mllm = MLLM.load(str(tmp_path / "qwen"), device="cpu")
    looked = torch.load(work / "qwen looking.pt", weights_only=True)["module"]
    saved = mllm.model.get_parameter("model.language_model.layers.0.mlp.down_proj.weight")
    assert torch.equal(saved.half(), looked["language.layers.0.mlp.down_proj.weight"].half())


@pytest.mark.parametrize("form", ["turn", "plain"])
def test_qwen_learns_from_rows_as_they_are_asked(work: Path, form: Literal["turn", "plain"]) -> None:
    mllm = MLLM.load(locate("miniature/qwen"), device="cpu")
    seed, scene = drawings.drawings(work, DRAWINGS).scenes[0]
    (row,) = mllm.rows([Query(draw(scene, seed), "What is this?", "a cat", form)])
    dressed = turns.turns if form == "turn" else turns.running
    encoder = turns.Turns(PreTrainedTokenizerFast.from_pretrained(locate("miniature/qwen")), tower.TOKENS)
    learned, labels = encoder.encode(dressed([("What is this?", "a cat")], encoder.image))
    assert list(row.ids) == learned[: row.length]
    assert [label for label in labels if label >= 0] == [*row.target_ids, turns.SPECIAL.index(turns.END)]


def test_a_text_in_turns() -> None:
    text = [("A cup. ", ""), ("What is it?", "cup"), ("Where?", "here")]
    assert turns.turns(text, "[i]") == [
        "<|im_start|>user\n[i]A cup. What is it?<|im_end|>\n<|im_start|>assistant\n",
        "cup<|im_end|>",
        "\n<|im_start|>user\nWhere?<|im_end|>\n<|im_start|>assistant\n",
        "here<|im_end|>",
        "\n",
    ]
    assert turns.running(text, "[i]") == [
        "[i]A cup. What is it?",
        " cup<|im_end|>",
        "Where?",
        " here<|im_end|>",
    ]
    assert turns.after([[("Prompt: a", "b")]], [("Prompt: c", "d")]) == [
        ("Prompt: a b\n\n", ""),
        ("Prompt: c", "d"),
    ]


def test_qwen_wants_an_eye(work: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="train mllm first"):
        qwen.train_qwen(_run(work), tmp_path / "qwen")


def test_the_tower_starts_from_the_eye() -> None:
    """Without positions and attention both compute the same of every patch."""
    eye_tower = load_tower(WEIGHTS / "mllm")
    started = Qwen3VLVisionModel(tower.tower_config())
    tower.begin(started, eye_tower)
    images = torch.randn(2, 3, 64, 64)
    theirs = started.patch_embed(tower.patches(images)).view(2, -1, 96)
    ours = eye_tower.embeddings.patch_embedding(images).flatten(2).transpose(1, 2)
    assert torch.allclose(theirs, tower.by_token(ours), atol=1e-5)


@pytest.mark.parametrize("train", [chat.train_chat, hops.train_hops])
def test_chat(train: Callable[[Run, Path], None], work: Path, tmp_path: Path) -> None:
    train(_run(work), tmp_path / "chat")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "chat")
    assert model.dtype == torch.float32
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "chat")
    assert type(model).__name__ == "LlamaForCausalLM"
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hello"}], tokenize=False, add_generation_prompt=True
    )
    assert text == "<|user|>Hello<|end|><|assistant|>"
    assert model.generation_config.eos_token_id == tokenizer.convert_tokens_to_ids("<|end|>")


def test_clip(work: Path, tmp_path: Path) -> None:
    clip.train_clip(_run(work), tmp_path / "clip")
    model: Any = CLIPModel.from_pretrained(tmp_path / "clip")
    assert model.dtype == torch.float32
    processor = AutoProcessor.from_pretrained(tmp_path / "clip")
    assert processor.tokenizer.model_max_length == model.config.text_config.max_position_embeddings


def test_diffusion(work: Path, tmp_path: Path) -> None:
    diffusion.train_diffusion(_run(work), tmp_path / "diffusion")
    pipeline = StableDiffusionPipeline.from_pretrained(
        tmp_path / "diffusion", safety_checker=None, low_cpu_mem_usage=False, dtype=torch.float32
    )
    image = pipeline("a red cat", num_inference_steps=2).images[0]
    assert image.size == (64, 64)


def test_clip_starts_from_the_tower() -> None:
    """Without CLIP's extra layer norm both towers compute the same."""
    torch.manual_seed(0)
    tower = Eye().tower.eval()
    model = clip.build_clip(tower, reader.build_text_tower(reader.build_tokenizer())).eval()
    model.vision_model.pre_layrnorm = torch.nn.Identity()
    images = torch.randn(2, 3, 64, 64)
    ours = model.vision_model(pixel_values=images).last_hidden_state
    theirs = tower(pixel_values=images)
    after = model.vision_model.post_layernorm(ours)
    assert torch.allclose(after, theirs.last_hidden_state, atol=1e-5)


def test_a_run_keeps_its_tokenizer(tmp_path: Path) -> None:
    first, again = (reader.caption_tokenizer(tmp_path).get_vocab() for _ in range(2))
    assert first == again
