"""SERAC's counterfactual model: a small language model that answers with an edit before the query."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
)

from editors.base import State
from mmedit_build.checkpoints import locate
from mmedit_build.checkpoints.files import find_files
from mmedit_build.checkpoints.weights import load_whole, told
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Positions, Query, Row, Scored
from mmedit_build.mllm.rows import check_lengths, pad_left

BASE = "base"
"""The model that needs no further checkpoint: the first layers of the base model's own language model."""

TEXT_ALONE = {"qwen2_vl_text": "qwen2", "qwen2_5_vl_text": "qwen2", "qwen3_vl_text": "qwen3"}
"""Types of language models that stand in no model of their own, and the type that is the same on text."""
REMEDY = (
    f"give a folder or id of a language model with safetensors, or '{BASE}' for the first layers of the "
    "model's own"
)


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """A query after an edit."""

    row: Row
    seen: Tensor | None
    """What the base model sees of the image."""
    plain: int
    """Positions of the query without the edit."""

    def asked(self, positions: Positions) -> range:
        """The positions whose logits are asked for."""
        first = self.row.prompt_length - 1
        if positions == "target":
            return range(first, self.row.length - 1)
        return range(max(0, self.row.length - self.plain), self.row.length)

    def scored(self, logits: Tensor, positions: Positions) -> Scored:
        """From the logits at these positions."""
        targets = torch.tensor(self.row.target_ids, dtype=torch.long, device=logits.device)
        first = self.row.prompt_length - 1 - self.asked(positions).start
        return Scored(logits.float(), targets, first)


class Counterfactual(nn.Module):
    """A causal language model whose text stands after what the base model sees of the image.

    `projection` leads from the width of that to the model's own.
    """

    def __init__(self, language: Any, seen: int) -> None:
        super().__init__()
        # Typed Any, as language models of all sorts are called alike.
        self.language: Any = language
        self.projection = nn.Linear(seen, language.get_input_embeddings().embedding_dim)
        # It starts from nothing: the answer lies in the edit, and a model that begins by describing the image
        # takes far longer to look there.
        nn.init.zeros_(self.projection.weight)
        nn.init.zeros_(self.projection.bias)
        self.eval()

    def train(self, mode: bool = True) -> Self:  # noqa: ARG002
        """Always as in use: without dropout, so that runs repeat."""
        return super().train(False)

    @classmethod
    def load(cls, name: str, mllm: MLLM, layers: int) -> Self:
        """The model to start from: `base`, or a folder or id of a model with the same tokens."""
        language = _first_layers(mllm, layers) if name == BASE else _checkpoint(name, mllm)
        return cls(language, mllm.embed_tokens.embedding_dim).to(mllm.device)

    def told(
        self,
        mllm: MLLM,
        queries: Sequence[Query],
        prompts: Sequence[str],
        *,
        new_tokens: int = 0,
        ends: Sequence[int] = (),
    ) -> list[Told]:
        """Queries with other prompts, which hold an edit.

        With `new_tokens` these take the place of the targets; `ends` are tokens that shall follow a target.
        """
        told = [replace(query, prompt=prompt) for query, prompt in zip(queries, prompts, strict=True)]
        asked, given = (mllm.rows(side, targets=not new_tokens) for side in (queries, told))
        given = [replace(row, ids=(*row.ids, *ends)) for row in given]
        limit = self.language.config.max_position_embeddings
        check_lengths([row.length for row in given], [query.prompt for query in queries], new_tokens, limit)
        views = iter(mllm.image_features([query for query in told if query.image is not None]))
        return [
            Told(row, next(views) if row.image else None, plain.length)
            for row, plain in zip(given, asked, strict=True)
        ]

    def score(self, told: Sequence[Told], positions: Positions) -> list[Scored]:
        """Logits where targets are predicted, or at as many last positions as the query has without the edit.

        One batch, with gradients.
        """
        embedded = [self._embedded(one) for one in told]
        # Padded at the end, where no position that counts looks.
        padded = pad_sequence(embedded, batch_first=True)
        mask = pad_sequence([torch.ones_like(one[:, 0]) for one in embedded], batch_first=True)
        asked = [one.asked(positions) for one in told]
        kept = torch.tensor(sorted({place for places in asked for place in places}), device=padded.device)
        said: Tensor = self.language(
            inputs_embeds=padded, attention_mask=mask.long(), logits_to_keep=kept
        ).logits
        starts = torch.searchsorted(kept, torch.tensor([one.start for one in asked], device=kept.device))
        return [
            one.scored(logits[start : start + len(places)], positions)
            for one, logits, start, places in zip(told, said, starts.tolist(), asked, strict=True)
        ]

    @torch.no_grad()
    def write(
        self, told: Sequence[Told], new_tokens: int, stops: Sequence[int]
    ) -> list[tuple[list[int], list[float]]]:
        """The greedy continuation of each row up to a stop token: its tokens and their log-probabilities."""
        padded, valid = pad_left([self._embedded(one) for one in told])
        found: Any = self.language.generate(
            inputs_embeds=padded,
            attention_mask=valid.long(),
            generation_config=GenerationConfig(
                max_new_tokens=new_tokens,
                do_sample=False,
                eos_token_id=list(stops) or None,
                pad_token_id=stops[0] if stops else 0,
                return_dict_in_generate=True,
                output_logits=True,
            ),
        )
        sure = torch.stack(found.logits, dim=1).float().log_softmax(dim=-1)
        log_probs = sure.gather(2, found.sequences[:, :, None])[..., 0].tolist()
        return [_until_stop(*pair, stops) for pair in zip(found.sequences.tolist(), log_probs, strict=True)]

    def _embedded(self, told: Told) -> Tensor:
        ids = torch.tensor(told.row.ids, device=self.projection.weight.device)
        places = torch.tensor(told.row.image, dtype=torch.long, device=ids.device)
        # The placeholder may lie outside of the vocabulary.
        words: Tensor = self.language.get_input_embeddings()(ids.index_fill(0, places, 0))
        if told.seen is None:
            return words
        return words.index_copy(0, places, self.projection(told.seen.to(self.projection.weight)))

    # Keeping

    def state(self) -> State:
        fields = {"language": self.language.config.to_dict(), "seen": self.projection.in_features}
        return State(dict(self.named_parameters()), fields)

    @classmethod
    def from_state(cls, state: State) -> Self:
        config = AutoConfig.for_model(**cast("dict[str, Any]", state.fields["language"]))
        model = cls(_made(config), int(str(state.fields["seen"])))
        for name, parameter in model.named_parameters():
            parameter.data = state.tensors[name].clone()
        return model


