"""MiniGPT-4 out of its parts: tiny tensors under LAVIS' names, and LAVIS' formulas on them by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, trainers
from torch import Tensor
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from typer.testing import CliRunner

from mmedit_build.cli import app
from mmedit_build.converters.minigpt4 import DEVIATION, MEAN, Parts, convert, find_parts, resized
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query

WIDTH, LAYERS, PATCH, SIDE, QUERIES = 176, 2, 8, 3, 4
QWIDTH = 128
Tensors = dict[str, Tensor]


def drawn(*shape: int, scale: float = 0.2) -> Tensor:
    return scale * torch.randn(shape)


def norm(name: str, width: int) -> Tensors:
    return {f"{name}.weight": 1 + drawn(width), f"{name}.bias": drawn(width)}


def linear(name: str, out: int, into: int) -> Tensors:
    return {f"{name}.weight": drawn(out, into, scale=into**-0.5), f"{name}.bias": drawn(out)}


def vision() -> Tensors:
    found = {"cls_token": drawn(1, 1, WIDTH), "pos_embed": drawn(1, 1 + SIDE**2, WIDTH)}
    found |= {"patch_embed.proj.weight": drawn(WIDTH, 3, PATCH, PATCH), "patch_embed.proj.bias": drawn(WIDTH)}
    for n in range(LAYERS):
        name = f"blocks.{n}"
        found |= norm(f"{name}.norm1", WIDTH) | norm(f"{name}.norm2", WIDTH)
        found |= {f"{name}.attn.qkv.weight": drawn(3 * WIDTH, WIDTH, scale=WIDTH**-0.5)}
        found |= {f"{name}.attn.{one}_bias": drawn(WIDTH) for one in "qv"}
        found |= linear(f"{name}.attn.proj", WIDTH, WIDTH)
        found |= linear(f"{name}.mlp.fc1", 2 * WIDTH, WIDTH) | linear(f"{name}.mlp.fc2", WIDTH, 2 * WIDTH)
    return found


def qformer() -> Tensors:
    found = {"query_tokens": drawn(1, QUERIES, QWIDTH)} | norm("ln_vision", WIDTH)
    found |= norm("Qformer.bert.embeddings.LayerNorm", QWIDTH)
    found |= {"Qformer.cls.predictions.bias": drawn(9), "t5_proj.weight": drawn(5, QWIDTH)}
    for n in range(LAYERS):
        name = f"Qformer.bert.encoder.layer.{n}"
        for kind, seen in (("attention", QWIDTH), ("crossattention", WIDTH)):
            if kind == "crossattention" and n % 2:
                continue
            found |= linear(f"{name}.{kind}.self.query", QWIDTH, QWIDTH)
            found |= linear(f"{name}.{kind}.self.key", QWIDTH, seen)
            found |= linear(f"{name}.{kind}.self.value", QWIDTH, seen)
            found |= linear(f"{name}.{kind}.output.dense", QWIDTH, QWIDTH)
            found |= norm(f"{name}.{kind}.output.LayerNorm", QWIDTH)
        for suffix in ("", "_query"):
            found |= linear(f"{name}.intermediate{suffix}.dense", 2 * QWIDTH, QWIDTH)
            found |= linear(f"{name}.output{suffix}.dense", QWIDTH, 2 * QWIDTH)
            found |= norm(f"{name}.output{suffix}.LayerNorm", QWIDTH)
    return found


def llama_tokenizer() -> PreTrainedTokenizerFast:
    """As SentencePiece's are: a space before every text, written as a letter."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
    )
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.Fuse()])
    corpus = ["what is it? a red cat ###Human: <Img></Img> ###Assistant: abcdefghijklmnopqrstuvwxyz"] * 3
    trainer = trainers.BpeTrainer(
        vocab_size=150, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False
    )
    tokenizer.train_from_iterator(corpus, trainer)
    names = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Tensors]:
    folder = tmp_path_factory.mktemp("published")
    torch.manual_seed(0)
    # In half precision, as they are saved.
    parts = [{name: one.half().float() for name, one in of.items()} for of in (vision(), qformer())]
    projection = linear("llama_proj", 32, QWIDTH)
    projection = {name: one.half().float() for name, one in projection.items()}
    files = [folder / name for name in ("eva_vit_g.pth", "blip2.pth", "minigpt4.pth")]
    torch.save(parts[0], files[0])
    torch.save({"model": parts[1]}, files[1])
    torch.save({"model": projection}, files[2])
    tokenizer = llama_tokenizer()
    sizes: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    sizes["num_attention_heads"] = 2
    config = LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=128, **sizes)
    LlamaForCausalLM(config).save_pretrained(folder / "vicuna")
    tokenizer.save_pretrained(folder / "vicuna")
    return [*files, folder / "vicuna"], parts[0] | parts[1] | projection


