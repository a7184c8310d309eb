"""Where the parts of a model lie that no family file knows: found by what modules hold and by their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from torch import nn
from transformers import PreTrainedModel

from mmedit_build.errors import UserError
from mmedit_build.mllm.families.pieces import MLPPaths, Tower, unused_layers

MLPS = (
    MLPPaths("up_proj", "down_proj", "gate_proj"),
    MLPPaths("w3", "w2", "w1"),
    MLPPaths("fc1", "fc2"),
    MLPPaths("up_proj", "down_proj"),
)
"""Names of the linear modules of an MLP, gated ones first."""
OUT = frozenset({"o_proj", "out_proj", "dense", "wo", "proj"})
"""Names of the linear module out of the attention."""
CONNECTORS = ("merger", "project", "connector", "aligner")
"""What a connector that lies inside of the vision tower has in its name."""
EDITED = 3
"""How many layers of the vision tower are edited, as in families that have a file."""

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Structure:
    """Dotted names; those of the MLP and the attention within a decoder layer."""

    whole: str
    """The model without its head."""
    text: str
    layers: str
    norm: str
    head: str
    mlp: MLPPaths
    attention: str
    parts: Mapping[str, tuple[str, ...]]
    towers: Mapping[str, Tower]


def find_structure(model: PreTrainedModel) -> Structure:
    """All parts; refuses, in one sentence, a model in which one of them is not found."""
    names = {id(module): name for name, module in model.named_modules()}
    config: Any = model.config
    embeddings = names.get(id(model.get_input_embeddings()))
    n_layers = config.get_text_config().num_hidden_layers
    text, layers = _found(_text(model, embeddings, n_layers), "the decoder layers beside the embeddings")
    inside = model.get_submodule(text)
    norm = [name for name, one in inside.named_children() if type(one).__name__.endswith("Norm")]
    head = _found(names.get(id(model.get_output_embeddings())), "the head over the vocabulary")
    layer = cast("nn.ModuleList", inside.get_submodule(layers))[0]
    eye = _found(_tower(model, text), "the layers of a vision tower")
    parts, connector = _parts(model, text, head, eye)
    towers = {"vision": _vision(model, eye)} | ({} if connector is None else {"connector": connector})
    return Structure(
        whole=names[id(model.base_model)],
        text=text,
        layers=layers,
        norm=_found(norm[-1] if norm else None, "the norm after the decoder layers"),
        head=head,
        mlp=_found(_mlp(layer), "an MLP of separate linear modules in the decoder layers"),
        attention=_found(_attention(layer), "the linear module out of the attention in the decoder layers"),
        parts=parts,
        towers=towers,
    )


def _found(one: Found | None, what: str) -> Found:
    if one is None:
        raise UserError(
            f"No file knows this type of model, and {what} could not be found in it: use a model of another "
            "type."
        )
    return one


def _text(model: nn.Module, embeddings: str | None, n_layers: int) -> tuple[str, str] | None:
    """The module around the embeddings that holds the decoder layers, and their name in it."""
    path = embeddings or ""
    while path:
        path = path.rpartition(".")[0]
        for name, child in model.get_submodule(path).named_children():
            if isinstance(child, nn.ModuleList) and len(child) == n_layers:
                return path, name
    return None


def _linears(module: nn.Module) -> list[str]:
    return [name for name, one in module.named_modules() if isinstance(one, nn.Linear)]


def _attends(name: str) -> bool:
    return any("attn" in one or "attention" in one for one in name.split("."))


def _mlp(layer: nn.Module) -> MLPPaths | None:
    linears = [name for name in _linears(layer) if not _attends(name)]
    places = {name.rpartition(".")[0] for name in linears}
    for paths in MLPS:
        wanted = [one for one in (paths.up, paths.down, paths.gate) if one is not None]
        whole = [place for place in places if all(_at(place, one) in linears for one in wanted)]
        # Several are experts, of which a token goes through some.
        if len(whole) == 1:
            gate = None if paths.gate is None else _at(whole[0], paths.gate)
            return MLPPaths(_at(whole[0], paths.up), _at(whole[0], paths.down), gate)
    return None


def _at(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _attention(layer: nn.Module) -> str | None:
    found = [name for name in _linears(layer) if _attends(name) and name.rpartition(".")[2] in OUT]
    return found[0] if len(found) == 1 else None


def _tower(model: nn.Module, text: str) -> str | None:
    """The largest list of layers outside of the text model."""
    lists = {
        name: sum(one.numel() for one in module.parameters())
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and not name.startswith(f"{text}.") and not _connects(name)
    }
    return max(lists, key=lambda name: lists[name], default=None)


def _connects(name: str) -> bool:
    return any(one in name.rpartition(".")[2] for one in CONNECTORS)


def _vision(model: PreTrainedModel, path: str) -> Tower:
    layers = cast("nn.ModuleList", model.get_submodule(path))
    linears = tuple(name for name in _linears(layers[0]) if not _attends(name))
    return Tower(path, linears, EDITED, unused_layers(model.config, len(layers)))


def _parts(
    model: nn.Module, text: str, head: str, eye: str
) -> tuple[dict[str, tuple[str, ...]], Tower | None]:
    """Which parameters belong to which part, and what is edited in the connector."""
    shared = _shared(text, eye)
    tower, words = (_child(path, shared) for path in (eye, text))
    outside = [_at(shared, name) for name, _ in model.get_submodule(shared).named_children()]
    connectors = [path for path in outside if path not in {tower, words, head}]
    if not any(_linears(model.get_submodule(path)) for path in connectors):
        connectors += _connectors_inside(model, tower, eye)
    names: dict[str, list[str]] = {"vision": [], "connector": [], "language": []}
    for name, _ in model.named_parameters():
        if name.startswith((f"{words}.", f"{head}.")):
            names["language"].append(name)
        elif any(name.startswith(f"{path}.") for path in connectors) or not name.startswith(f"{tower}."):
            names["connector"].append(name)
        else:
            names["vision"].append(name)
    edited = [(path, tuple(_linears(model.get_submodule(path)))) for path in connectors]
    connector = next((Tower(path, linears) for path, linears in edited if linears and linears != ("",)), None)
    return {part: tuple(found) for part, found in names.items()}, connector


def _connectors_inside(model: nn.Module, tower: str, eye: str) -> list[str]:
    children = [_at(tower, name) for name, _ in model.get_submodule(tower).named_children()]
    return [path for path in children if not eye.startswith(path) and _connects(path)]


def _shared(one: str, other: str) -> str:
    """The module around both."""
    parts: list[str] = []
    for left, right in zip(one.split("."), other.split("."), strict=False):
        if left != right:
            break
        parts.append(left)
    return ".".join(parts)


def _child(path: str, around: str) -> str:
    """The child of `around` that holds the module."""
    inside: Sequence[str] = path.removeprefix(f"{around}." if around else "").split(".")
    return _at(around, inside[0])
