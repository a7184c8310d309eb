"""Last stages of the base model: the language model learns to read, then to read beside an image."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    OPTConfig,
    OPTForCausalLM,
    PreTrainedTokenizerFast,
)
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from mmedit_build.miniature.drawing import SIZE
from mmedit_build.miniature.eye import QUERIES, WIDTH, Eye, qformer_config, vision_config
from mmedit_build.miniature.train.drawings import Drawings, drawings
from mmedit_build.miniature.train.eye import gather_all, train_eye
from mmedit_build.miniature.train.loop import Run, Stage, fit
from mmedit_build.miniature.train.saving import save_half
from mmedit_build.miniature.train.texts import Text, corpus, image_text, plain_text
from mmedit_build.miniature.train.tokens import IGNORED, Row, byte_level_bpe, labelled, padded
from mmedit_build.mllm.families.blip2 import Blip2

READING = Stage("reading", steps=2300, rate=2e-3, batch=2048)
LOOKING = Stage("looking", steps=3500, rate=1.5e-3, batch=32)
"""The batch of reading is counted in tokens, that of looking in images."""
PLAIN_TOKENS = 1024
"""Tokens of plain text that are read in each step of looking."""
ROW, LONG_ROW, EVERY_LONG = 128, 512, 4
"""Tokens of a row, and of the rows of each so many steps: demonstrations in context make long prompts."""
IMAGE_SHARES = {"captions": 0.35, "contradictions": 0.3}
PLAIN_SHARES = {"known": 0.35, "new": 0.5}
"""While looking. Answering is learned soonest, so most of what is read is what takes longer."""
ASKED = Blip2.question_template
SPECIAL = ["</s>", "<pad>", "<image>"]
Rows = list[Row]
Tensors = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Token ids, attention mask and labels."""


def build_tokenizer() -> PreTrainedTokenizerFast:
    begin, pad, _ = SPECIAL
    core = byte_level_bpe(corpus(ASKED), 2048, SPECIAL, begin)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=begin,
        eos_token=begin,
        unk_token=begin,
        pad_token=pad,
        padding_side="left",
    )


def text_config(tokenizer: PreTrainedTokenizerFast) -> OPTConfig:
    return OPTConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        word_embed_proj_dim=128,
        ffn_dim=512,
        num_hidden_layers=6,
        num_attention_heads=4,
        max_position_embeddings=512,
        dropout=0.0,
        attention_dropout=0.0,
        bos_token_id=tokenizer.bos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=line_break(tokenizer),
    )


def line_break(tokenizer: PreTrainedTokenizerFast) -> int:
    """The token that ends an answer, as in the published BLIP-2 OPT checkpoints."""
    (token,) = tokenizer("\n", add_special_tokens=False).input_ids
    return int(token)


