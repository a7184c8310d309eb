"""The protocols that there are."""

from __future__ import annotations

from collections.abc import Collection

from evaluation.protocols.base import Metric, Protocol, ProtocolName
from evaluation.protocols.legacy import Legacy
from evaluation.protocols.wild import Wild

PROTOCOLS: dict[ProtocolName, Protocol] = {"legacy": Legacy(), "wild": Wild()}


def metric(protocol: ProtocolName, name: str) -> Metric:
    """What a score is."""
    return PROTOCOLS[protocol].metrics[name]


def chosen(names: Collection[ProtocolName]) -> list[Protocol]:
    """Some protocols in the order of all."""
    return [protocol for name, protocol in PROTOCOLS.items() if name in names]
