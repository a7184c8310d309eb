"""What speed is measured on: a deep model of random weights, methods that learned little, and edits."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import Blip2Config, Blip2ForConditionalGeneration, Blip2Processor
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from editors import load_editor
from editors.base import Editor, Learner, State, TrainEdit
from editors.ike import IKE
from evaluation.data.cases import Case
from evaluation.data.dataset import load_cases
from evaluation.data.probes import train_edit
from evaluation.protocols.known import PROTOCOLS
from evaluation.run.base_outputs import BaseOutputs
from evaluation.run.judging import Judging
from evaluation.run.scoring import Scorer
from mmedit_build.checkpoints import locate
from mmedit_build.mllm import MLLM

MINIATURE = "miniature/mllm"
LEARNED = 10
"""Train edits that learning methods see; two of them are held out."""
STEPS = 2
"""Updates that they make: speed does not depend on how well they learned."""
OPTIONS: dict[str, dict[str, object]] = {
    **{name: {"steps": STEPS, "validate_every": STEPS} for name in ("mend", "ke", "serac")},
    "ike": {"encoder": "base", "copies": 1, "updates": 2, "retains": 1},
    "ike, 32": {"editor": "ike", "encoder": "base"},
}
"""By method, which may be an `editor` with other options. IKE's are the miniature's and the paper's."""
DEMONSTRATIONS = 40
"""Train edits that are there to be shown, where so many are."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of a BLIP-2."""

    layers: int = 24
    width: int = 256
    vision_layers: int = 9
    """At the default width an image takes some 2.1 times the arithmetic of a row of the language model, about
    as in BLIP-2 OPT-2.7B."""
    side: int = 224
    patch: int = 14
    """Together 257 positions in the vision tower."""
    query_tokens: int = 32
    positions: int = 512


LONG = Shape(layers=4, width=128, vision_layers=3, positions=2048)
"""Small, with room for the 32 demonstrations of IKE's paper."""


def write_model(folder: Path, shape: Shape, seed: int = 0) -> str:
    """Save a BLIP-2 with an OPT language model, random weights and the miniature's tokenizer."""
    processor: Any = Blip2Processor.from_pretrained(locate(MINIATURE))
    known: Any = Blip2Config.from_pretrained(locate(MINIATURE))
    tower: dict[str, Any] = {"num_attention_heads": 4, "hidden_size": shape.width}
    tower |= {"intermediate_size": 4 * shape.width, "num_hidden_layers": shape.vision_layers}
    language = {"word_embed_proj_dim": shape.width, "ffn_dim": 4 * shape.width, "hidden_size": shape.width}
    language |= {"max_position_embeddings": shape.positions}
    size = {"image_size": shape.side, "patch_size": shape.patch, "initializer_range": 0.02}
    config = Blip2Config(
        vision_config=tower | size,
        qformer_config=tower | {"num_hidden_layers": 1, "encoder_hidden_size": shape.width, "vocab_size": 8},
        text_config=known.text_config.to_dict() | language | {"num_hidden_layers": shape.layers},
        num_query_tokens=shape.query_tokens,
        image_token_index=known.image_token_index,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        Blip2ForConditionalGeneration(config).save_pretrained(folder)
    pictures = BlipImageProcessorPil(size={"height": shape.side, "width": shape.side})
    Blip2Processor(pictures, processor.tokenizer).save_pretrained(folder)
    return str(folder)


@dataclass(frozen=True, slots=True)
class Setting:
    """A model by its folder, and the edits that it is given."""

    model: str
    cases: Sequence[Case]
    train: Sequence[Case]

    @classmethod
    def load(cls, model: str, dataset: str, edits: int, train: int) -> Setting:
        """The first questions of the dataset's two splits."""
        return cls(model, load_cases(dataset, "vqa")[:edits], load_cases(dataset, "vqa", "train")[:train])

    def mllm(self) -> MLLM:
        """The model anew, which has not seen any image."""
        return MLLM.load(self.model, device="cpu")

    def judging(self, mllm: MLLM, outputs: Path) -> Judging:
        return Judging(
            mllm=mllm,
            base=BaseOutputs.open(outputs),
            scorer=Scorer(self.cases, tuple(PROTOCOLS)),
            batch_size=32,
        )

    def train_edits(self, mllm: MLLM) -> list[TrainEdit]:
        return [train_edit(case, mllm) for case in self.train]


def make_editor(name: str, state: State | None, mllm: MLLM) -> Editor:
    """A method that has learned what the state holds."""
    editor = _loaded(name)
    if state is not None:
        assert isinstance(editor, Learner)
        editor.restore(mllm, state)
    return editor


def learn(name: str, setting: Setting) -> State | None:
    """What a method learns in a few steps; None if it does not learn."""
    mllm, editor = setting.mllm(), _loaded(name)
    if not isinstance(editor, Learner):
        return None
    train_edits = setting.train_edits(mllm)[: DEMONSTRATIONS if isinstance(editor, IKE) else LEARNED]
    with tempfile.TemporaryDirectory() as work:
        editor.fit(mllm, train_edits[:-2], train_edits[-2:], work=Path(work), advance=lambda _: None)
    return editor.fitted()


def _loaded(name: str) -> Editor:
    options = dict(OPTIONS.get(name, {}))
    return load_editor(str(options.pop("editor", name)), options)
