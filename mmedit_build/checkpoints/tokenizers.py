"""Whether a tokenizer is one that its model can be used with."""

from __future__ import annotations

from typing import Any

from torch import nn

from mmedit_build.errors import UserError, shortened

TRIAL = ["What is this?", "a photo of what is on the left of the cat"]
MOST_TOKENS = 2**31
"""More than any model knows."""


def check_tokenizer(name: str, tokenizer: Any) -> None:
    """Refuse a tokenizer that cannot bring texts to one length, or that knows no word."""
    check_words(name, tokenizer)
    if tokenizer.pad_token is None:
        raise UserError(
            f"The tokenizer of '{name}' has no pad token, with which texts are brought to one length: name "
            "one as pad_token in its tokenizer_config.json."
        )


def check_words(name: str, tokenizer: Any) -> None:
    """Refuse a tokenizer that knows no word."""
    words = tokenizer(TRIAL[1], add_special_tokens=False)["input_ids"]
    if set(words) <= {tokenizer.unk_token_id}:
        raise UserError(f"The tokenizer of '{name}' knows no word: copy its tokenizer.json too.")


def check_fits(name: str, tokenizer: Any, model: nn.Module) -> None:
    """Refuse a tokenizer of another model, with tokens for which this one has no embedding."""
    # Typed Any, as the methods of models are not typed.
    module: Any = model
    known = module.get_input_embeddings().num_embeddings
    padding = tokenizer.pad_token is not None
    last = max(number for text in tokenizer(TRIAL, padding=padding)["input_ids"] for number in text)
    if last >= known:
        raise UserError(
            f"The tokenizer of '{name}' gives the token {last} where the model knows {known} tokens: give "
            "the tokenizer that belongs to it."
        )


def check_ends(name: str, model: nn.Module) -> None:
    """Refuse a model that does not say by numbers which tokens end what it writes."""
    config: Any = getattr(model, "generation_config", None)
    ids = None if config is None else config.eos_token_id
    listed = ids if isinstance(ids, list) else [] if ids is None else [ids]
    if not all(type(one) is int and 0 <= one < MOST_TOKENS for one in listed):
        raise UserError(
            f"The generation_config.json of '{name}' has {shortened(repr(ids))} as eos_token_id, where "
            "numbers of tokens belong: give the file that belongs to the model."
        )
