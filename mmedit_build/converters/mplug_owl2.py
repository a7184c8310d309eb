"""mPLUG-Owl2 as an ordinary checkpoint folder: published for its authors' code, which is not needed.

Taken are the weights, `config.json` and the words in `tokenizer.model`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import GenerationConfig
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from mmedit_build.checkpoints.files import CONFIG
from mmedit_build.checkpoints.weights import told
from mmedit_build.converters.llama_tokenizer import read_tokenizer
from mmedit_build.converters.published import (
    check_new,
    digest,
    filled,
    folder_files,
    new_folder,
    read_tensors,
    weight_files,
)
from mmedit_build.mllm.families.mplug_owl2_model import NORM_EPS, MplugOwl2, MplugOwl2Config

WORDS = "tokenizer.model"
IMAGE = "<|image|>"
REMEDY = "give the folder of mplug-owl2-llama2-7b as it was downloaded from the Hub"
TURN = (
    "{% for message in messages %}{{ message['role'].upper() + ': ' }}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<|image|>' }}{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
    "{{ ' ' if message['role'] == 'user' else eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
"""How mPLUG-Owl2 is spoken to, as a chat template."""
NEEDED = (
    ("visual_model", "use_cls_token", True),
    ("visual_model", "use_post_layernorm", True),
    ("visual_abstractor", "use_cls_token", True),
    ("visual_abstractor", "add_v2t_pos_emb", False),
    ("visual_abstractor", "layer_norm_eps", NORM_EPS),
)
"""Settings that later models of the authors' have others for; the first did not know them yet."""
_TEXT = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "hidden_act",
    "max_position_embeddings",
    "rms_norm_eps",
    "bos_token_id",
    "eos_token_id",
)
_VISION = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "hidden_act",
    "image_size",
    "patch_size",
    "layer_norm_eps",
)
_ASKED = "crossattention."
_PARTS = {
    "model.vision_model.": (
        "vision_tower.",
        {
            "cls_token": "class_embedding",
            "patch_embed.": "patch_embedding.",
            "position_embedding": "position_embedding.weight",
            "embeddings.pre_layernorm.": "pre_layrnorm.",
            "input_layernorm.": "layer_norm1.",
            "post_attention_layernorm.": "layer_norm2.",
            "self_attn.query_key_value.": "self_attn.{}_proj.",
            "self_attn.dense.": "self_attn.out_proj.",
        },
    ),
    "model.visual_abstractor.": (
        "abstractor.",
        {
            "query_embeds": "queries",
            "vit_eos": "end",
            "visual_fc.": "proj.",
            "encoder.layers.": "layers.",
            f"{_ASKED}norm1.": "query_norm.",
            f"{_ASKED}normk.": "image_norm.",
            f"{_ASKED}attention.query.": "q_proj.",
            f"{_ASKED}attention.key.": "k_proj.",
            f"{_ASKED}attention.value.": "v_proj.",
            f"{_ASKED}attention.q_pos_embed": "query_positions",
            f"{_ASKED}attention.k_pos_embed": "image_positions",
            f"{_ASKED}output.out_proj.": "out_proj.",
            f"{_ASKED}output.norm2.": "mlp_norm.",
            f"{_ASKED}output.mlp.w1.": "mlp.gate_proj.",
            f"{_ASKED}output.mlp.w2.": "mlp.down_proj.",
            f"{_ASKED}output.mlp.w3.": "mlp.up_proj.",
            f"{_ASKED}output.mlp.ffn_ln.": "mlp.norm.",
        },
    ),
    "model.": ("language_model.", {"multiway.0.": "text.", "multiway.1.": "image."}),
}
"""Of each part, what its names begin with there and here, and what in them is called otherwise."""
_LONELY = ("class_embedding", "position_embedding.weight", "queries", "end")
"""What there has further axes, of length 1."""


