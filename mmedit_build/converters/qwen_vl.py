"""Qwen-VL v1 as an ordinary checkpoint folder: published as code on the Hub, which is neither needed nor run.

Taken are the weights, `config.json`, `generation_config.json` (by which a chat model is told from the base
model) and the ranks of tokens in `qwen.tiktoken`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import GenerationConfig
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from mmedit_build.checkpoints.files import CONFIG
from mmedit_build.checkpoints.weights import told
from mmedit_build.converters.published import (
    check_new,
    digest,
    filled,
    folder_files,
    new_folder,
    read_tensors,
    weight_files,
)
from mmedit_build.converters.qwen_tokenizer import END, IMAGE_PAD, STOPS, read_tokenizer
from mmedit_build.mllm.families.qwen_vl_v1_model import QwenVL, QwenVLConfig

GENERATION, RANKS = "generation_config.json", "qwen.tiktoken"
REMEDY = "give the folder of Qwen-VL or Qwen-VL-Chat as it was downloaded from the Hub"
RESAMPLER_HEAD = 128
"""Width of attention heads of the resampler, which no file tells."""
MEAN, DEVIATION = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
TURN = (
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>"
    "{% for message in messages %}{{ '\n<|im_start|>' + message['role'] + '\n' }}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}"
    "{{ 'Picture 1: <img><imgpad></img>\n' }}{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
    "{{ '<|im_end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '\n<|im_start|>assistant\n' }}{% endif %}"
)
"""How Qwen-VL-Chat is spoken to, as a chat template."""
_VISUAL, _POOL = "transformer.visual", "transformer.visual.attn_pool"
_PROJECTION = f"{_VISUAL}.proj"
_WHOLE = {
    "lm_head.weight": "lm_head.weight",
    "transformer.wte.weight": "language_model.embed_tokens.weight",
    "transformer.ln_f.weight": "language_model.norm.weight",
    f"{_VISUAL}.conv1.weight": "vision_tower.patches.weight",
    f"{_VISUAL}.positional_embedding": "vision_tower.positions",
    f"{_POOL}.query": "resampler.queries",
    f"{_POOL}.pos_embed": "resampler.positions",
    f"{_POOL}.kv_proj.weight": "resampler.kv_proj.weight",
    f"{_POOL}.attn.in_proj_weight": "resampler.{}_proj.weight",
    f"{_POOL}.attn.in_proj_bias": "resampler.{}_proj.bias",
    _PROJECTION: "resampler.proj.weight",
}
_MODULES = {
    f"{_VISUAL}.ln_pre": "vision_tower.norm",
    f"{_VISUAL}.ln_post": "resampler.post_norm",
    f"{_POOL}.ln_q": "resampler.query_norm",
    f"{_POOL}.ln_kv": "resampler.kv_norm",
    f"{_POOL}.attn.out_proj": "resampler.out_proj",
}
_LAYERS = {
    "transformer.h": (
        "language_model.layers",
        {
            "ln_1": "input_layernorm",
            "ln_2": "post_attention_layernorm",
            "attn.c_attn": "self_attn.{}_proj",
            "attn.c_proj": "self_attn.o_proj",
            "mlp.w1": "mlp.up_proj",
            "mlp.w2": "mlp.gate_proj",
            "mlp.c_proj": "mlp.down_proj",
        },
    ),
    f"{_VISUAL}.transformer.resblocks": (
        "vision_tower.encoder.layers",
        {
            "ln_1": "layer_norm1",
            "ln_2": "layer_norm2",
            "attn.in_proj": "self_attn.{}_proj",
            "attn.out_proj": "self_attn.out_proj",
            "mlp.c_fc": "mlp.fc1",
            "mlp.c_proj": "mlp.fc2",
        },
    ),
}


def convert(folder: Path, out: Path) -> None:
    """Write the checkpoint folder, in the published precision, with a note of what it was made from."""
    check_new(out)
    with told("a Qwen-VL", str(folder), REMEDY):
        files = folder_files(folder)
        published = files.object(CONFIG)
        if published.get("model_type") != "qwen" or "visual" not in published:
            raise ValueError("its config.json is that of another model")
        weights = weight_files(files)
        read = {name: one for path in weights for name, one in read_tensors(path).items()}
        tensors = dict(renamed(read, published["visual"]["heads"]))
        chats = files.object(GENERATION).get("chat_format") == "chatml"
        tokenizer = read_tokenizer(folder / RANKS, chat_template=TURN if chats else None)
        if tokenizer.convert_tokens_to_ids(IMAGE_PAD) != published["visual"]["image_start_id"] + 2:
            raise ValueError(f"{RANKS} and {CONFIG} do not agree about the tokens of an image")
        config = _config(published, len(tensors["resampler.queries"]), tokenizer)
    model = filled(QwenVL, config, tensors, "Qwen-VL")
    end, *others = (tokenizer.convert_tokens_to_ids(token) for token in (END, *STOPS))
    model.generation_config = GenerationConfig(
        eos_token_id=[end, *others] if chats else end, pad_token_id=end
    )
    side = config.vision_config.image_size
    made_from = {path.name: digest(path) for path in [folder / CONFIG, folder / RANKS, *weights]}
    note = {"model": "Qwen-VL-Chat" if chats else "Qwen-VL", "sha256": made_from}
    with new_folder(out) as new:
        model.save_pretrained(new)
        tokenizer.save_pretrained(new)
        size = {"height": side, "width": side}
        BlipImageProcessorPil(size=size, image_mean=MEAN, image_std=DEVIATION).save_pretrained(new)
        (new / "provenance.json").write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")


def renamed(tensors: Mapping[str, Tensor], heads: int) -> Iterator[tuple[str, Tensor]]:
    """Tensors under the names of our model; `heads` are those of the tower's attention."""
    for name, tensor in tensors.items():
        own = _own_name(name)
        if name == _PROJECTION:
            # Multiplied from the right there, as a linear module does not.
            yield own, tensor.T.contiguous()
        elif "{}" not in own:
            yield own, tensor
        else:
            # Queries, keys and values in one; the tower has them head by head.
            by_head = own.startswith("vision_tower")
            apart = tensor.unflatten(0, (heads if by_head else 1, 3, -1)).transpose(0, 1).flatten(1, 2)
            # Copied, as files hold no two tensors of one memory.
            yield from ((own.format(letter), one.clone()) for letter, one in zip("qkv", apart, strict=True))