@pytest.fixture(scope="module")
def converted(published: tuple[list[Path], Tensors], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "minigpt4"
    convert(find_parts(published[0][::-1]), out, image_size=SIDE * PATCH)
    return out


# LAVIS' formulas


def normed(t: Tensors, name: str, x: Tensor, eps: float) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], t[f"{name}.weight"], t[f"{name}.bias"], eps)


def through(t: Tensors, name: str, x: Tensor) -> Tensor:
    return F.linear(x, t[f"{name}.weight"], t[f"{name}.bias"])


def attended(q: Tensor, k: Tensor, v: Tensor, width: int) -> Tensor:
    def heads(x: Tensor) -> Tensor:
        return x.reshape(len(x), -1, width).transpose(0, 1)

    scores = heads(q) @ heads(k).mT / math.sqrt(width)
    return (scores.softmax(-1) @ heads(v)).transpose(0, 1).flatten(1)


def seen(t: Tensors, pixels: Tensor) -> Tensor:
    """The vision tower with its last norm: (1 + patches, width)."""
    x = F.conv2d(pixels, t["patch_embed.proj.weight"], t["patch_embed.proj.bias"], stride=PATCH)
    x = torch.cat([t["cls_token"][0], x[0].flatten(1).mT]) + t["pos_embed"][0]
    for n in range(LAYERS):
        name = f"blocks.{n}"
        inner = normed(t, f"{name}.norm1", x, 1e-6)
        q, k, v = F.linear(inner, t[f"{name}.attn.qkv.weight"]).chunk(3, dim=-1)
        inner = attended(q + t[f"{name}.attn.q_bias"], k, v + t[f"{name}.attn.v_bias"], 88)
        x = x + through(t, f"{name}.attn.proj", inner)
        inner = F.gelu(through(t, f"{name}.mlp.fc1", normed(t, f"{name}.norm2", x, 1e-6)))
        x = x + through(t, f"{name}.mlp.fc2", inner)
    return normed(t, "ln_vision", x, 1e-5)


def asked(t: Tensors, image: Tensor) -> Tensor:
    """The Q-Former and the projection: (queries, width of the language model)."""
    x = normed(t, "Qformer.bert.embeddings.LayerNorm", t["query_tokens"][0], 1e-12)
    for n in range(LAYERS):
        name = f"Qformer.bert.encoder.layer.{n}"
        for kind, other in (("attention", None), ("crossattention", image)):
            if kind == "crossattention" and n % 2:
                continue
            source = x if other is None else other
            q, k, v = (
                through(t, f"{name}.{kind}.self.{one}", source if one != "query" else x)
                for one in ("query", "key", "value")
            )
            out = through(t, f"{name}.{kind}.output.dense", attended(q, k, v, 64))
            x = normed(t, f"{name}.{kind}.output.LayerNorm", out + x, 1e-12)
        out = through(
            t, f"{name}.output_query.dense", F.gelu(through(t, f"{name}.intermediate_query.dense", x))
        )
        x = normed(t, f"{name}.output_query.LayerNorm", out + x, 1e-12)
    return through(t, "llama_proj", x)