def convert(folder: Path, out: Path) -> None:
    """Write the checkpoint folder, in the precision of the published one, and what it was made from."""
    check_new(out)
    with told("an mPLUG-Owl2", str(folder), REMEDY):
        files = folder_files(folder)
        published = files.object(CONFIG)
        check_fits(published)
        tokenizer = read_tokenizer(folder / WORDS, chat_template=TURN)
        tokenizer.add_tokens([IMAGE], special_tokens=True)
        config = _config(published, tokenizer.convert_tokens_to_ids(IMAGE))
        weights = weight_files(files)
        read = {name: one for path in weights for name, one in read_tensors(path).items()}
        tensors = _constants(config) | dict(renamed(read, config.vision_config.num_attention_heads))
    model = filled(MplugOwl2, config, tensors, "model of mPLUG-Owl2")
    end = tokenizer.eos_token_id
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=end, pad_token_id=end
    )
    side = config.vision_config.image_size
    made_from = {path.name: digest(path) for path in [folder / CONFIG, folder / WORDS, *weights]}
    with new_folder(out) as new:
        model.save_pretrained(new)
        tokenizer.save_pretrained(new)
        square = {"height": side, "width": side}
        CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size=square).save_pretrained(new)
        note = json.dumps({"model": "mPLUG-Owl2", "sha256": made_from}, indent=1) + "\n"
        (new / "provenance.json").write_text(note, encoding="utf-8")


def check_fits(published: Mapping[str, Any]) -> None:
    """Refuse the config of another model, or of one that is computed otherwise."""
    if published.get("model_type") != "mplug_owl2":
        raise ValueError(f"its {CONFIG} is that of a model of type {published.get('model_type')!r}")
    if published.get("rope_scaling") is not None:
        raise ValueError(f"its {CONFIG} scales rotary angles")
    for part, name, needed in NEEDED:
        found = published["visual_config"][part].get(name, needed)
        if found != needed:
            raise ValueError(f"its {CONFIG} has {name} {found} in {part}, where {needed} is needed")


def renamed(tensors: Mapping[str, Tensor], heads: int) -> Iterator[tuple[str, Tensor]]:
    """Tensors under the names of our model; `heads` are those of the tower's attention."""
    for name, tensor in tensors.items():
        own = _own_name(name)
        if own.endswith("rotary_emb.inv_freq"):
            # Not learned, and made anew.
            continue
        if "{}" in own:
            # Queries, keys and values of each head; copied, as files hold no two tensors of one memory.
            apart = tensor.unflatten(0, (heads, 3, -1)).transpose(0, 1).flatten(1, 2)
            yield from ((own.format(letter), one.clone()) for letter, one in zip("qkv", apart, strict=True))
        else:
            yield own, tensor.squeeze() if own.endswith(_LONELY) else tensor


def _constants(config: MplugOwl2Config) -> dict[str, Tensor]:
    """What models that were saved once more hold, and the published one does not."""
    return {
        f"abstractor.layers.{layer}.{name}": positions.clone()
        for name, positions in config.positions().items()
        for layer in range(config.abstractor_layers)
    }


def _own_name(name: str) -> str:
    """What is not known keeps its name, and is refused by it."""
    for begin, (own, inside) in _PARTS.items():
        if name.startswith(begin):
            rest = name.removeprefix(begin)
            for old, new in inside.items():
                rest = rest.replace(old, new, 1)
            return own + rest
    return name


def _config(published: Mapping[str, Any], image_token_id: int) -> MplugOwl2Config:
    visual = published["visual_config"]["visual_model"]
    asked = published["visual_config"]["visual_abstractor"]
    text = {name: published[name] for name in _TEXT if name in published}
    rope = {"rope_type": "default", "rope_theta": float(published.get("rope_theta", 10_000))}
    return MplugOwl2Config(
        vision_config={name: visual[name] for name in _VISION},
        text_config=text | {"rope_parameters": rope},
        num_queries=asked["num_learnable_queries"],
        abstractor_layers=asked["num_hidden_layers"],
        abstractor_heads=asked["num_attention_heads"],
        abstractor_size=asked["intermediate_size"],
        image_token_id=image_token_id,
        tie_word_embeddings=False,
    )