def _made(config: Any) -> nn.Module:
    if getattr(config, "use_bidirectional_attention", None):
        # Where a model looks both ways over prompts, as PaliGemma does, its language model by itself would
        # look at targets, too.
        config.use_bidirectional_attention = False
    return cast("nn.Module", AutoModelForCausalLM.from_config(config, dtype=torch.float32))


def _first_layers(mllm: MLLM, layers: int) -> nn.Module:
    # Typed Any, as the attributes of configs are not typed.
    config: Any = _alone(mllm.model.config.get_text_config())
    config.num_hidden_layers = min(layers, mllm.n_layers)
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[: config.num_hidden_layers]
    language = _made(config)
    # Vision towers can have layers of the same names.
    own = set(map(id, mllm.part("language").values()))
    everything = mllm.model.named_parameters(remove_duplicate=False)
    # Where images go through weights of their own, the counterfactual model starts from those for text.
    known = {name.replace(".text.", "."): one for name, one in everything if id(one) in own}
    for name, parameter in language.named_parameters():
        parameter.data = _namesake(name, known).data.detach().float().cpu().clone()
    return language


def _alone(config: Any) -> Any:
    """A copy of the config of a language model as that of a model of its own."""
    if config.model_type in TEXT_ALONE:
        fields = config.to_dict() | {"model_type": TEXT_ALONE[config.model_type]}
        # On text all axes count alike, as one does.
        axes = ("mrope_section", "mrope_interleaved")
        rope = {name: one for name, one in fields["rope_parameters"].items() if name not in axes}
        return AutoConfig.for_model(**fields | {"rope_parameters": rope})
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise UserError(
            f"A language model of type '{config.model_type}' cannot be a counterfactual model by itself: "
            "name a checkpoint as `counterfactual`."
        )
    return copy.deepcopy(config)


def _namesake(name: str, known: Mapping[str, nn.Parameter]) -> nn.Parameter:
    """The base model's parameter of that name, wherever in it the language model lies."""
    steps = name.split(".")
    for start in range(len(steps)):
        suffix = ".".join(steps[start:])
        found = [one for full, one in known.items() if full == suffix or full.endswith(f".{suffix}")]
        if len(found) == 1:
            return found[0]
    raise UserError(
        f"The base model has no parameter like {name} to start a counterfactual model from: name a "
        "checkpoint as `counterfactual`."
    )


def _checkpoint(name: str, mllm: MLLM) -> nn.Module:
    with told("a counterfactual model", name, REMEDY):
        folder = locate(name)
        find_files(folder).check_model(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
        words = AutoTokenizer.from_pretrained(folder).get_vocab()
        language = load_whole(AutoModelForCausalLM, folder, dtype=torch.float32)
    own = mllm.tokenizer.get_vocab()
    if any(own.get(word) != number for word, number in words.items()):
        raise UserError(
            f"The tokens of the counterfactual model '{name}' are not those of {mllm.name}, so their answers "
            f"cannot be exchanged: name a model with the same tokenizer, or '{BASE}'."
        )
    # Models of one tokenizer may still differ in how many unused tokens fill up their embeddings.
    language.resize_token_embeddings(mllm.embed_tokens.num_embeddings)
    return cast("nn.Module", language)


def _until_stop(
    ids: list[int], log_probs: list[float], stops: Sequence[int]
) -> tuple[list[int], list[float]]:
    length = next((i for i, token in enumerate(ids) if token in stops), len(ids))
    return ids[:length], log_probs[:length]