def test_features_are_those_of_the_published_formulas(
    converted: Path, published: tuple[list[Path], Tensors]
) -> None:
    mllm = MLLM.load(str(converted), device="cpu")
    image = PIL.Image.effect_noise((SIDE * PATCH, SIDE * PATCH), 80).convert("RGB")
    (found,) = mllm.image_features([Query(image, "what is it?")])
    pixels = torch.tensor(list(image.tobytes()), dtype=torch.float32).reshape(SIDE * PATCH, SIDE * PATCH, 3)
    pixels = ((pixels / 255 - torch.tensor(MEAN)) / torch.tensor(DEVIATION)).permute(2, 0, 1)[None]
    expected = asked(published[1], seen(published[1], pixels))
    assert float(expected.abs().max()) > 0.5
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)


def test_the_folder_is_asked_as_minigpt4_is(converted: Path) -> None:
    mllm = MLLM.load(str(converted), device="cpu")
    image = PIL.Image.new("RGB", (9, 9), (200, 30, 30))
    prompt, text = Query(image, "what is it?", "a cat"), Query(None, "what is it?", "a cat")
    raw = MLLM.load(str(converted), device="cpu", template="raw")
    rows = mllm.rows([prompt]) + raw.rows([prompt, text])
    texts = ["".join(mllm.tokenizer.convert_ids_to_tokens(list(row.ids))) for row in rows]
    image_text = "<s>\u2581###Human:\u2581<Img>" + QUERIES * "<image>" + "\u2581</Img>\u2581"
    assert texts[0] == f"{image_text}\u2581what\u2581is\u2581it?###Assistant:\u2581\u2581a\u2581cat".replace(
        "</Img>\u2581\u2581what", "</Img>\u2581what"
    )
    assert texts[1] == f"{image_text}what\u2581is\u2581it?\u2581a\u2581cat"
    assert texts[2] == "\u2581what\u2581is\u2581it?\u2581a\u2581cat"
    assert isinstance(mllm.generate([prompt], max_new_tokens=4)[0], str)
    assert len(mllm.stop_ids) > 1


def test_what_it_was_made_from_is_noted(converted: Path) -> None:
    note = json.loads((converted / "provenance.json").read_text())
    assert note["vision"]["name"] == "eva_vit_g.pth"
    assert len(note["qformer"]["sha256"]) == 64


def test_positions_are_resized_as_published() -> None:
    positions = torch.arange(10.0)[None, :, None].expand(1, 10, 2)
    assert torch.equal(resized(positions, 3), positions)
    wide = resized(positions, 6)
    assert wide.shape == (1, 37, 2)
    assert torch.equal(wide[:, :1], positions[:, :1])
    expected = F.interpolate(
        positions[0, 1:, 0].reshape(1, 1, 3, 3), size=(6, 6), mode="bicubic", align_corners=False
    )
    torch.testing.assert_close(wide[0, 1:, 0], expected.flatten())


def test_what_is_missing_or_twice_is_told(published: tuple[list[Path], Tensors], tmp_path: Path) -> None:
    files = published[0]
    with pytest.raises(UserError, match="No projection is among"):
        find_parts([files[0], files[1], files[3]])
    with pytest.raises(UserError, match="both the vision"):
        find_parts([files[0], *files])
    (tmp_path / "x.pth").write_bytes(b"no tensors")
    with pytest.raises(UserError, match="not a file of tensors"):
        find_parts([tmp_path / "x.pth"])
    torch.save({"other": torch.zeros(1)}, tmp_path / "y.pth")
    with pytest.raises(UserError, match="holds no part"):
        find_parts([tmp_path / "y.pth"])
    with pytest.raises(UserError, match="not empty"):
        convert(Parts(*files), tmp_path, image_size=24)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.pth", "y.pth"]


def test_the_command(published: tuple[list[Path], Tensors], tmp_path: Path) -> None:
    out = tmp_path / "folder"
    names = [str(path) for path in published[0]]
    result = CliRunner().invoke(app, ["convert", "minigpt4", "--out", str(out), "--image-size", "32", *names])
    assert result.exit_code == 0, result.output
    mllm = MLLM.load(str(out), device="cpu")
    assert mllm.rows([Query(PIL.Image.new("RGB", (4, 4)), "what?")])[0].image
