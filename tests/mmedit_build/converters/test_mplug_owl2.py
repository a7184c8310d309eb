"""mPLUG-Owl2 out of its folder: tiny tensors under its authors' names, and their formulas on them by hand."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import PIL.Image
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F
from transformers import CLIPImageProcessor
from typer.testing import CliRunner

from mmedit_build.cli import app
from mmedit_build.converters.mplug_owl2 import convert
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query
from tests.mmedit_build.converters.test_llama_tokenizer import PIECES, SPACE, words_file
from tests.mmedit_build.mllm.conftest import make_image

WIDTH, LAYERS, HEADS, PATCH, SIDE, QUERIES = 24, 2, 3, 5, 3, 4
SEEN, MIDDLE = 32, 40
"""Width of the language model, and within MLPs."""
TEXT_HEADS = 4
CLOSE = 5e-6
Tensors = dict[str, Tensor]
VISION, ABSTRACTOR = "model.vision_model", "model.visual_abstractor"
CONFIG: dict[str, Any] = {
    "model_type": "mplug_owl2",
    "vocab_size": len(PIECES),
    "hidden_size": SEEN,
    "intermediate_size": MIDDLE,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": TEXT_HEADS,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-5,
    "rope_scaling": None,
    "visual_config": {
        "visual_model": {
            "hidden_size": WIDTH,
            "intermediate_size": MIDDLE,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "hidden_act": "quick_gelu",
            "image_size": SIDE * PATCH,
            "patch_size": PATCH,
            "layer_norm_eps": 1e-6,
        },
        "visual_abstractor": {
            "num_learnable_queries": QUERIES,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "intermediate_size": MIDDLE,
            "layer_norm_eps": 1e-6,
        },
    },
}


# The published tensors


def drawn(*shape: int, scale: float = 0.3) -> Tensor:
    return scale * torch.randn(shape)


def norm(name: str, width: int) -> Tensors:
    return {f"{name}.weight": 1 + drawn(width), f"{name}.bias": drawn(width)}


def linear(name: str, out: int, into: int) -> Tensors:
    return {f"{name}.weight": drawn(out, into, scale=into**-0.5), f"{name}.bias": drawn(out)}


def vision() -> Tensors:
    found = {f"{VISION}.embeddings.cls_token": drawn(1, 1, WIDTH)}
    found |= {f"{VISION}.embeddings.position_embedding": drawn(1, 1 + SIDE**2, WIDTH)}
    found |= {f"{VISION}.embeddings.patch_embed.weight": drawn(WIDTH, 3, PATCH, PATCH)}
    found |= norm(f"{VISION}.embeddings.pre_layernorm", WIDTH) | norm(f"{VISION}.post_layernorm", WIDTH)
    for n in range(LAYERS):
        name = f"{VISION}.encoder.layers.{n}"
        found |= norm(f"{name}.input_layernorm", WIDTH) | norm(f"{name}.post_attention_layernorm", WIDTH)
        found |= linear(f"{name}.self_attn.query_key_value", 3 * WIDTH, WIDTH)
        found |= linear(f"{name}.self_attn.dense", WIDTH, WIDTH)
        found |= linear(f"{name}.mlp.fc1", MIDDLE, WIDTH) | linear(f"{name}.mlp.fc2", WIDTH, MIDDLE)
    return found


def abstractor() -> Tensors:
    found = {f"{ABSTRACTOR}.query_embeds": drawn(1, QUERIES, WIDTH)}
    found |= {f"{ABSTRACTOR}.vit_eos": drawn(1, 1, SEEN)}
    found |= linear(f"{ABSTRACTOR}.visual_fc", SEEN, WIDTH)
    for n in range(LAYERS):
        name = f"{ABSTRACTOR}.encoder.layers.{n}.crossattention"
        found |= {f"{name}.attention.q_pos_embed": waves(torch.arange(QUERIES), WIDTH)}
        found |= {f"{name}.attention.k_pos_embed": torch.cat([torch.zeros(1, WIDTH), grid()])}
        for one in ("query", "key", "value"):
            found |= linear(f"{name}.attention.{one}", WIDTH, WIDTH)
        for one in ("norm1", "normk", "output.norm2"):
            found |= norm(f"{name}.{one}", WIDTH)
        found |= linear(f"{name}.output.out_proj", WIDTH, WIDTH)
        for one, out, into in (("w1", MIDDLE, WIDTH), ("w2", WIDTH, MIDDLE), ("w3", MIDDLE, WIDTH)):
            found |= linear(f"{name}.output.mlp.{one}", out, into)
        found |= norm(f"{name}.output.mlp.ffn_ln", MIDDLE)
    return found


def waves(places: Tensor, width: int) -> Tensor:
    """Sines and cosines of slower and slower waves."""
    angles = places[:, None] / 10_000 ** (torch.arange(width // 2) / (width / 2))
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def grid() -> Tensor:
    """Half of the width says the column, half the row."""
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    return torch.cat([waves(one.flatten(), WIDTH // 2) for one in (columns, rows)], dim=1)


def language() -> Tensors:
    found = {"model.embed_tokens.weight": drawn(len(PIECES), SEEN, scale=1)}
    found |= {"model.norm.weight": 1 + drawn(SEEN), "lm_head.weight": drawn(len(PIECES), SEEN)}
    for n in range(LAYERS):
        name = f"model.layers.{n}"
        for way in range(2):
            for one in ("input_layernorm", "post_attention_layernorm"):
                found |= {f"{name}.{one}.multiway.{way}.weight": 1 + drawn(SEEN)}
            for one in "kv":
                weight = drawn(SEEN, SEEN, scale=SEEN**-0.5)
                found |= {f"{name}.self_attn.{one}_proj.multiway.{way}.weight": weight}
        for one in "qo":
            found |= {f"{name}.self_attn.{one}_proj.weight": drawn(SEEN, SEEN, scale=SEEN**-0.5)}
        for one, shape in (("gate", (MIDDLE, SEEN)), ("up", (MIDDLE, SEEN)), ("down", (SEEN, MIDDLE))):
            found |= {f"{name}.mlp.{one}_proj.weight": drawn(*shape, scale=shape[1] ** -0.5)}
        found |= {f"{name}.self_attn.rotary_emb.inv_freq": torch.ones(SEEN // TEXT_HEADS // 2)}
    return found


@pytest.fixture(scope="module")
def tensors() -> Tensors:
    torch.manual_seed(0)
    return vision() | abstractor() | language()


@pytest.fixture(scope="module")
def published(tensors: Tensors, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    # Its authors' own checkpoint leaves them out, as they are not learned.
    names = [name for name in tensors if not name.endswith("pos_embed")]
    shards = {"one.bin": names[::2], "two.bin": names[1::2]}
    for file, inside in shards.items():
        torch.save({name: tensors[name] for name in inside}, folder / file)
    places = {name: file for file, inside in shards.items() for name in inside}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": places}))
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "tokenizer.model").write_bytes(words_file())
    return folder


@pytest.fixture(scope="module")
def converted(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "owl"
    convert(published, out)
    return out


@pytest.fixture(scope="module")
def mllm(converted: Path) -> MLLM:
    return MLLM.load(str(converted), device="cpu")


# The authors' formulas, in double precision


@pytest.fixture(scope="module")
def formulas(tensors: Tensors) -> Tensors:
    return {name: tensor.double() for name, tensor in tensors.items()}


def normed(t: Tensors, name: str, x: Tensor, eps: float = 1e-5) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], t[f"{name}.weight"], t[f"{name}.bias"], eps)


def through(t: Tensors, name: str, x: Tensor) -> Tensor:
    return F.linear(x, t[f"{name}.weight"], t.get(f"{name}.bias"))


def attended(q: Tensor, k: Tensor, v: Tensor, heads: int, mask: Tensor | None = None) -> Tensor:
    """Of queries, keys and values (positions, width)."""
    q, k, v = (one.unflatten(-1, (heads, -1)).transpose(0, 1) for one in (q, k, v))
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    scores = scores if mask is None else scores.masked_fill(mask, -math.inf)
    found = scores.softmax(-1) @ v
    return found.transpose(0, 1).flatten(1)


def seen(t: Tensors, pixels: Tensor) -> Tensor:
    """The tower: (1 + patches, width)."""
    start = f"{VISION}.embeddings"
    patches = F.conv2d(pixels, t[f"{start}.patch_embed.weight"], stride=PATCH)[0].flatten(1).mT
    x = torch.cat([t[f"{start}.cls_token"][0], patches]) + t[f"{start}.position_embedding"][0]
    x = normed(t, f"{start}.pre_layernorm", x, 1e-6)
    for n in range(LAYERS):
        name = f"{VISION}.encoder.layers.{n}"
        inner = through(t, f"{name}.self_attn.query_key_value", normed(t, f"{name}.input_layernorm", x, 1e-6))
        # Head by head, and in each the query, the key and the value.
        q, k, v = inner.unflatten(-1, (HEADS, 3, -1)).unbind(2)
        x = x + through(
            t, f"{name}.self_attn.dense", attended(q.flatten(1), k.flatten(1), v.flatten(1), HEADS)
        )
        inner = through(t, f"{name}.mlp.fc1", normed(t, f"{name}.post_attention_layernorm", x, 1e-6))
        x = x + through(t, f"{name}.mlp.fc2", inner * torch.sigmoid(1.702 * inner))
    return normed(t, f"{VISION}.post_layernorm", x, 1e-6)


def asked(t: Tensors, image: Tensor) -> Tensor:
    """The abstractor: (queries + 1, width of the language model)."""
    x = t[f"{ABSTRACTOR}.query_embeds"][0]
    for n in range(LAYERS):
        name = f"{ABSTRACTOR}.encoder.layers.{n}.crossattention"
        own, others = (t[f"{name}.attention.{one}_pos_embed"] for one in "qk")
        x = normed(t, f"{name}.norm1", x)
        values = torch.cat([x, normed(t, f"{name}.normk", image)])
        inner = attended(
            through(t, f"{name}.attention.query", x + own),
            through(t, f"{name}.attention.key", values + torch.cat([own, others])),
            through(t, f"{name}.attention.value", values),
            HEADS,
        )
        x = x + through(t, f"{name}.output.out_proj", inner)
        mlp, y = f"{name}.output.mlp", normed(t, f"{name}.output.norm2", x)
        inner = F.silu(through(t, f"{mlp}.w1", y)) * through(t, f"{mlp}.w3", y)
        x = x + through(t, f"{mlp}.w2", normed(t, f"{mlp}.ffn_ln", inner, 1e-6))
    return torch.cat([through(t, f"{ABSTRACTOR}.visual_fc", x), t[f"{ABSTRACTOR}.vit_eos"][0]])


def by_way(t: Tensors, name: str, shown: Tensor) -> Tensor:
    """For each position the weight of the way that it goes: the first where there is text."""
    return torch.stack([t[f"{name}.multiway.{int(image)}.weight"] for image in shown])


def scaled(weight: Tensor, x: Tensor) -> Tensor:
    return weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5)


def turned(x: Tensor) -> Tensor:
    """Rotary positions on (positions, width)."""
    width = SEEN // TEXT_HEADS
    angles = torch.arange(len(x))[:, None] / 10_000 ** (torch.arange(0, width, 2) / width)
    cos, sin = (one.double().repeat(1, 2)[:, None] for one in (angles.cos(), angles.sin()))
    heads: Tensor = x.unflatten(-1, (TEXT_HEADS, width))
    one, other = heads.chunk(2, dim=-1)
    return (heads * cos + torch.cat([-other, one], dim=-1) * sin).flatten(1)


def spoken(t: Tensors, x: Tensor, shown: Tensor) -> Tensor:
    """The language model: logits (positions, vocabulary)."""
    future = torch.ones(len(x), len(x), dtype=torch.bool).triu(1)
    for n in range(LAYERS):
        name = f"model.layers.{n}"
        inner = scaled(by_way(t, f"{name}.input_layernorm", shown), x)
        q = turned(through(t, f"{name}.self_attn.q_proj", inner))
        k, v = ((by_way(t, f"{name}.self_attn.{one}_proj", shown) @ inner[..., None])[..., 0] for one in "kv")
        x = x + through(t, f"{name}.self_attn.o_proj", attended(q, turned(k), v, TEXT_HEADS, future))
        inner = scaled(by_way(t, f"{name}.post_attention_layernorm", shown), x)
        gate, up = (through(t, f"{name}.mlp.{one}_proj", inner) for one in ("gate", "up"))
        x = x + through(t, f"{name}.mlp.down_proj", F.silu(gate) * up)
    return through(t, "lm_head", scaled(t["model.norm.weight"], x))


def expected(t: Tensors, mllm: MLLM, query: Query, ids: tuple[int, ...]) -> Tensor:
    """Logits at all positions of a row."""
    row = torch.tensor(ids)
    shown = row.eq(mllm._family.image_id)
    x = t["model.embed_tokens.weight"][row.masked_fill(shown, 0)]
    if isinstance(query.image, PIL.Image.Image):
        x[shown] = asked(t, seen(t, pixels(query.image)))
    return spoken(t, x, shown)


def pixels(image: PIL.Image.Image) -> Tensor:
    """As the authors prepare it: a square of the longer side, then what CLIP makes of that."""
    edge = max(image.size)
    side = SIDE * PATCH
    processor = CLIPImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    found: Tensor = processor(image.resize((edge, edge)), return_tensors="pt")["pixel_values"]
    return found.double()


WIDE, TALL = make_image(1).resize((40, 16)), make_image(2).resize((18, 33))
ASKED = [
    Query(WIDE, "the cat", "red"),
    Query(TALL, "a red cat is there", "a cat"),
    Query(None, "the red cat", "there"),
]


@torch.no_grad()
@pytest.mark.parametrize("template", ["checkpoint", "raw"])
def test_logits_are_those_of_the_published_formulas(
    converted: Path, formulas: Tensors, template: str
) -> None:
    mllm = MLLM.load(str(converted), device="cpu", template=template)
    wanted = [
        expected(formulas, mllm, query, row.ids) for query, row in zip(ASKED, mllm.rows(ASKED), strict=True)
    ]
    assert min(float(one.abs().max()) for one in wanted) > 3
    for layer in range(LAYERS + 1):
        found = mllm.score(mllm.below(ASKED, layer), positions="all")
        for one, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(one.logits.double(), other, rtol=0, atol=CLOSE)


@torch.no_grad()
def test_so_is_what_is_written_token_by_token(mllm: MLLM, formulas: Tensors) -> None:
    for query in ASKED:
        (row,) = mllm.rows([query], targets=False)
        ids = row.ids
        for _ in range(8):
            ids = (*ids, int(expected(formulas, mllm, query, ids)[-1].argmax()))
        own = ids[row.length :]
        assert len(set(own)) > 2
        (written,) = mllm.write([query], max_new_tokens=8)
        assert written.text == str(mllm.tokenizer.decode(list(own), skip_special_tokens=True)).strip()
        given, model = torch.tensor([row.ids]), cast("Any", mllm.model)
        options: dict[str, Any] = {"attention_mask": torch.ones_like(given), "max_new_tokens": 8}
        if isinstance(query.image, PIL.Image.Image):
            options["pixel_values"] = pixels(query.image).float()
        said = model.generate(given, do_sample=False, **options)
        assert tuple(said[0].tolist()) == ids


def test_rows_are_those_of_the_authors_and_of_vlkeb(converted: Path, mllm: MLLM) -> None:
    raw = MLLM.load(str(converted), device="cpu", template="raw")
    image = (QUERIES + 1) * "<|image|>"
    rows = [*mllm.rows(ASKED[::2]), *raw.rows(ASKED[::2])]
    assert ["".join(mllm.tokenizer.convert_ids_to_tokens(list(row.ids))) for row in rows] == [
        f"<s>_USER:_{image}_the_cat_ASSISTANT:_red".replace("_", SPACE),
        "<s>_USER:_the_red_cat_ASSISTANT:_there".replace("_", SPACE),
        # The image stands before all text.
        f"{image}<s>_the_cat_red".replace("_", SPACE),
        "<s>_the_red_cat_there".replace("_", SPACE),
    ]
    assert mllm.stop_ids == (mllm.tokenizer.eos_token_id,)


# The folder


def test_what_it_was_made_from_is_noted(converted: Path) -> None:
    note = json.loads((converted / "provenance.json").read_text())
    assert note["model"] == "mPLUG-Owl2"
    assert list(note["sha256"]) == ["config.json", "tokenizer.model", "one.bin", "two.bin"]
    assert {len(one) for one in note["sha256"].values()} == {64}


def test_positions_are_taken_where_a_folder_has_them(
    published: Path, converted: Path, tensors: Tensors, tmp_path: Path
) -> None:
    """Models that were tuned and saved once more have them, in the precision that they were saved in."""
    folder = shutil.copytree(published, tmp_path / "tuned")
    kept = {name: tensor.half() for name, tensor in tensors.items() if name.endswith("pos_embed")}
    torch.save(kept, folder / "three.bin")
    convert(folder, tmp_path / "out")
    made, taken = (load_file(place / "model.safetensors") for place in (converted, tmp_path / "out"))
    assert made.keys() == taken.keys()
    for name, ours in (("q_pos_embed", "query_positions"), ("k_pos_embed", "image_positions")):
        one = f"abstractor.layers.1.{ours}"
        theirs = tensors[f"{ABSTRACTOR}.encoder.layers.1.crossattention.attention.{name}"]
        torch.testing.assert_close(made[one], theirs, rtol=0, atol=1e-6)
        assert torch.equal(taken[one], theirs.half())


def with_config(folder: Path, change: Callable[[Any], Any]) -> None:
    config = json.loads(json.dumps(CONFIG))
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


def of_the_next(config: Any) -> None:
    config["visual_config"]["visual_model"]["use_cls_token"] = False


def of_another(config: Any) -> None:
    config["model_type"] = "mplug_owl2_1"


def stretched(config: Any) -> None:
    config["rope_scaling"] = {"type": "linear", "factor": 2.0}


def wider(config: Any) -> None:
    config["intermediate_size"] = MIDDLE + 1


def deeper(config: Any) -> None:
    config["num_hidden_layers"] = LAYERS + 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (of_the_next, "use_cls_token False in visual_model, where True is needed"),
        (of_another, "model of type 'mplug_owl2_1'"),
        (stretched, "scales rotary angles"),
        (wider, "do not make a model of mPLUG-Owl2"),
        (deeper, "do not make a model of mPLUG-Owl2: 13 tensors are missing"),
    ],
)
def test_other_models_are_refused(
    published: Path, tmp_path: Path, change: Callable[[Any], None], told: str
) -> None:
    folder = shutil.copytree(published, tmp_path / "other")
    with_config(folder, change)
    with pytest.raises(UserError, match=told):
        convert(folder, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_what_is_missing_is_told(published: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(published, tmp_path / "part")
    (folder / "two.bin").unlink()
    with pytest.raises(UserError, match=r"it lacks two.bin.*give the folder of mplug-owl2-llama2-7b"):
        convert(folder, tmp_path / "out")
    (folder / "tokenizer.model").unlink()
    with pytest.raises(UserError, match="No such file"):
        convert(folder, tmp_path / "out")
    with pytest.raises(UserError, match="not empty"):
        convert(published, folder)
    with pytest.raises(UserError, match="no such folder"):
        convert(tmp_path / "nowhere", tmp_path / "out")


def test_the_command(published: Path, tmp_path: Path) -> None:
    out = tmp_path / "folder"
    result = CliRunner().invoke(app, ["convert", "mplug-owl2", "--out", str(out), str(published)])
    assert result.exit_code == 0, result.output
    mllm = MLLM.load(str(out), device="cpu")
    assert len(mllm.rows(ASKED[:1])[0].image) == QUERIES + 1
