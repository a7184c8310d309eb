"""Chat models that run in this process, through transformers."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LogitsProcessor,
    LogitsProcessorList,
    TopKLogitsWarper,
    TopPLogitsWarper,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from mmedit_build.checkpoints import locate
from mmedit_build.checkpoints.files import find_files
from mmedit_build.checkpoints.tokenizers import check_fits, check_tokenizer
from mmedit_build.checkpoints.weights import load_whole, told
from mmedit_build.errors import UserError
from mmedit_build.mllm.loading import DTYPES, find_device
from mmedit_build.recipe import Local
from mmedit_build.services.asking import model_name
from mmedit_build.services.chat import NOT_NUMBERS, ChatRequest, Message, NoReply, Reply

TOO_LONG = "reply cut off by max_tokens"
EMPTY = "empty reply"
BELOW_ONE = 1 - 1e-6
TRIAL = "What is this?"
CHAT = "a chat model"
REMEDY = (
    "give a folder written by save_pretrained (with safetensors), or the id of a chat model on the Hub, "
    "which needs a connection, or the model downloaded before"
)


def look_at(model: Local) -> Any:
    """The tokenizer of a chat model, refused if the files beside it do not allow to load the model."""
    find_device(model.device)
    folder, revision = locate(model.model), model.revision
    with told(CHAT, model.model, REMEDY):
        find_files(folder, revision).check_model(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, revision=revision, padding_side="left")
        if tokenizer.chat_template is None:
            raise UserError(f"'{model.model}' has no chat template: name a model that was trained to chat.")
        if TRIAL not in _rendered(tokenizer, [{"role": "user", "content": TRIAL}]):
            raise UserError(
                f"The chat template of '{model.model}' leaves out what is said: give the one that belongs "
                "to it."
            )
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        check_tokenizer(model.model, tokenizer)
    return tokenizer


def _rendered(tokenizer: Any, messages: list[dict[str, str]]) -> str:
    text: str = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    return text


class LocalChat:
    """A chat model with its tokenizer. Equal requests get equal replies, whatever they are asked with, as far
    as the sums of a batch do not depend on its size."""

    def __init__(self, model: Any, tokenizer: Any, name: str, batch_size: int) -> None:
        self.name = name
        self._model = model
        self._tokenizer = tokenizer
        self._batch_size = batch_size
        config = model.generation_config
        ends = config.eos_token_id if config.eos_token_id is not None else tokenizer.eos_token_id
        self._ends = [ends] if isinstance(ends, int) else list(ends or ())
        self._pad = next(
            (one for one in (tokenizer.pad_token_id, config.pad_token_id, *self._ends) if one is not None), 0
        )

    @classmethod
    def load(cls, model: Local) -> LocalChat:
        """Load the checkpoint that a recipe names."""
        tokenizer = look_at(model)
        with told(CHAT, model.model, REMEDY):
            network = load_whole(
                AutoModelForCausalLM,
                locate(model.model),
                revision=model.revision,
                dtype=DTYPES[model.dtype],
            )
            check_fits(model.model, tokenizer, network)
            nn.Module.to(network.eval(), find_device(model.device))
            chat = cls(network, tokenizer, model_name(model), model.batch_size)
            # What is wrong with how a model writes is found out only when it does.
            chat.ask([ChatRequest((Message("user", TRIAL),), temperature=1.0, max_tokens=1)])
        return chat

    def ask(self, requests: Sequence[ChatRequest]) -> list[Reply | NoReply]:
        """One outcome for each request, in order; equal requests are run once."""
        for request in requests:
            if any(message.image for message in request.messages):
                raise UserError(f"{self.name} reads text only: name a model that takes images.")
        texts = {request: self._text(request) for request in requests}
        # Rows of like length share a batch, as each is padded to its longest; ties keep their order.
        wanted = sorted(texts, key=lambda request: (request.max_tokens, len(texts[request])))
        outcomes: dict[ChatRequest, Reply | NoReply] = {}
        for start in range(0, len(wanted), self._batch_size):
            batch = wanted[start : start + self._batch_size]
            outcomes.update(zip(batch, self._batch(batch, [texts[one] for one in batch]), strict=True))
        return [outcomes[request] for request in requests]

    def _text(self, request: ChatRequest) -> str:
        messages = [{"role": message.role, "content": message.text} for message in request.messages]
        return _rendered(self._tokenizer, messages)

    @torch.inference_mode()
    def _batch(self, requests: Sequence[ChatRequest], texts: Sequence[str]) -> list[Reply | NoReply]:
        # The template writes all special tokens itself.
        inputs = self._tokenizer(list(texts), add_special_tokens=False, padding=True, return_tensors="pt").to(
            self._model.device
        )
        choice = _Choice(requests, self._model.generation_config)
        # What is chosen is left as the only token that is possible, so generate has but to take the greatest.
        written = self._model.generate(
            **inputs,
            do_sample=False,
            max_new_tokens=max(request.max_tokens for request in requests),
            eos_token_id=self._ends or None,
            pad_token_id=self._pad,
            logits_processor=LogitsProcessorList([choice]),
        )
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        new = written[:, inputs["input_ids"].shape[1] :].tolist()
        logs = choice.logs()
        return [
            self._outcome(request, row, logs[index], lengths[index])
            for index, (request, row) in enumerate(zip(requests, new, strict=True))
        ]

    def _outcome(
        self, request: ChatRequest, tokens: list[int], logs: list[float], tokens_in: int
    ) -> Reply | NoReply:
        end = next((index for index, token in enumerate(tokens) if token in self._ends), None)
        if not all(math.isfinite(log) for log in logs[: None if end is None else end + 1]):
            return NoReply(NOT_NUMBERS)
        if end is None or end > request.max_tokens:
            return NoReply(TOO_LONG)
        text = self._tokenizer.decode(tokens[:end], skip_special_tokens=True).strip()
        if not text:
            return NoReply(EMPTY)
        confidence = math.exp(sum(logs[:end]) / end) if request.logprobs else None
        return Reply(text, confidence, tokens_in, end + 1, cached=False)


class _Choice(LogitsProcessor):
    """Chooses the next token of each row by its own random numbers, which come from its request alone."""

    def __init__(self, requests: Sequence[ChatRequest], config: Any) -> None:
        self._temperatures = torch.tensor([request.temperature for request in requests])
        self._dice = [random.Random(seed(request)) for request in requests]
        self._warpers = LogitsProcessorList()
        if config.top_k:
            self._warpers.append(TopKLogitsWarper(config.top_k))
        if config.top_p is not None and config.top_p < 1:
            self._warpers.append(TopPLogitsWarper(config.top_p))
        self._logs: list[Tensor] = []

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """The scores with all tokens forbidden but the chosen one of each row."""
        scores = scores.float()
        # Where there is a NaN it is the greatest; its row goes on with any token, and is given up in the end.
        broken = ~scores.amax(dim=-1, keepdim=True).isfinite()
        scores = scores.masked_fill(broken, 0.0)
        temperatures = self._temperatures.to(scores.device)[:, None]
        chosen = scores.argmax(dim=-1, keepdim=True)
        if temperatures.any():
            warped = self._warpers(input_ids, scores / temperatures.clamp(min=1e-6))
            cumulated = warped.softmax(dim=-1).cumsum(dim=-1)
            rolled = torch.tensor([[dice.random()] for dice in self._dice], device=scores.device)
            # Below the last sum, which rounding keeps from being 1, so that no impossible token is met.
            sampled = torch.searchsorted(cumulated, rolled * cumulated[:, -1:] * BELOW_ONE, right=True)
            chosen = torch.where(temperatures > 0, sampled, chosen)
        self._logs.append(scores.log_softmax(dim=-1).gather(-1, chosen).masked_fill(broken, math.nan))
        return torch.full_like(scores, -math.inf).scatter(-1, chosen, 0.0)

    def logs(self) -> list[list[float]]:
        """The log-probabilities of what was chosen, row by row."""
        logs: list[list[float]] = torch.cat(self._logs, dim=-1).tolist()
        return logs


def seed(request: ChatRequest) -> int:
    """The seed of a request's sampling: a digest of all that it says."""
    said = [(message.role, message.text) for message in request.messages]
    return int.from_bytes(
        hashlib.sha256(repr((said, request.sample)).encode("utf-8", "replace")).digest()[:8]
    )
