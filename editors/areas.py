"""What of a model a patch touches, told in words from the names of its parameters."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

# Reports join areas, and load no library of models.
if TYPE_CHECKING:
    from mmedit_build.mllm import MLLM

Area = Mapping[str, tuple[int, ...]]
"""What is touched, and in which decoder layers; none of them for what is in no decoder layer."""
WHOLE = ""
"""How an area calls a decoder layer with all that is in it."""
PARTS = {"vision": "vision tower", "connector": "connector", "language": "language model"}
MODULES = {"qformer": "Q-Former"}
"""What is called by a name of its own, by the first step of its parameters' names."""

_known: WeakKeyDictionary[MLLM, dict[frozenset[str], Area]] = WeakKeyDictionary()
"""Of each model what was told before: each patch of a method is asked, and most name the same parameters."""


def joined(areas: Iterable[Area]) -> Area:
    """What any of the areas has."""
    found: dict[str, set[int]] = {}
    for one in areas:
        for what, layers in one.items():
            found.setdefault(what, set()).update(layers)
    return {what: tuple(sorted(layers)) for what, layers in found.items()}


def layers_of(mllm: MLLM, names: Iterable[str]) -> tuple[int, ...]:
    """The decoder layers of parameters that are in decoder layers."""
    found = {mllm.layer_of(name) for name in names}
    return tuple(sorted(layer for layer in found if layer is not None))


def area_of(mllm: MLLM, names: Iterable[str]) -> Area:
    """Where parameters lie."""
    own = frozenset(names)
    known = _known.setdefault(mllm, {})
    if own not in known:
        known[own] = _area_of(mllm, own)
    return known[own]


def _area_of(mllm: MLLM, own: Set[str]) -> Area:
    parts = {title: mllm.part(part).keys() for part, title in PARTS.items()}
    whole = [title for title, of in parts.items() if own == of]
    if whole:
        return {whole[0]: ()}
    by_layer: dict[int, set[str]] = {}
    outside: list[Area] = []
    for name in sorted(own):
        layer = mllm.layer_of(name)
        if layer is not None:
            by_layer.setdefault(layer, set()).add(name)
        else:
            outside.append({_outside(parts, name): ()})
    inside: list[Area] = [{_inside(mllm, layer, of): (layer,)} for layer, of in by_layer.items()]
    return joined([*inside, *outside])


def _inside(mllm: MLLM, layer: int, names: set[str]) -> str:
    """What parameters of one decoder layer are."""
    if names == mllm.part(f"layer.{layer}").keys():
        return WHOLE
    mlp = mllm.mlp(layer)
    places = {"first matrix of the MLP": mlp.up.name, "second matrix of the MLP": mlp.down.name}
    if mlp.gate is not None:
        places["gate of the MLP"] = mlp.gate.name
    for what, place in places.items():
        if all(name.startswith(f"{place}.") for name in names):
            return what
    return "MLP" if names <= mllm.part(f"mlp.{layer}").keys() else "weights"


def _outside(parts: Mapping[str, Collection[str]], name: str) -> str:
    """What a parameter in no decoder layer belongs to."""
    module = name.partition(".")[0]
    found = [title for title, of in parts.items() if name in of]
    return MODULES.get(module, found[0] if found else module)
