"""In what the settings of two runs differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """What is not the same in both: its name and its values, as JSON."""
    first, second = flat(before), flat(now)
    for name in dict.fromkeys((*first, *second)):
        # Another name or place of the same model or dataset makes no difference.
        same = f"{name}_digest" in first and first[f"{name}_digest"] == second[f"{name}_digest"]
        if first.get(name) != second.get(name) and not same:
            yield name, json.dumps(first.get(name)), json.dumps(second.get(name))


def flat(content: Mapping[str, Any], name: str = "") -> dict[str, Any]:
    """Nested settings side by side, their names joined by dots."""
    found: dict[str, Any] = {}
    for key, value in content.items():
        inner = f"{name}.{key}" if name else key
        found |= flat(value, inner) if isinstance(value, Mapping) and value else {inner: value}
    return found
