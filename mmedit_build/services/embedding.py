"""How near two texts are in meaning, by a sentence-transformers checkpoint."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer
from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES
from transformers.utils.hub import cached_file

from mmedit_build.checkpoints import locate
from mmedit_build.checkpoints.files import find_files
from mmedit_build.checkpoints.tokenizers import check_fits, check_tokenizer
from mmedit_build.checkpoints.weights import load_whole, told
from mmedit_build.errors import UserError
from mmedit_build.recipe import Similarity, TextEncoder

ENCODER = "an embedding model"
REMEDY = "give a folder or the id of a sentence-transformers checkpoint, or leave it out of the recipe"
BATCH = 64
POOLING = "1_Pooling/config.json"
MOST_TOKENS = 256
"""Longer texts are cut, as those checkpoints do; questions never are so long."""


def look_at(similarity: Similarity | TextEncoder) -> Any:
    """The tokenizer of an encoder, refused if the files beside it do not allow to load or use the encoder."""
    folder, revision = locate(similarity.model), similarity.revision
    with told(ENCODER, similarity.model, REMEDY):
        find_files(folder, revision).check_model(MODEL_MAPPING_NAMES)
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, revision=revision)
        pooling = cached_file(folder, POOLING, revision=revision, _raise_exceptions_for_missing_entries=False)
        if pooling is not None and not averages(Path(pooling)):
            raise UserError(
                f"'{similarity.model}' does not average the vectors of its tokens, which is all that is done "
                "here: name a checkpoint that does, such as sentence-transformers/all-MiniLM-L6-v2."
            )
        check_tokenizer(similarity.model, tokenizer)
    return tokenizer


class Embedder:
    """A text encoder whose token vectors are averaged."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model = model
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, similarity: Similarity | TextEncoder) -> Embedder:
        """Load the checkpoint that a recipe names."""
        tokenizer = look_at(similarity)
        with told(ENCODER, similarity.model, REMEDY):
            # Vectors are averaged, so that a pooler is not run, and many checkpoints have none.
            model = load_whole(
                AutoModel,
                locate(similarity.model),
                unused=("pooler.",),
                revision=similarity.revision,
                dtype=torch.float32,
            )
            check_fits(similarity.model, tokenizer, model)
        return cls(model.eval(), tokenizer)

    def cosines(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The cosine of each pair's embeddings."""
        vectors = self.vectors([text for pair in pairs for text in pair])
        return [float(first @ second) for first, second in zip(vectors[::2], vectors[1::2], strict=True)]

    def vectors(self, texts: Sequence[str]) -> list[Tensor]:
        """The embedding of each text, of length 1; equal texts are embedded once."""
        distinct = sorted(set(texts), key=lambda text: (len(text), text))
        found: dict[str, Tensor] = {}
        for start in range(0, len(distinct), BATCH):
            batch = distinct[start : start + BATCH]
            found.update(zip(batch, self._embed(batch), strict=True))
        return [found[text] for text in texts]

    @torch.inference_mode()
    def _embed(self, texts: list[str]) -> Tensor:
        """One vector of length 1 for each text."""
        inputs = self._tokenizer(
            texts, padding=True, truncation=True, max_length=MOST_TOKENS, return_tensors="pt"
        )
        hidden: Tensor = self._model(**inputs).last_hidden_state
        mask = inputs["attention_mask"].unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1.0)
        return nn.functional.normalize(mean, dim=-1)


def averages(pooling: Path) -> bool:
    """Whether a checkpoint's pooling file asks for the mean of the tokens and nothing else."""
    fields: dict[str, Any] = json.loads(pooling.read_text(encoding="utf-8"))
    asked = {name for name, value in fields.items() if name.startswith("pooling_mode") and value is True}
    return asked == {"pooling_mode_mean_tokens"} or fields.get("pooling_mode") == "mean"
