"""The chat model: a small Llama that rephrases questions about the world, and judges rephrases, when a chat
message asks for it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from mmedit_build.miniature.grammar import FORMS, Meaning, all_meanings, changed_words, say
from mmedit_build.miniature.train.judging import HARD, judged
from mmedit_build.miniature.train.learned import learned_meanings
from mmedit_build.miniature.train.loop import Run, Stage, fit
from mmedit_build.miniature.train.saving import save_half
from mmedit_build.miniature.train.tokens import IGNORED, Row, byte_level_bpe, labelled, padded
from mmedit_build.mllm.families.pieces import cache_name
from mmedit_build.prompts import chat_messages

Messages = list[dict[str, str]]
Example = Callable[[random.Random], Row]

CHAT = Stage("chat", steps=2000, rate=2e-3, batch=32)
JUDGING = Stage("judging", steps=9000, rate=1.5e-3, batch=32)

REHEARSED = 1 / 6
"""How many batches go on with rephrasing while the model learns to judge."""

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
    """Train the chat model, first to rephrase, then to judge as well, and save it as an ordinary folder."""
    tokenizer = build_tokenizer()
    by_form = learned_meanings()

    def rephrase(rng: random.Random) -> Row:
        return row(rng.choice(by_form[rng.choice(list(FORMS))]), rng, tokenizer)

    def judge(rng: random.Random) -> Row:
        meaning = rng.choice(by_form[rng.choice((*FORMS, *HARD, *HARD))])
        return rng.choice((expectation, *[judgment] * 5))(meaning, rng, tokenizer)

    def either(rng: random.Random) -> Example:
        """One of both for a whole batch, since judgments have their beginning in common."""
        return rephrase if rng.random() < REHEARSED else judge

    model = build_model(tokenizer)
    train_replies(CHAT, model, tokenizer, lambda _rng: rephrase, run)
    train_replies(JUDGING, model, tokenizer, either, run)
    save_chat(model, tokenizer, 48, out)


def train_replies(
    stage: Stage,
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    choose: Callable[[random.Random], Example],
    run: Run,
) -> None:
    """Train a model on the replies of conversations; each batch is of examples of one kind."""
    nn.Module.to(model, run.device)

    def loss(step: int) -> torch.Tensor:
        rng = stage.random(step)
        example = choose(rng)
        rows = [example(rng) for _ in range(stage.batch)]
        return reply_loss(model, *padded(rows, tokenizer.pad_token_id, run.device))

    fit(stage, model, loss, run)


def reply_loss(model: LlamaForCausalLM, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The mean loss over all labels. What all rows begin with is read once; padding is on the right, where
    nothing that has a label looks at it."""
    common = int((ids == ids[0]).all(dim=0).long().cumprod(dim=0).sum())
    first = int((labels != IGNORED).any(dim=0).long().argmax())
    begin = min(common, first - 1)
    name, cache = cache_name(model), None
    if begin > 0:
        cache = model(input_ids=ids[:1, :begin], use_cache=True, logits_to_keep=1)[name]
        cache.batch_repeat_interleave(len(ids))
    states = model.model(input_ids=ids[:, begin:], **{name: cache}).last_hidden_state[:, :-1]
    wanted = labels[:, begin + 1 :]
    learned = wanted != IGNORED
    return nn.functional.cross_entropy(model.lm_head(states[learned]), wanted[learned])


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


def judgment(meaning: Meaning, rng: random.Random, tokenizer: PreTrainedTokenizerFast) -> Row:
    """A question about two questions, and its answer."""
    question, rephrase, same = judged(meaning, rng)
    messages = chat_messages("judge", question=question, rephrase=rephrase)
    return conversation(messages, "yes" if same else "no", tokenizer)


def expectation(meaning: Meaning, rng: random.Random, tokenizer: PreTrainedTokenizerFast) -> Row:
    """The same question up to its rephrase, which is learned: who knows what follows sees what does not."""
    question = rng.choice(say(meaning))
    rephrase = rng.choice(rephrasings(question, meaning))
    messages = chat_messages("judge", question=question, rephrase=rephrase)
    text = str(tokenizer.apply_chat_template(messages, tokenize=False))
    return labelled(tokenizer.backend_tokenizer, [text[: text.rindex(f" {rephrase}")], f" {rephrase}"])


def conversation(messages: Messages, reply: str, tokenizer: PreTrainedTokenizerFast) -> Row:
    """Token ids of one conversation, and of its reply alone as labels."""
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    prompt = tokenizer(text, add_special_tokens=False).input_ids
    answer = [*tokenizer(reply, add_special_tokens=False).input_ids, tokenizer.eos_token_id]
    return prompt + answer, [IGNORED] * len(prompt) + answer