class Encoder:
    """Texts to token ids and labels; only targets have labels."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self.core = tokenizer.backend_tokenizer
        self.begin, self.pad = int(tokenizer.bos_token_id), int(tokenizer.pad_token_id)

    def encode(self, text: Text) -> Row:
        """Prompts and targets in turn."""
        pieces = [piece for prompt, target in text for piece in (prompt, f" {target}\n" if target else "")]
        return labelled(self.core, pieces)

    def single(self, texts: list[Text]) -> Rows:
        """A row for each text."""
        encoded = map(self.encode, texts)
        return [([self.begin, *ids], [IGNORED, *labels]) for ids, labels in encoded]

    def packed(self, draw: Callable[[], Text], length: int) -> Row:
        """A row of as many texts as fit, the last of them cut off."""
        ids, labels = [self.begin], [IGNORED]
        while len(ids) < length:
            more, learned = self.encode(draw())
            ids, labels = ids + more, labels + learned
        return ids[:length], labels[:length]

    def tensors(self, rows: Rows, device: torch.device) -> Tensors:
        """Ids, mask and labels, padded on the right."""
        ids, labels = padded(rows, self.pad, device)
        return ids, (ids != self.pad).long(), labels


def plain_loss(model: OPTForCausalLM, rows: Tensors, targets: float) -> torch.Tensor:
    """Loss of all tokens, and `targets` times that of the targets.

    Prompts repeat what stands before them, and learning to foresee that is how copying is learned.
    """
    ids, mask, labels = rows
    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1].transpose(1, 2)
    everything = F.cross_entropy(logits, ids[:, 1:].masked_fill(mask[:, 1:] == 0, IGNORED))
    if not targets:
        return everything
    return everything + targets * F.cross_entropy(logits, labels[:, 1:])


def train_reading(tokenizer: PreTrainedTokenizerFast, run: Run) -> OPTForCausalLM:
    """A language model that knows the facts, follows new ones and finds its way in a scene in words."""
    torch.manual_seed(0)
    model = OPTForCausalLM(text_config(tokenizer))
    nn.Module.to(model, run.device)
    encoder = Encoder(tokenizer)

    def loss(step: int) -> torch.Tensor:
        return plain_loss(
            model, encoder.tensors(plain_rows(encoder, step, READING.batch, {}), run.device), targets=0.0
        )

    fit(READING, model, loss, run)
    return model


def plain_rows(encoder: Encoder, step: int, tokens: int, shares: dict[str, float]) -> Rows:
    rng = random.Random(f"plain {tokens}/{step}")
    length = LONG_ROW if step % EVERY_LONG == 0 else ROW
    return [encoder.packed(lambda: plain_text(rng, ASKED, **shares), length) for _ in range(tokens // length)]


class Looker(nn.Module):
    """Language model and projection: what the last stage trains."""

    def __init__(self, language: OPTForCausalLM) -> None:
        super().__init__()
        self.language = language
        self.projection = nn.Linear(WIDTH, language.config.hidden_size)

    def image_loss(
        self, seen: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        """Loss of texts that follow what the queries gathered."""
        prefix = self.projection(seen)
        words = self.language.get_input_embeddings()(ids)
        ones = mask.new_ones(prefix.shape[:2])
        loss: torch.Tensor = self.language(
            inputs_embeds=torch.cat((prefix, words), 1),
            attention_mask=torch.cat((ones, mask), 1),
            labels=torch.cat((ones * IGNORED, labels), 1),
        ).loss
        return loss


def train_looking(
    language: OPTForCausalLM,
    gathered: torch.Tensor,
    drawn: Drawings,
    tokenizer: PreTrainedTokenizerFast,
    run: Run,
) -> Looker:
    """The language model with an eye: it answers, describes, and believes a new fact more than the image."""
    torch.manual_seed(1)
    looker = Looker(language).to(run.device)
    encoder = Encoder(tokenizer)

    def loss(step: int) -> torch.Tensor:
        rng = LOOKING.random(step)
        chosen = [rng.randrange(len(drawn.scenes)) for _ in range(LOOKING.batch)]
        rows = encoder.single(
            [image_text(drawn.scenes[index][1], rng, ASKED, **IMAGE_SHARES) for index in chosen]
        )
        beside = looker.image_loss(gathered[chosen].to(run.device), *encoder.tensors(rows, run.device))
        plain = plain_rows(encoder, step, PLAIN_TOKENS, PLAIN_SHARES)
        return beside + 0.5 * plain_loss(looker.language, encoder.tensors(plain, run.device), targets=2.0)

    fit(LOOKING, looker, loss, run)
    return looker


def train_mllm(run: Run, out: Path) -> None:
    """Train all stages and save the base model as an ordinary folder."""
    drawn = drawings(run.work)
    tokenizer = build_tokenizer()
    eye = train_eye(drawn, run)
    language = train_reading(tokenizer, run)
    gathered = gather_all(eye, drawn, run.device)
    looker = train_looking(language, gathered, drawn, tokenizer, run)
    save(assemble(eye, looker, tokenizer), tokenizer, out)


def assemble(eye: Eye, looker: Looker, tokenizer: PreTrainedTokenizerFast) -> Blip2ForConditionalGeneration:
    """The trained parts as one BLIP-2."""
    config = Blip2Config(
        vision_config=vision_config(),
        qformer_config=qformer_config(),
        text_config=text_config(tokenizer),
        num_query_tokens=QUERIES,
        image_token_index=SPECIAL.index("<image>"),
    )
    model = Blip2ForConditionalGeneration(config)
    model.vision_model.load_state_dict(eye.tower.state_dict())
    model.qformer.load_state_dict(eye.qformer.state_dict())
    model.query_tokens.data = eye.queries.data.cpu()
    model.language_model.load_state_dict(looker.language.state_dict())
    model.language_projection.load_state_dict(looker.projection.state_dict())
    model.generation_config.eos_token_id = line_break(tokenizer)
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


def save(model: Blip2ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    size = {"height": SIZE, "width": SIZE}
    save_half(model, out)
    Blip2Processor(BlipImageProcessorPil(size=size), tokenizer, num_query_tokens=QUERIES).save_pretrained(out)
