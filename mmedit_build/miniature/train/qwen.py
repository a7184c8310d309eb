"""The second base model of the miniature: a Qwen3-VL that sees, then reads, then reads beside an image."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from transformers import (
    PreTrainedTokenizerFast,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLTextConfig,
    Qwen3VLTextModel,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from mmedit_build.errors import UserError
from mmedit_build.miniature.drawing import SIZE
from mmedit_build.miniature.eye import PATCH, load_tower
from mmedit_build.miniature.train.drawings import Drawings, drawings
from mmedit_build.miniature.train.loop import Run, Stage, fit
from mmedit_build.miniature.train.saving import save_half
from mmedit_build.miniature.train.texts import Text, image_text, plain_text
from mmedit_build.miniature.train.tokens import IGNORED, Row
from mmedit_build.miniature.train.tower import (
    FRAMES,
    MERGE,
    OUT,
    TOKENS,
    grids,
    see_all,
    tower_config,
    train_tower,
)
from mmedit_build.miniature.train.turns import (
    END,
    IMAGE,
    PAD,
    SPECIAL,
    VIDEO,
    VISION_END,
    VISION_START,
    Turns,
    after,
    build_tokenizer,
)
from mmedit_build.mllm.families.qwen_vl import Qwen3VL

READING = Stage("qwen reading", steps=2300, rate=2e-3, batch=2048)
LOOKING = Stage("qwen looking", steps=4200, rate=1.5e-3, batch=24)
"""The batch of reading is counted in tokens, that of looking in images."""
PLAIN_TOKENS = 1024
ROW, LONG_ROW, EVERY_LONG = 128, 512, 4
IMAGE_SHARES = {"captions": 0.3, "contradictions": 0.3}
PLAIN_SHARES = {"known": 0.35, "new": 0.5}
SHOWN = 0.3
"""Of new facts that contradict an image, how many come after others, as demonstrations are shown."""
EYE = "mllm"
"""Whose eye the tower starts from: the checkpoint of that name, beside this one."""
ASKED = Qwen3VL.question_template


def model_config(tokenizer: PreTrainedTokenizerFast) -> Qwen3VLConfig:
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    rope = {
        "rope_type": "default",
        "rope_theta": 10_000.0,
        "mrope_section": [8, 4, 4],
        "mrope_interleaved": True,
    }
    text = Qwen3VLTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=OUT,
        intermediate_size=288,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=LONG_ROW,
        rope_parameters=rope,
        **ends,
    )
    return Qwen3VLConfig(
        text_config=text.to_dict(),
        vision_config=tower_config().to_dict(),
        tie_word_embeddings=True,
        image_token_id=SPECIAL.index(IMAGE),
        video_token_id=SPECIAL.index(VIDEO),
        vision_start_token_id=SPECIAL.index(VISION_START),
        vision_end_token_id=SPECIAL.index(VISION_END),
        **ends,
    )


def logits(language: Qwen3VLTextModel, hidden: torch.Tensor) -> torch.Tensor:
    """The head is the table of words."""
    return F.linear(hidden, language.embed_tokens.weight)


def plain_loss(
    language: Qwen3VLTextModel, ids: torch.Tensor, labels: torch.Tensor, targets: float
) -> torch.Tensor:
    """Loss of all tokens of full rows, and `targets` times that of the targets."""
    found = logits(language, language(input_ids=ids).last_hidden_state)[:, :-1].transpose(1, 2)
    everything = F.cross_entropy(found, ids[:, 1:])
    if not targets:
        return everything
    return everything + targets * F.cross_entropy(found, labels[:, 1:])


def plain_rows(encoder: Turns, step: int, tokens: int, shares: dict[str, float]) -> list[Row]:
    rng = random.Random(f"turns {tokens}/{step}")
    length = LONG_ROW if step % EVERY_LONG == 0 else ROW
    return [
        encoder.packed(lambda: plain_text(rng, ASKED, **shares), length, rng) for _ in range(tokens // length)
    ]


def train_reading(model: Qwen3VLForConditionalGeneration, encoder: Turns, run: Run) -> None:
    """The language model learns the facts, to follow new ones, and its way in a scene in words."""
    language = model.model.language_model

    def loss(step: int) -> torch.Tensor:
        rows = plain_rows(encoder, step, READING.batch, {})
        return plain_loss(language, *encoder.tensors(rows, run.device), targets=0.0)

    fit(READING, language, loss, run)


class Looker(nn.Module):
    """The language model and what merges the image: what the last stage trains."""

    def __init__(self, model: Qwen3VLForConditionalGeneration) -> None:
        super().__init__()
        self.language = model.model.language_model
        visual = model.model.visual
        self.mergers = nn.ModuleList([visual.merger, *visual.deepstack_merger_list])
        self.places = model.model.get_rope_index
        self.image_id = model.config.image_token_id

    def image_loss(self, seen: list[torch.Tensor], ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Loss of the targets of rows that begin with an image; padding stands behind all of them."""
        features, *deep = (
            merger(view.flatten(0, 1)) for merger, view in zip(self.mergers, seen, strict=True)
        )
        there = ids == self.image_id
        places, _ = self.places(ids, there.int(), grids(len(ids)).to(ids.device))
        words = self.language.embed_tokens(ids)
        hidden = self.language(
            inputs_embeds=words.masked_scatter(there[..., None], features),
            position_ids=places,
            visual_pos_masks=there,
            deepstack_visual_embeds=deep,
        ).last_hidden_state[:, :-1]
        learned = labels[:, 1:] != IGNORED
        return F.cross_entropy(logits(self.language, hidden[learned]), labels[:, 1:][learned])