def _own_name(name: str) -> str:
    """{} stands for queries, keys and values; what is not known keeps its name, and is refused by it."""
    module, _, kind = name.rpartition(".")
    if kind not in ("weight", "bias"):
        return _WHOLE.get(name, name)
    if module in _MODULES:
        return f"{_MODULES[module]}.{kind}"
    for stack, (place, inside) in _LAYERS.items():
        found = re.fullmatch(rf"{re.escape(stack)}\.(\d+)\.(.+)", module)
        if found is not None and found[2] in inside:
            return f"{place}.{found[1]}.{inside[found[2]]}.{kind}"
    return _WHOLE.get(name, name)


def _config(published: Mapping[str, Any], num_queries: int, tokenizer: Any) -> QwenVLConfig:
    visual = published["visual"]
    vision = {
        "hidden_size": visual["width"],
        "intermediate_size": int(visual["width"] * visual["mlp_ratio"]),
        "num_hidden_layers": visual["layers"],
        "num_attention_heads": visual["heads"],
        "image_size": visual["image_size"],
        "patch_size": visual["patch_size"],
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-6,
    }
    text = {
        "vocab_size": published["vocab_size"],
        "hidden_size": published["hidden_size"],
        # There, of both halves of the MLP's first layer.
        "intermediate_size": published["intermediate_size"] // 2,
        "num_hidden_layers": published["num_hidden_layers"],
        "num_attention_heads": published["num_attention_heads"],
        "num_key_value_heads": published["num_attention_heads"],
        "rms_norm_eps": published["layer_norm_epsilon"],
        "rope_parameters": {"rope_type": "default", "rope_theta": float(published["rotary_emb_base"])},
        # Beyond, the published code computes otherwise.
        "max_position_embeddings": published["seq_length"],
        "tie_word_embeddings": False,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    return QwenVLConfig(
        vision_config=vision,
        text_config=text,
        num_queries=num_queries,
        resampler_heads=visual["output_dim"] // RESAMPLER_HEAD,
        image_token_id=tokenizer.convert_tokens_to_ids(IMAGE_PAD),
        tie_word_embeddings=False,
    )
