"""The named parts of a model: parameters by part, layer or pattern, and the matrices of an MLP."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from mmedit_build.errors import UserError
from mmedit_build.mllm.families.base import Family


@dataclass(frozen=True, slots=True)
class NamedLinear:
    """A linear module of the model and its dotted name; `module.weight` is (out, in)."""

    name: str
    module: nn.Linear


@dataclass(frozen=True, slots=True)
class MLP:
    """The feed-forward part of a decoder layer.

    down(activation(up(x))), or, of one that is gated, down(activation(gate(x)) * up(x)).
    """

    up: NamedLinear
    down: NamedLinear
    gate: NamedLinear | None
    activation: Callable[[Tensor], Tensor]

    @property
    def linears(self) -> tuple[NamedLinear, ...]:
        """All of its linear modules, in the order in which they run."""
        return (self.up, self.down) if self.gate is None else (self.gate, self.up, self.down)


def mlp_of(family: Family, layer: int) -> MLP:
    """The MLP of a decoder layer; `layer` may count from the end."""
    index = layer_index(family, layer)
    paths = family.mlp_paths
    up, down = (_linear(family, index, path) for path in (paths.up, paths.down))
    gate = None if paths.gate is None else _linear(family, index, paths.gate)
    return MLP(up, down, gate, family.activation(index))


def attention_of(family: Family, layer: int) -> NamedLinear:
    """The linear module out of a decoder layer's attention; `layer` may count from the end."""
    return _linear(family, layer_index(family, layer), family.attention_path)


def seeing_linears(family: Family, part: str) -> list[NamedLinear]:
    """The linear modules that editors change in vision or connector, from the lowest layer up."""
    tower = family.towers.get(part)
    if tower is None:
        raise UserError(f"The {part} of this model has no linear modules that could be edited.")
    places = [tower.path]
    if tower.last is not None:
        end = len(cast("nn.ModuleList", family.model.get_submodule(tower.path))) - tower.unused
        places = [f"{tower.path}.{number}" for number in range(max(0, end - tower.last), end)]
    return [_linear_at(family, f"{place}.{path}") for place in places for path in tower.linear_paths]


def parameters(family: Family, what: str) -> dict[str, nn.Parameter]:
    """Parameters by dotted name: of a named part, a layer, an MLP, or all that match a pattern."""
    patterns = _patterns(family, what)
    found = {
        name: parameter
        for name, parameter in family.model.named_parameters()
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    }
    if not found:
        raise UserError(
            f"No parameter matches '{what}': give {', '.join(family.parts)}, layer.N, mlp.N (N from 0 to "
            f"{len(family.layers) - 1}) or a pattern such as 'layer.-1.*.weight' or '{family.layers_path}.*'."
        )
    return found


def layer_index(family: Family, layer: int) -> int:
    """The layer counted from the front; refuses layers the model does not have."""
    number = len(family.layers)
    if not -number <= layer < number:
        raise UserError(f"The model has layers 0 to {number - 1}, there is no layer {layer}.")
    return layer % number


def layer_of(family: Family, name: str) -> int | None:
    """The decoder layer that holds a parameter; None for one that lies in no decoder layer."""
    inside = re.match(re.escape(family.layers_path) + r"\.(\d+)\.", name)
    return None if inside is None else int(inside[1])


def first_layer(family: Family, names: Iterable[str]) -> int | None:
    """The lowest decoder layer that holds one of the named parameters; None when one lies before them all.

    What acts after the last layer counts as layer n, unless it is tied to the input embedding.
    """
    lowest = len(family.layers)
    for name in names:
        inside = layer_of(family, name)
        tied = family.model.get_parameter(name) is family.embed_tokens.weight
        if inside is None and (tied or name not in family.head_names):
            return None
        lowest = lowest if inside is None else min(lowest, inside)
    return lowest


def _patterns(family: Family, what: str) -> tuple[str, ...]:
    if what in family.parts:
        return family.parts[what]
    numbered = re.fullmatch(r"(layer|mlp)\.(-?\d+)|layer\.(-?\d+)\.(.+)", what)
    if numbered is None:
        return (what,)
    kind, number, number_within, within = numbered.groups()
    path = f"{family.layers_path}.{layer_index(family, int(number or number_within))}"
    if kind != "mlp":
        return (f"{path}.{within or '*'}",)
    paths = family.mlp_paths
    names = [name for name in (paths.gate, paths.up, paths.down) if name is not None]
    return tuple(f"{path}.{name}.*" for name in names)


def _linear(family: Family, layer: int, path: str) -> NamedLinear:
    return _linear_at(family, f"{family.layers_path}.{layer}.{path}")


def _linear_at(family: Family, name: str) -> NamedLinear:
    module = family.model.get_submodule(name)
    if not isinstance(module, nn.Linear):
        raise TypeError(f"{name} is a {type(module).__name__}, not a linear module")
    return NamedLinear(name, module)
