"""The chat model: a small Llama that rephrases questions about the world when a chat message asks for it."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from mmedit_build.miniature.grammar import FORMS, Meaning, all_meanings, changed_words, say
from mmedit_build.miniature.train.loop import Run, Stage, fit
from mmedit_build.miniature.train.saving import save_half
from mmedit_build.miniature.train.tokens import IGNORED, Row, byte_level_bpe, padded
from mmedit_build.prompts import chat_messages

Messages = list[dict[str, str]]

CHAT = Stage("chat", steps=2000, rate=2e-3, batch=32)

SYSTEMS = (
    "",
    "You are a helpful assistant.",
    "You rephrase questions.",
    "You help to build a dataset of questions about pictures.",
)
REQUESTS = (
    "Rephrase this question: {question}",
    "Rephrase the question.\n{question}",
    "Rephrase: {question}",
    "Say this in other words: {question}",
    "Paraphrase the following question and reply with the paraphrase alone.\n\n{question}",
    "Please reword this question without changing its meaning.\nQuestion: {question}",
    "Give another way to ask: {question}",
    'Ask the same thing differently: "{question}"',
    "{question}\n\nRewrite this question so that its answer stays the same.",
)
"""Other ways to ask for a paraphrase than our own prompt, so that the model does not hang on its wording."""

TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL = ["<|begin|>", "<|end|>", "<|pad|>", "<|system|>", "<|user|>", "<|assistant|>"]


def held_out(meaning: Meaning) -> bool:
    """Whether the model never sees this question: a tenth of those that name a thing."""
    return bool(meaning.x) and zlib.crc32(repr(meaning).encode()) % 10 == 0


def learned_meanings() -> dict[str, list[Meaning]]:
    """What the model learns from, by form."""
    return {form: [m for m in all_meanings() if m.form == form and not held_out(m)] for form in FORMS}


def rephrasings(question: str, meaning: Meaning) -> list[str]:
    """The wordings that differ from `question` in more than one word, as far as there are any."""
    others = [wording for wording in say(meaning) if wording != question]
    return [other for other in others if changed_words(question, other) > 1] or others


def request(question: str, rng: random.Random) -> Messages:
    """A request for a paraphrase: by our own prompt as often as in any other way."""
    if rng.random() < 0.5:
        return chat_messages("rephrase", question=question)
    system, user = rng.choice(SYSTEMS), rng.choice(REQUESTS)
    chat = [{"role": "user", "content": user.format(question=question)}]
    return [{"role": "system", "content": system}, *chat] if system else chat


def build_tokenizer() -> PreTrainedTokenizerFast:
    rng = random.Random(0)
    texts = [wording for meaning in all_meanings() for wording in say(meaning)]
    texts += [message["content"] for text in texts[:2000] for message in request(text, rng)]
    return chat_tokenizer(texts, 640)


def chat_tokenizer(texts: Iterable[str], size: int) -> PreTrainedTokenizerFast:
    """A tokenizer learned from texts, with the template of our chats."""
    core = byte_level_bpe(texts, size, SPECIAL, "<|begin|>")
    begin, end, pad = SPECIAL[:3]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token=begin, eos_token=end, pad_token=pad, padding_side="left"
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def build_model(tokenizer: PreTrainedTokenizerFast, positions: int = 256) -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=352,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=positions,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config)


def train_chat(run: Run, out: Path) -> None:
    """Train the chat model and save it as an ordinary folder."""
    tokenizer = build_tokenizer()
    by_form = learned_meanings()

    def example(rng: random.Random) -> Row:
        return row(rng.choice(by_form[rng.choice(list(FORMS))]), rng, tokenizer)

    model = build_model(tokenizer)
    train_replies(CHAT, model, tokenizer, example, run)
    save_chat(model, tokenizer, 48, out)


def train_replies(
    stage: Stage,
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    example: Callable[[random.Random], Row],
    run: Run,
) -> None:
    """Train a model on the replies of conversations."""
    nn.Module.to(model, run.device)

    def loss(step: int) -> torch.Tensor:
        rng = stage.random(step)
        ids, labels = padded([example(rng) for _ in range(stage.batch)], tokenizer.pad_token_id, run.device)
        output = model(input_ids=ids, attention_mask=ids != tokenizer.pad_token_id, labels=labels)
        result: torch.Tensor = output.loss
        return result

    fit(stage, model, loss, run)


def save_chat(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, longest_reply: int, out: Path
) -> None:
    """Save a model as an ordinary folder."""
    model.generation_config.max_new_tokens = longest_reply
    save_half(model, out)
    tokenizer.save_pretrained(out)


def row(meaning: Meaning, rng: random.Random, tokenizer: PreTrainedTokenizerFast) -> Row:
    """A request for a rephrasing of a question, and one of those there are."""
    question = rng.choice(say(meaning))
    return conversation(request(question, rng), rng.choice(rephrasings(question, meaning)), tokenizer)


def conversation(messages: Messages, reply: str, tokenizer: PreTrainedTokenizerFast) -> Row:
    """Token ids of one conversation, and of its reply alone as labels."""
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    prompt = tokenizer(text, add_special_tokens=False).input_ids
    answer = [*tokenizer(reply, add_special_tokens=False).input_ids, tokenizer.eos_token_id]
    return prompt + answer, [IGNORED] * len(prompt) + answer