def image_row(encoder: Turns, drawn: Drawings, index: int, rng: random.Random) -> Row:
    text = image_text(drawn.scenes[index][1], rng, ASKED, **IMAGE_SHARES)
    if text[0][0].startswith("New Fact") and rng.random() < SHOWN:
        text = after([_new_fact(rng) for _ in range(rng.randint(1, 2))], text)
    return encoder.beside_image(text, rng)


def _new_fact(rng: random.Random) -> Text:
    return plain_text(rng, ASKED, known=0.0, new=1.0)


def train_looking(model: Qwen3VLForConditionalGeneration, drawn: Drawings, encoder: Turns, run: Run) -> None:
    """The language model gets eyes: it answers, describes, and believes a new fact more than the image."""
    looker = Looker(model).to(run.device)
    seen = see_all(model.model.visual, drawn, run.device)

    def loss(step: int) -> torch.Tensor:
        rng = LOOKING.random(step)
        chosen = [rng.randrange(len(drawn.scenes)) for _ in range(LOOKING.batch)]
        rows = [image_row(encoder, drawn, index, rng) for index in chosen]
        views = [view[chosen].to(run.device).float() for view in seen]
        beside = looker.image_loss(views, *encoder.tensors(rows, run.device))
        plain = plain_rows(encoder, step, PLAIN_TOKENS, PLAIN_SHARES)
        return beside + 0.5 * plain_loss(looker.language, *encoder.tensors(plain, run.device), targets=2.0)

    fit(LOOKING, looker, loss, run)


def train_qwen(run: Run, out: Path) -> None:
    """Train all stages and save the model as an ordinary folder."""
    beside = out.parent / EYE
    if not beside.is_dir():
        raise UserError(f"The tower starts from the eye of {beside}, which is not there: train {EYE} first.")
    drawn = drawings(run.work)
    tokenizer = build_tokenizer(ASKED)
    torch.manual_seed(0)
    model = Qwen3VLForConditionalGeneration(model_config(tokenizer))
    nn.Module.to(model, run.device)
    encoder = Turns(tokenizer, TOKENS)
    tower = train_tower(load_tower(beside), drawn, run)
    model.model.visual.load_state_dict(tower.state_dict())
    train_reading(model, encoder, run)
    train_looking(model, drawn, encoder, run)
    save(model, tokenizer, out)


def save(model: Qwen3VLForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    model.generation_config.eos_token_id = [SPECIAL.index(END), SPECIAL.index(PAD)]
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    save_half(model, out)
    tokenizer.save_pretrained(out)
    pixels = SIZE * SIZE
    Qwen2VLImageProcessorPil(
        patch_size=PATCH,
        merge_size=MERGE,
        temporal_patch_size=FRAMES,
        size={"shortest_edge": pixels, "longest_edge": pixels},
    ).save_pretrained(out)
