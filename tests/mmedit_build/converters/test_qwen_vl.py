"""Qwen-VL v1 out of what was published: tiny tensors under its names, and its formulas on them by hand."""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F
from typer.testing import CliRunner

from mmedit_build.cli import app
from mmedit_build.converters.qwen_tokenizer import SPECIALS, read_tokenizer
from mmedit_build.converters.qwen_vl import DEVIATION, MEAN, convert
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query

WIDTH, HEADS, LAYERS, INNER = 256, 2, 2, 96
EYE, EYE_HEADS, RATIO, PATCH, SIDE = 32, 4, 2.51, 4, 12
QUERIES, TABLE, VOCABULARY = 16, 256, 512
WORDS = ["th", "the", " c", " ca", " cat", "wh", "at", "what", "Pi", "er", "<|"]
Tensors = dict[str, Tensor]
LM, EYES, POOL = "transformer", "transformer.visual", "transformer.visual.attn_pool"


def drawn(*shape: int, scale: float = 0.3) -> Tensor:
    return scale * torch.randn(shape)


def norm(name: str, width: int) -> Tensors:
    return {f"{name}.weight": 1 + drawn(width), f"{name}.bias": drawn(width)}


def linear(name: str, out: int, into: int) -> Tensors:
    return {f"{name}.weight": drawn(out, into, scale=into**-0.5), f"{name}.bias": drawn(out)}


def matrix(name: str, out: int, into: int) -> Tensors:
    return {f"{name}.weight": drawn(out, into, scale=into**-0.5)}


def language() -> Tensors:
    found = {f"{LM}.wte.weight": drawn(VOCABULARY, WIDTH), f"{LM}.ln_f.weight": 1 + drawn(WIDTH)}
    found |= matrix("lm_head", VOCABULARY, WIDTH)
    for n in range(LAYERS):
        name = f"{LM}.h.{n}"
        found |= {f"{name}.{one}.weight": 1 + drawn(WIDTH) for one in ("ln_1", "ln_2")}
        found |= linear(f"{name}.attn.c_attn", 3 * WIDTH, WIDTH)
        found |= matrix(f"{name}.attn.c_proj", WIDTH, WIDTH)
        found |= matrix(f"{name}.mlp.w1", INNER, WIDTH) | matrix(f"{name}.mlp.w2", INNER, WIDTH)
        found |= matrix(f"{name}.mlp.c_proj", WIDTH, INNER)
    return found


def visual() -> Tensors:
    found = {f"{EYES}.conv1.weight": drawn(EYE, 3, PATCH, PATCH)}
    found |= {f"{EYES}.positional_embedding": drawn(TABLE, EYE), f"{EYES}.proj": drawn(WIDTH, WIDTH)}
    found |= norm(f"{EYES}.ln_pre", EYE) | norm(f"{EYES}.ln_post", WIDTH)
    for n in range(LAYERS):
        name, inner = f"{EYES}.transformer.resblocks.{n}", int(EYE * RATIO)
        found |= norm(f"{name}.ln_1", EYE) | norm(f"{name}.ln_2", EYE)
        found |= linear(f"{name}.attn.in_proj", 3 * EYE, EYE) | linear(f"{name}.attn.out_proj", EYE, EYE)
        found |= linear(f"{name}.mlp.c_fc", inner, EYE) | linear(f"{name}.mlp.c_proj", EYE, inner)
    found |= {f"{POOL}.query": drawn(QUERIES, WIDTH), f"{POOL}.pos_embed": drawn(QUERIES, WIDTH)}
    found |= norm(f"{POOL}.ln_q", WIDTH) | norm(f"{POOL}.ln_kv", WIDTH)
    found |= matrix(f"{POOL}.kv_proj", WIDTH, EYE) | linear(f"{POOL}.attn.out_proj", WIDTH, WIDTH)
    attention = linear("x", 3 * WIDTH, WIDTH)
    return found | {f"{POOL}.attn.in_proj_{kind}": attention[f"x.{kind}"] for kind in ("weight", "bias")}


