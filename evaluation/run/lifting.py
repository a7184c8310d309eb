"""Queries of a group of cases, known up to the layer where edits begin: for whoever asks about these cases.

That is the unedited model, each editor that plans edits where its patches begin, and each method as it is
judged. What is kept from one to the next are states at one layer, as many as there is room for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from editors.base import Editor, Grouping
from evaluation.data.cases import Case
from evaluation.data.probes import Asked
from mmedit_build.mllm import MLLM, Below, Query


def shared_layer(editors: Iterable[Editor], mllm: MLLM) -> int | None:
    """The layer up to which queries are best kept for these editors; None if it is of no use.

    To go on from a layer below its own costs an editor little, and one above it is of no use.
    """
    layers = [editor.begins(mllm) or 0 for editor in editors if isinstance(editor, Grouping)]
    saved = {layer: layer * sum(other >= layer for other in layers) for layer in layers if layer}
    return max(saved, key=lambda layer: saved[layer], default=None)


@dataclass
class States:
    """What is known of groups at one layer."""

    layer: int | None = None
    """None keeps nothing."""
    room: int = 0
    """Bytes that there are left; groups that find no room are computed anew for each who asks."""
    _known: dict[tuple[str, ...], Below] = field(default_factory=dict)

    def of(self, group: tuple[str, ...], lift: Callable[[], Below]) -> Below:
        """The queries of a group of cases, which is told by their ids."""
        if group in self._known:
            return self._known[group]
        found = lift()
        if found.nbytes <= self.room:
            self.room -= found.nbytes
            self._known[group] = found
        return found

    def keep(self, layer: int | None, room: int) -> None:
        """Keep those of another layer from now on."""
        self.layer, self.room = layer, room
        self._known.clear()

    def clear(self) -> None:
        """Keep nothing from now on."""
        self.keep(None, 0)


class Lifted:
    """The queries of some cases, known up to whatever layer is asked for; the last one is kept."""

    def __init__(
        self,
        mllm: MLLM,
        probes: Sequence[tuple[Case, Sequence[Asked]]],
        states: States,
        *,
        for_generation: bool,
        batch_size: int,
    ) -> None:
        self.cases = [case for case, _ in probes]
        self._mllm = mllm
        self._probes = {case.id: of for case, of in probes}
        self._states = states
        self._for_generation = for_generation
        self._batch_size = batch_size
        self._last: Below | None = None

    def of(self, cases: Sequence[Case], layer: int) -> Below:
        """All queries of these cases."""
        whole, places, start = self._up_to(layer), {}, 0
        for name, probes in self._probes.items():
            places[name] = range(start, start + len(probes))
            start += len(probes)
        return whole.take([place for case in cases for place in places[case.id]])

    def lift(self, queries: Sequence[Query], layer: int) -> Below:
        """Some queries. All are computed where one of them is not of these cases."""
        whole = self._up_to(layer)
        places = {query: place for place, query in enumerate(whole.queries)}
        found = [places[query] for query in queries if query in places]
        return whole.take(found) if len(found) == len(queries) else self._below(queries, layer)

    def _up_to(self, layer: int) -> Below:
        if self._last is None or self._last.layer != layer:
            self._last = self._found(layer)
        return self._last

    def _found(self, layer: int) -> Below:
        queries = [probe.query for probes in self._probes.values() for probe in probes]
        lowest = self._states.layer
        if lowest is None or lowest > layer:
            return self._below(queries, layer)
        known = self._states.of(tuple(self._probes), lambda: self._below(queries, lowest))
        return known if lowest == layer else self._below(known, layer)

    def _below(self, queries: Sequence[Query], layer: int) -> Below:
        return self._mllm.below(
            queries, layer, for_generation=self._for_generation, batch_size=self._batch_size
        )
