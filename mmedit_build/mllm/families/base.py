"""What the project has to know about a family of multimodal models, and what families share.

A family file says where the parts of its models lie and what is special about them; everything else is here,
written for models whose image features take the place of placeholder tokens in the text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any, ClassVar, cast

import PIL.Image
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mmedit_build.mllm.families.pieces import GATED, Seen, Tower, cache_name
from mmedit_build.mllm.families.pixels import looked_up
from mmedit_build.mllm.query import Form
from mmedit_build.mllm.rendering import (
    CHECKPOINT,
    IMAGE,
    PLAIN,
    RAW,
    Template,
    Templates,
    chat_templates,
    parse_template,
)
from mmedit_build.mllm.rows import Layout, Row
from mmedit_build.mllm.tokens import Tokenized


class Family:
    """A loaded checkpoint, with the knowledge of where its parts are.

    Hidden states are (batch, positions, width).
    """

    version: ClassVar[int] = 1
    """Raised when this file comes to give other numbers for the same checkpoint."""
    own_model: ClassVar[type[PreTrainedModel] | None] = None
    """The project's own class of models that transformers has none for."""
    trunk_path = "model.language_model"
    """The module that is called to run layers: from embeddings to the last norm."""
    text_path = "model.language_model"
    """The module that holds decoder layers, norm and embeddings."""
    layers_name = "layers"
    norm_name = "norm"
    head_path = "lm_head"
    mlp_paths = GATED
    attention_path = "self_attn.o_proj"
    """Name, within a layer, of the linear module out of the attention."""
    parts: Mapping[str, tuple[str, ...]] = {
        "vision": ("model.vision_tower.*",),
        "connector": ("model.multi_modal_projector.*", "model.image_newline"),
        "language": ("model.language_model.*", "lm_head.*"),
    }
    """Part name to patterns of parameter names; every family has vision, connector and language."""
    towers: Mapping[str, Tower] = {
        "vision": Tower("model.vision_tower.encoder.layers", ("mlp.fc1", "mlp.fc2"), last=3),
        "connector": Tower("model.multi_modal_projector", ("linear_1", "linear_2")),
    }
    """For vision and connector, what is edited in them; none where a part has no linear modules."""
    question_template = "{question}\nAnswer the question using a single word or phrase."
    """How the family is asked a question about an image."""
    image_inputs: tuple[str, ...] = ("pixel_values",)
    """What the image processor gives that the encoder of images takes."""
    sees_prompt = False
    """Whether what is seen of an image depends on the prompt."""
    causal = True
    """Whether what is computed at a position depends on nothing behind it, but for the rest of its image."""
    axes = 1
    """Along how many axes positions are counted."""

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, image_processor: Any, template: str
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.image_processor = image_processor
        # Typed Any, as the attributes of configs and modules are not typed.
        self.config: Any = model.config
        self.text_config: Any = model.config.get_text_config()
        self.trunk = model.get_submodule(self.trunk_path)
        self.cache_name = cache_name(self.trunk)
        text = model.get_submodule(self.text_path)
        self.layers = cast("nn.ModuleList", text.get_submodule(self.layers_name))
        self.norm = text.get_submodule(self.norm_name)
        self.embed_tokens = cast("nn.Embedding", model.get_input_embeddings())
        self.layers_path = f"{self.text_path}.{self.layers_name}"
        self.max_positions = int(self.text_config.max_position_embeddings)
        self.prompt_tokenizer: PreTrainedTokenizerBase | None = None
        self.settings: Mapping[str, Any] = {}
        self.image_bytes = 0
        """What the last images were as the encoder is given them, on average; 0 before the first."""
        self._template = template

    def complete(self, name: str, revision: str) -> None:
        """Load what the checkpoint of that name holds for this family alone."""

    # Text

    @cached_property
    def tokens(self) -> Tokenized:
        """Texts as the tokenizer has them."""
        return Tokenized(self.tokenizer)

    @cached_property
    def image_id(self) -> int:
        """The token in whose place features stand."""
        return int(self.config.image_token_id)

    @property
    def image_token(self) -> str:
        """How it is written."""
        return str(self.tokenizer.convert_ids_to_tokens(self.image_id))

    @property
    def written_image(self) -> str:
        """What a chat template writes where an image stands."""
        return self.image_token

    @property
    def plain(self) -> Templates:
        """The image, then the words as they stand."""
        return Templates(Template(IMAGE), Template())

    @property
    def raw(self) -> Templates:
        """As in the code of MMEdit or VLKEB."""
        return self.plain

    @cached_property
    def templates(self) -> Templates:
        """What stands around what a user says."""
        if self._template == CHECKPOINT:
            return chat_templates(self.tokenizer, self.written_image) or self.plain
        named = {PLAIN: self.plain, RAW: self.raw}
        return named[self._template] if self._template in named else parse_template(self._template)

    @property
    def all_templates(self) -> dict[Form, Templates]:
        """What stands around prompts of each form."""
        return {"turn": self.templates, "plain": self.raw if self._template == RAW else self.plain}

    def template(self, form: Form, *, with_image: bool) -> Template:
        """What stands around a prompt."""
        templates = self.all_templates[form]
        return templates.image if with_image else templates.text

    def positions(
        self,
        ids: Sequence[int],
        image: Sequence[int],  # noqa: ARG002  # families differ in what they look at
        layout: Layout | None,  # noqa: ARG002
    ) -> Tensor:
        """How the text model counts the positions of a row whose image stands at the given places."""
        return torch.arange(len(ids))

    # Images

    @cached_property
    def fixed_layout(self) -> Layout | None:
        """How every image lies in a row; None if that depends on the image."""
        return None

    def see(self, images: Sequence[PIL.Image.Image], prompts: Sequence[str]) -> list[Seen]:
        """Vision tower and connector. Features are no views of each other's memory."""
        with looked_up(self.image_processor):
            inputs = self.prepare(images, prompts)
        self.image_bytes = inputs["pixel_values"].nbytes // len(images)
        views = self.views(self.encode(inputs), inputs)
        return [
            Seen(
                view[0].clone(),
                self.layout(view[0], number, inputs),
                tuple(deep.clone() for deep in view[1:]),
            )
            for number, view in enumerate(views)
        ]

    def prepare(self, images: Sequence[PIL.Image.Image], prompts: Sequence[str]) -> dict[str, Any]:  # noqa: ARG002
        """What the image processor makes of images, and the encoder's other inputs."""
        return dict(self.image_processor(images=list(images), return_tensors="pt"))

    def encode(self, inputs: Mapping[str, Any]) -> Any:
        """The model's own encoding of prepared images."""
        placed = {name: inputs[name].to(self.model.device) for name in self.image_inputs if name in inputs}
        placed["pixel_values"] = placed["pixel_values"].to(self.model.dtype)
        return cast("Any", self.model).get_image_features(**placed)

    def views(self, found: Any, inputs: Mapping[str, Any]) -> list[list[Tensor]]:  # noqa: ARG002
        """Of each image its features (positions, width), then what is added after the first layers."""
        return [[features] for features in found.pooler_output]

    def layout(self, features: Tensor, number: int, inputs: Mapping[str, Any]) -> Layout:  # noqa: ARG002
        """How an image with these features lies in a row; `inputs` are those of a call, this one the n-th."""
        return Layout(self.image_token, (len(features),))

    # Running

    def embed(self, rows: Sequence[Row], seen: Sequence[Seen | None]) -> list[Tensor]:
        """What enters the trunk for each row (length, width)."""
        ids = torch.tensor([one for row in rows for one in row.ids], device=self.embed_tokens.weight.device)
        # The placeholder may lie outside of the vocabulary.
        embedded = self.embed_tokens(ids.masked_fill(ids == self.image_id, 0))
        starts = accumulate((row.length for row in rows), initial=0)
        places = [start + one for start, row in zip(starts, rows, strict=False) for one in row.image]
        if places:
            features = torch.cat([view.features for view in seen if view is not None])
            at = torch.tensor(places, device=ids.device)
            embedded = embedded.index_copy(0, at, features.to(embedded))
        return list(embedded.split([row.length for row in rows]))

    def extras(
        self,
        rows: Sequence[Row],  # noqa: ARG002
        deep: Sequence[Sequence[Tensor]],  # noqa: ARG002
        hidden: Tensor,  # noqa: ARG002
        start: int,  # noqa: ARG002
    ) -> dict[str, Any]:
        """What else the trunk has to be told of a batch (rows, positions, width) that enters at a layer."""
        return {}

    def own_logits(self, row: Row, image: PIL.Image.Image | None, prompt: str) -> Tensor:
        """Logits at all positions of one row by the model's own forward, which the runner is to equal."""
        prepared = {} if image is None else self.prepare([image], [prompt])
        inputs = {name: prepared[name] for name in self.image_inputs if name in prepared}
        inputs |= self.told(row) | {"input_ids": torch.tensor([row.ids])}
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        if image is not None:
            inputs["pixel_values"] = inputs["pixel_values"].to(self.model.dtype)
        placed = {name: value.to(self.embed_tokens.weight.device) for name, value in inputs.items()}
        logits: Tensor = self.model(**placed).logits[0]
        return logits

    def told(self, row: Row) -> dict[str, Any]:  # noqa: ARG002
        """What the model's own forward has to be told of one row besides its ids and what shows its image."""
        return {}

    def head(self, hidden: Tensor) -> Tensor:
        """Logits from the output of the last layer, at any number of positions."""
        logits: Tensor = self.model.get_submodule(self.head_path)(self.norm(hidden))
        return logits

    # Parts

    @cached_property
    def head_names(self) -> frozenset[str]:
        """Parameters that act only after the last layer."""
        paths = (f"{self.text_path}.{self.norm_name}", self.head_path)
        return frozenset(
            f"{path}.{name}"
            for path in paths
            for name, _ in self.model.get_submodule(path).named_parameters()
        )

    def activation(self, layer: int) -> Callable[[Tensor], Tensor]:
        """What stands between the linear modules of the layer's MLP."""
        function: Callable[[Tensor], Tensor] = cast("Any", self.layers[layer]).mlp.act_fn
        return function