def settings() -> dict[str, Any]:
    names = {"vocab_size": VOCABULARY, "hidden_size": WIDTH, "intermediate_size": 2 * INNER}
    names |= {"num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "seq_length": 512}
    eye: dict[str, Any] = {"image_size": SIDE * PATCH, "patch_size": PATCH, "width": EYE, "layers": LAYERS}
    eye |= {"heads": EYE_HEADS, "mlp_ratio": RATIO, "output_dim": WIDTH}
    eye |= {"image_start_id": 256 + len(WORDS) + SPECIALS.index("<img>")}
    rest: dict[str, Any] = {"layer_norm_epsilon": 1e-6, "rotary_emb_base": 10000}
    return {"model_type": "qwen", "visual": eye, **names, **rest}


def publish(folder: Path, tensors: Tensors, chat_format: str, kind: str = "bin") -> None:
    """As on the Hub: weights in several files with an index, and ranks of tokens."""
    folder.mkdir()
    names = sorted(tensors)
    files = {f"a.{kind}": names[::2], f"b.{kind}": names[1::2]}
    save: Any = torch.save if kind == "bin" else save_file
    for file, held in files.items():
        save({name: tensors[name] for name in held}, folder / file)
    index = {"weight_map": {name: file for file, held in files.items() for name in held}}
    (folder / f"model.{kind}.index.json").write_text(json.dumps(index))
    (folder / "config.json").write_text(json.dumps(settings()))
    (folder / "generation_config.json").write_text(json.dumps({"chat_format": chat_format}))
    tokens = [bytes([byte]) for byte in range(256)] + [word.encode() for word in WORDS]
    lines = [f"{base64.b64encode(token).decode()} {rank}\n" for rank, token in enumerate(tokens)]
    (folder / "qwen.tiktoken").write_text("".join(lines))


@pytest.fixture(scope="module")
def tensors() -> Tensors:
    torch.manual_seed(0)
    return language() | visual()


@pytest.fixture(scope="module")
def published(tensors: Tensors, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub") / "Qwen-VL-Chat"
    publish(folder, tensors, "chatml")
    return folder


@pytest.fixture(scope="module")
def mllm(published: Path, tmp_path_factory: pytest.TempPathFactory) -> MLLM:
    out = tmp_path_factory.mktemp("out") / "chat"
    convert(published, out)
    return MLLM.load(str(out), device="cpu")


# The published formulas


def normed(t: Tensors, name: str, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], t[f"{name}.weight"], t[f"{name}.bias"], 1e-6)


def through(t: Tensors, name: str, x: Tensor) -> Tensor:
    return F.linear(x, t[f"{name}.weight"], t.get(f"{name}.bias"))


def attended(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | float = 0.0) -> Tensor:
    """Of heads (positions, heads, width), joined again."""
    scores = torch.einsum("qhw,khw->hqk", q, k) / math.sqrt(q.shape[-1])
    return torch.einsum("hqk,khw->qhw", (scores + mask).softmax(-1), v).flatten(1)


def stretched(table: Tensor, side: int) -> Tensor:
    old = math.isqrt(len(table))
    square = table.T.reshape(1, -1, old, old)
    wide = F.interpolate(square, (side, side), mode="bicubic", align_corners=False)
    return wide.flatten(2)[0].T


def tower(t: Tensors, pixels: Tensor) -> Tensor:
    x = F.conv2d(pixels, t[f"{EYES}.conv1.weight"], stride=PATCH)[0].flatten(1).T
    x = normed(t, f"{EYES}.ln_pre", x + stretched(t[f"{EYES}.positional_embedding"], SIDE))
    for n in range(LAYERS):
        name = f"{EYES}.transformer.resblocks.{n}"
        # Each head has its queries, keys and values side by side.
        mixed = through(t, f"{name}.attn.in_proj", normed(t, f"{name}.ln_1", x))
        q, k, v = mixed.unflatten(-1, (EYE_HEADS, 3 * EYE // EYE_HEADS)).chunk(3, dim=-1)
        x = x + through(t, f"{name}.attn.out_proj", attended(q, k, v))
        inner = F.gelu(through(t, f"{name}.mlp.c_fc", normed(t, f"{name}.ln_2", x)))
        x = x + through(t, f"{name}.mlp.c_proj", inner)
    return x


def resampled(t: Tensors, x: Tensor) -> Tensor:
    x = normed(t, f"{POOL}.ln_kv", through(t, f"{POOL}.kv_proj", x))
    places = t[f"{POOL}.pos_embed"]
    asked = normed(t, f"{POOL}.ln_q", t[f"{POOL}.query"]) + places
    given = (asked, x + stretched(places, SIDE), x)
    weights, biases = (t[f"{POOL}.attn.in_proj_{kind}"].chunk(3) for kind in ("weight", "bias"))
    q, k, v = (
        F.linear(one, weight, bias).unflatten(-1, (-1, 128))
        for one, weight, bias in zip(given, weights, biases, strict=True)
    )
    found = through(t, f"{POOL}.attn.out_proj", attended(q, k, v))
    return normed(t, f"{EYES}.ln_post", found) @ t[f"{EYES}.proj"]


def rms(t: Tensors, name: str, x: Tensor) -> Tensor:
    return x * (x.pow(2).mean(-1, keepdim=True) + 1e-6).rsqrt() * t[f"{name}.weight"]


def turned(x: Tensor) -> Tensor:
    """Rotary positions, on heads (positions, heads, width)."""
    half = x.shape[-1] // 2
    angles = torch.arange(len(x))[:, None] * 10000 ** (-torch.arange(half) / half)
    cos, sin = angles.cos()[:, None], angles.sin()[:, None]
    first, second = x[..., :half], x[..., half:]
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def spoken(t: Tensors, ids: list[int], image: Tensor | None) -> Tensor:
    """Logits at all positions; an image takes what lies between <img> and </img>."""
    x = t[f"{LM}.wte.weight"][ids]
    if image is not None:
        start = ids.index(settings()["visual"]["image_start_id"]) + 1
        x = torch.cat([x[:start], image, x[start + QUERIES :]])
    mask = torch.full((len(ids), len(ids)), -torch.inf).triu(1)
    for n in range(LAYERS):
        name = f"{LM}.h.{n}"
        mixed = through(t, f"{name}.attn.c_attn", rms(t, f"{name}.ln_1", x))
        q, k, v = (one.unflatten(-1, (HEADS, -1)) for one in mixed.chunk(3, dim=-1))
        x = x + through(t, f"{name}.attn.c_proj", attended(turned(q), turned(k), v, mask))
        inner = rms(t, f"{name}.ln_2", x)
        inner = through(t, f"{name}.mlp.w1", inner) * F.silu(through(t, f"{name}.mlp.w2", inner))
        x = x + through(t, f"{name}.mlp.c_proj", inner)
    return through(t, "lm_head", rms(t, f"{LM}.ln_f", x))


def picture() -> PIL.Image.Image:
    return PIL.Image.effect_noise((SIDE * PATCH, SIDE * PATCH), 90).convert("RGB")


def pixels(image: PIL.Image.Image) -> Tensor:
    values = torch.tensor(list(image.tobytes()), dtype=torch.float32).reshape(image.height, image.width, 3)
    return ((values / 255 - torch.tensor(MEAN)) / torch.tensor(DEVIATION)).permute(2, 0, 1)[None]


def test_logits_are_those_of_the_published_formulas(mllm: MLLM, tensors: Tensors) -> None:
    image = picture()
    seen = resampled(tensors, tower(tensors, pixels(image)))
    (found,) = mllm.image_features([Query(image, "")])
    torch.testing.assert_close(found, seen, rtol=0, atol=1e-5 * float(seen.abs().max()))
    queries = [Query(image, "what cat is the one?", "a cat"), Query(None, "what is it?", "a cat")]
    for query, scored in zip(queries, mllm.score(queries, positions="all"), strict=True):
        (row,) = mllm.rows([query])
        expected = spoken(tensors, list(row.ids), None if query.image is None else seen)
        assert float(expected.abs().max()) > 1
        torch.testing.assert_close(scored.logits, expected, rtol=0, atol=2e-5)


def test_an_image_is_brought_to_a_square(mllm: MLLM) -> None:
    wide = PIL.Image.effect_noise((90, 40), 90).convert("RGB")
    square = wide.resize((SIDE * PATCH, SIDE * PATCH), PIL.Image.Resampling.BICUBIC)
    one, other = mllm.image_features([Query(wide, ""), Query(square, "")])
    torch.testing.assert_close(one, other, rtol=0, atol=1e-5 * float(one.abs().max()))


def test_it_is_asked_as_published(mllm: MLLM) -> None:
    query = Query(picture(), "what is it?", "a cat")
    image_text = f"Picture 1: <img>{QUERIES * '<imgpad>'}</img>\n"
    system = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    turn = f"{system}<|im_start|>user\n{image_text}what is it?<|im_end|>\n<|im_start|>assistant\na cat"
    assert mllm.tokenizer.decode(list(mllm.rows([query])[0].ids)) == turn
    raw = MLLM.load(mllm.name, device="cpu", template="raw")
    texts = [raw.tokenizer.decode(list(row.ids)) for row in raw.rows([query, Query(None, "what?", "it")])]
    assert texts == [f"{image_text}what is it? a cat", "what? it"]
    ends = ["<|endoftext|>", "<|im_end|>", "<|im_start|>"]
    assert list(mllm.stop_ids) == mllm.tokenizer.convert_tokens_to_ids(ends)
    assert mllm.question_prompt("what?") == "what? Answer:"


def test_the_base_model_has_no_turns(tensors: Tensors, tmp_path: Path) -> None:
    publish(tmp_path / "Qwen-VL", tensors, "raw", "safetensors")
    convert(tmp_path / "Qwen-VL", tmp_path / "out")
    mllm = MLLM.load(str(tmp_path / "out"), device="cpu")
    (row,) = mllm.rows([Query(None, "what?")])
    assert mllm.tokenizer.decode(list(row.ids)) == "what?"
    assert mllm.stop_ids == (mllm.tokenizer.eos_token_id,)
    assert json.loads((tmp_path / "out" / "provenance.json").read_text())["model"] == "Qwen-VL"


def test_more_positions_than_the_formulas_hold_for_are_refused(mllm: MLLM) -> None:
    with pytest.raises(UserError, match="the model has 512"):
        mllm.score([Query(None, "x" * 600, "y")])


def test_tokens_are_joined_by_rank(published: Path) -> None:
    words = read_tokenizer(published / "qwen.tiktoken")
    assert words.tokenize("what the cat<|im_end|>e\u0301") == [
        *("what", "\u0120", "the", "\u0120cat", "<|im_end|>", "\u00c3", "\u00a9")
    ]
    assert words.decode(words("the caf\u00e9\n<ref>")["input_ids"]) == "the caf\u00e9\n<ref>"
    assert words.convert_tokens_to_ids("<imgpad>") == 256 + len(WORDS) + len(SPECIALS) - 1


def test_what_it_was_made_from_is_noted(mllm: MLLM) -> None:
    note = json.loads((Path(mllm.name) / "provenance.json").read_text())
    assert note["model"] == "Qwen-VL-Chat"
    assert sorted(note["sha256"]) == ["a.bin", "b.bin", "config.json", "qwen.tiktoken"]


def spoilt(folder: Path, tensors: Tensors, **changes: Any) -> Path:
    publish(folder, tensors, "chatml")
    (folder / "config.json").write_text(json.dumps(settings() | changes))
    return folder


def test_what_does_not_fit_is_told(tensors: Tensors, tmp_path: Path) -> None:
    fewer = {name: one for name, one in tensors.items() if name != f"{LM}.ln_f.weight"}
    more = tensors | {f"{LM}.h.0.attn.c_attn.qweight": torch.zeros(1)}
    wide = tensors | {"lm_head.weight": torch.zeros(3, WIDTH)}
    lacking = spoilt(tmp_path / "lacking", tensors)
    (lacking / "b.bin").unlink()
    coded = spoilt(tmp_path / "coded", tensors)
    (coded / "a.bin").write_bytes(b"no tensors")
    other = settings()["visual"] | {"image_start_id": 7}
    cases = {
        "that of another model": spoilt(tmp_path / "other", tensors, model_type="llama"),
        "do not agree about the tokens": spoilt(tmp_path / "ids", tensors, visual=other),
        "1 tensors are missing": spoilt(tmp_path / "fewer", fewer),
        "1 are too many.*qweight": spoilt(tmp_path / "more", more),
        "size mismatch for lm_head": spoilt(tmp_path / "wide", wide),
        "it lacks b.bin": lacking,
        "not a file of tensors": coded,
        "no such folder": Path("Qwen/Qwen-VL-Chat"),
    }
    for reason, folder in cases.items():
        with pytest.raises(UserError, match=reason):
            convert(folder, tmp_path / "out" / "new")
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="not empty"):
        convert(cases["it lacks b.bin"], tmp_path)


def test_the_command(published: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "folder"
    out.mkdir(parents=True)
    result = CliRunner().invoke(app, ["convert", "qwen-vl", "--out", str(out), str(published)])
    assert result.exit_code == 0, result.output
    assert len(MLLM.load(str(out), device="cpu").rows([Query(picture(), "what?")])[0].image) == QUERIES
    assert [path.name for path in out.parent.iterdir()] == ["folder"]
