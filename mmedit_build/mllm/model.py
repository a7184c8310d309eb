"""The model that all else sees: score targets, generate text, name the parts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mmedit_build.mllm import parts
from mmedit_build.mllm.batching import run_batches
from mmedit_build.mllm.below import Below
from mmedit_build.mllm.calls import Call
from mmedit_build.mllm.families.base import Family
from mmedit_build.mllm.features import FeatureCache, Features
from mmedit_build.mllm.identity import identity
from mmedit_build.mllm.loading import load_family
from mmedit_build.mllm.passes import Batch, Counts, Passes, Prompted
from mmedit_build.mllm.query import Generated, Positions, Query, Scored
from mmedit_build.mllm.remembering import remembering
from mmedit_build.mllm.rendering import CHECKPOINT
from mmedit_build.mllm.rows import Row, check_lengths
from mmedit_build.mllm.selfcheck import check
from mmedit_build.mllm.tokenizing import make_rows
from mmedit_build.mllm.writing import Writer

BATCH_SIZE = 32


class MLLM:
    """A multimodal model of any supported family, in eval mode and with all parameters frozen.

    Wherever queries are taken, a `Below` may be given: only the layers from `below.layer` on are then run.
    Layers run through the modules of `model`, so hooks and changed weights act everywhere. Two things are
    remembered, and go stale when what computed them changes: features of images (see `fresh_features`), and
    a `Below` that the caller keeps (see `first_layer`).
    """

    def __init__(self, family: Family, name: str) -> None:
        self.name = name
        self.counts = Counts()
        self._family = family
        self._passes = Passes(family, self.counts)
        self._features = Features(family, self.counts)
        self._limits: list[int] = []
        self._known_parts: dict[str, dict[str, nn.Parameter]] = {}
        self._first_layers: dict[tuple[str, ...], int | None] = {}

    @classmethod
    def load(
        cls,
        name: str,
        *,
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        template: str = CHECKPOINT,
        image_processor: Mapping[str, Any] | None = None,
    ) -> MLLM:
        """Load a checkpoint folder or Hub id.

        `device`: auto, cpu, cuda, cuda:1, mps, or all for every GPU together.
        `dtype`: auto is bfloat16 on CUDA and float32 elsewhere.
        `template`: how a user's turn is rendered, by the checkpoint's own template, `plain` (the image, then
        the words as they stand), `raw` (as in the code of MMEdit and VLKEB), or by a text with {image} and
        {prompt}. `image_processor`: its settings that differ from the checkpoint's.
        """
        family = load_family(
            name,
            revision=revision,
            device=device,
            dtype=dtype,
            template=template,
            image_processor=image_processor,
        )
        check(cls(family, name), family)
        return cls(family, name)

    # Scoring and generating

    @torch.no_grad()
    def score(
        self, queries: Sequence[Query], *, positions: Positions = "target", batch_size: int = BATCH_SIZE
    ) -> list[Scored]:
        """Teacher-forced logits of each query, in order, in any mixture of images and lengths."""
        call = self._call(queries)

        def scored(indices: Sequence[int]) -> list[Scored]:
            return self._passes.score(call.part(indices), indices, positions, call.alike(indices))

        chosen = self._batches(call, batch_size)
        with call.ahead(chosen):
            return run_batches(chosen, scored)

    def logits(
        self, queries: Sequence[Query], *, positions: Positions | Sequence[Positions] = "target"
    ) -> list[Scored]:
        """As `score`, but differentiable: one batch in the order given, in the caller's grad mode.

        Each query may have positions of its own.
        """
        call, indices = self._call(queries), range(len(queries))
        return self._passes.score(call.part(indices), indices, positions) if call.rows else []

    def generate(
        self, queries: Sequence[Query], *, max_new_tokens: int = 32, batch_size: int = BATCH_SIZE
    ) -> list[str]:
        """The greedy continuation of each image and prompt, stripped; targets are ignored."""
        written = self.write(queries, max_new_tokens=max_new_tokens, batch_size=batch_size)
        return [one.text for one in written]

    @torch.no_grad()
    def write(
        self, queries: Sequence[Query], *, max_new_tokens: int = 32, batch_size: int = BATCH_SIZE
    ) -> list[Generated]:
        """As `generate`, with the probabilities of what was generated."""
        if max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1, not {max_new_tokens}")
        call = self._call(queries, max_new_tokens)

        def prompted(indices: Sequence[int]) -> Prompted:
            return self._passes.prompted(call.part(indices), indices, max_new_tokens, call.alike(indices))

        writer = Writer(
            passes=self._passes,
            prompted=prompted,
            new_tokens=max_new_tokens,
            stops=self.stop_ids,
            fixed=self._hooked(),
        )
        with call.ahead(self._batches(call, batch_size)):
            found = writer.run(lambda portion: self._batches(call, portion), len(call.rows), batch_size)
        return [Generated(self._text(one.ids), one.log_probs) for one in found]

    @torch.no_grad()
    def confirm(self, query: Query, text: str) -> Generated | None:
        """As `write` for one query alone, but in a single pass: None unless it would write this very text."""
        queries = [replace(query, target=text)]
        (scored,) = self._passes.score(self._call(queries).part([0]), [0], "all")
        said = scored.argmax[scored.first :].tolist()
        if said[:-1] != scored.target_ids.tolist() or said[-1] not in self.stop_ids:
            return None
        return Generated(text, tuple(scored.token_log_probs.tolist()))

    @torch.no_grad()
    def below(
        self,
        queries: Sequence[Query],
        layer: int,
        *,
        for_generation: bool = False,
        batch_size: int = BATCH_SIZE,
    ) -> Below:
        """Run everything under decoder layer `layer` once; layer n_layers leaves only the head to run.

        `for_generation` also keeps what later tokens attend to below the layer. What is known of the queries
        up to a lower layer is not run again.
        """
        lowest = queries.layer if isinstance(queries, Below) else 0
        if not lowest <= layer <= self.n_layers:
            raise ValueError(f"layer must be from {lowest} to {self.n_layers}, not {layer}")
        call = self._call(queries)

        def lifted(indices: Sequence[int]) -> list[Below]:
            part, images = call.part(indices), call.alike(indices)
            whole = self._passes.lift(part, indices, layer, for_generation=for_generation, images=images)
            return [whole.take([i]) for i in range(len(whole))]

        chosen = self._batches(call, batch_size)
        with call.ahead(chosen):
            singles = run_batches(chosen, lifted)
        kept = [single.keys_values[0] for single in singles if single.keys_values is not None]
        hidden = tuple(single.hidden[0] for single in singles)
        deep = tuple(single.deep[0] for single in singles)
        return Below(layer, tuple(queries), tuple(call.rows), hidden, deep, tuple(kept) or None)

    @torch.no_grad()
    def narrowed(self, below: Below) -> Below:
        """Queries known up to the last layer, cut to what predicts their targets: for `logits` and `score` of
        these, as long as nothing changes before the MLP of that layer."""
        if below.layer != self.n_layers - 1:
            raise ValueError(f"the last layer is {self.n_layers - 1}, and this is known up to {below.layer}")
        return self._passes.narrowed(below)

    def lifted(
        self,
        queries: Sequence[Query],
        *,
        new_tokens: int = 0,
        batch_size: int = BATCH_SIZE,
    ) -> tuple[MLLM, Below]:
        """Itself, and the queries with all done that scores and so many new tokens share."""
        layer = min(self._limits, default=self.n_layers)
        for_generation = new_tokens > 0
        return self, self.below(queries, layer, for_generation=for_generation, batch_size=batch_size)

    @contextmanager
    def lifted_to(self, layer: int) -> Iterator[None]:
        """Inside, `lifted` stops at a layer: prompts and what is written after them pass it in one call."""
        self._limits.append(layer)
        try:
            yield
        finally:
            self._limits.remove(layer)

    def kept_bytes(self, row: Row, layer: int, *, for_generation: bool) -> int:
        """What a `Below` of this layer takes for a row."""
        attended = self._attended(layer) * row.prompt_length if for_generation else 0
        return (row.length * self.embed_tokens.embedding_dim + attended) * self.dtype.itemsize

    def most_kept(self, *, for_generation: bool) -> int:
        """The same for the longest row that there can be, at the last layer."""
        attended = self._attended(self.n_layers) if for_generation else 0
        return self._family.max_positions * (self.embed_tokens.embedding_dim + attended) * self.dtype.itemsize

    def _attended(self, layer: int) -> int:
        """Numbers that are kept of a position for later ones to attend to, of all layers below."""
        config = self._family.text_config
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return int(2 * layer * heads * head)

    def have_room(self, queries: Sequence[Query], new_tokens: int = 0) -> list[bool]:
        """Whether each query has room, with its target or with so many new tokens in the target's place."""
        rows = self.rows(queries, targets=not new_tokens)
        return [row.length + new_tokens <= self._family.max_positions for row in rows]

    def rows(self, queries: Sequence[Query], *, targets: bool = True) -> list[Row]:
        """Where everything of each query stands; without `targets`, up to the end of its prompt."""
        return self._laid(queries, self._features.cache(), targets=targets)

    # Images

    def image_features(self, queries: Sequence[Query]) -> list[Tensor]:
        """What the language model sees of the image of each query (positions, width); all have one.

        Equal images are encoded once.
        """
        return [seen.features for seen in self._features.of(queries, self._features.cache())]

    def keep_features(self, folder: Path) -> None:
        """Keep features on disk, in a folder for this very model, and encode no image that is known there."""
        self._features.keep_in(folder)

    def fresh_features(self, *, apart: bool = False) -> AbstractContextManager[None]:
        """Needed around any use of a model whose vision tower or connector is changed or being trained.

        Inside, each call encodes its distinct images anew, keeps nothing, and lets gradients reach vision and
        connector when grad mode is on. Outside, features are remembered and carry no gradient. With `apart`
        images are encoded one by one, in the order of their queries: what passes a module is of one of them.
        """
        return self._features.fresh(apart=apart)

    def remembering_vision(self, tuned: Collection[str]) -> AbstractContextManager[None]:
        """Inside, layers of the vision tower before all parameters that are tuned see the same image once,
        however often it is encoded. Only these parameters may change meanwhile."""
        return remembering(self._family, self.part("vision"), tuned)

    # Parts

    @property
    def model(self) -> PreTrainedModel:
        """The transformers model."""
        return self._family.model

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        return self._family.tokenizer

    @property
    def identity(self) -> dict[str, object]:
        """What decides about the answers of this model besides its weights; where it lies does not."""
        return identity(self._family)

    def question_prompt(self, question: str) -> str:
        """The user's text by which this family is asked a question about an image."""
        return self._family.question_template.format(question=question)

    @property
    def embed_tokens(self) -> nn.Embedding:
        return self._family.embed_tokens

    @property
    def device(self) -> torch.device:
        """Where a pass begins; other layers may lie elsewhere."""
        return self._family.embed_tokens.weight.device

    @cached_property
    def devices(self) -> list[torch.device]:
        """All that the model lies on; it is not moved once it is loaded."""
        return list(dict.fromkeys(parameter.device for parameter in self.model.parameters()))

    @property
    def dtype(self) -> torch.dtype:
        return self._family.embed_tokens.weight.dtype

    @property
    def n_layers(self) -> int:
        return len(self._family.layers)

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """Tokens that end an answer, from the checkpoint's generation config."""
        config = self.model.generation_config
        ids = None if config is None else config.eos_token_id
        return tuple(ids) if isinstance(ids, list) else () if ids is None else (ids,)

    @property
    def running(self) -> Batch | None:
        """The batch now going through the layers, for hooks; None outside of a pass."""
        return self._passes.running

    def layer(self, layer: int) -> nn.Module:
        """A decoder layer; negative numbers count from the end."""
        return self._family.layers[self.layer_index(layer)]

    def layer_index(self, layer: int) -> int:
        """A decoder layer counted from the front; refuses layers that the model does not have."""
        return parts.layer_index(self._family, layer)

    def layer_name(self, layer: int) -> str:
        """The dotted name of a decoder layer; its first input and its output are hidden states."""
        return f"{self._family.layers_path}.{self.layer_index(layer)}"

    def mlp(self, layer: int) -> parts.MLP:
        """The linear modules of a decoder layer's MLP, with their names."""
        return parts.mlp_of(self._family, layer)

    def attention(self, layer: int) -> parts.NamedLinear:
        """The linear module out of a decoder layer's attention, with its name."""
        return parts.attention_of(self._family, layer)

    def seeing_linears(self, part: str) -> list[parts.NamedLinear]:
        """The linear modules that editors change in `vision` or `connector`, from the lowest layer up."""
        return parts.seeing_linears(self._family, part)

    def part(self, what: str) -> dict[str, nn.Parameter]:
        """Parameters by dotted name. `what`: vision, connector, language, layer.N, mlp.N or a pattern.

        Patterns are of whole names, or of the names within a layer: layer.-1.mlp.*.
        """
        # Kept, as walking over all modules takes longer than planning a small edit.
        if what not in self._known_parts:
            self._known_parts[what] = parts.parameters(self._family, what)
        return dict(self._known_parts[what])

    def layer_of(self, name: str) -> int | None:
        """The decoder layer that holds a parameter; None for one that lies in no decoder layer."""
        return parts.layer_of(self._family, name)

    def first_layer(self, names: Iterable[str]) -> int | None:
        """The highest layer whose `Below` survives a change of the named parameters; None if none does."""
        # Kept, as parts are: each patch of a group is asked.
        known = tuple(names)
        if known not in self._first_layers:
            self._first_layers[known] = parts.first_layer(self._family, known)
        return self._first_layers[known]

    # Inside

    def _text(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True)).strip()

    def _call(self, queries: Sequence[Query], new_tokens: int = 0) -> Call:
        """The queries as rows, checked; with `new_tokens` these take the place of the targets."""
        cache = self._features.cache()
        known = isinstance(queries, Below)
        rows = (
            queries.rows if isinstance(queries, Below) else self._laid(queries, cache, targets=not new_tokens)
        )
        lengths = [row.prompt_length if new_tokens else row.length for row in rows]
        check_lengths(lengths, [query.prompt for query in queries], new_tokens, self._family.max_positions)
        shares = self._family.causal and len(rows) > 1 and not known and not self._hooked()
        return Call(
            family=self._family,
            features=self._features,
            cache=cache,
            queries=queries,
            rows=rows,
            images=[None] * len(rows) if known else self._features.keys(queries),
            shares=shares,
        )

    def _batches(self, call: Call, batch_size: int) -> list[list[int]]:
        return call.batches(batch_size, self._attended(self.n_layers) * self.dtype.itemsize)

    def _hooked(self) -> bool:
        """Whether something looks into the layers, which may tell rows and positions apart: then every row
        runs whole, and beside the same others from its first position to its last."""
        return any(one._forward_hooks or one._forward_pre_hooks for one in self._family.layers.modules())

    def _laid(self, queries: Sequence[Query], cache: FeatureCache, *, targets: bool) -> list[Row]:
        return make_rows(self._family, queries, self._features.layouts(queries, cache), targets=targets)
