"""HTML and SVG as values: text becomes markup only by being built here, so none can be forgotten."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

VOID = frozenset({"br", "img", "input"})
"""Elements that have no end."""


class Html(str):
    """Markup; any other text is escaped wherever it is put."""

    __slots__ = ()


def join(parts: Iterable[str]) -> Html:
    """The parts one after the other."""
    return Html("".join(part if isinstance(part, Html) else escape(part) for part in parts))


def tag(name: str, /, *content: str, **attributes: object) -> Html:
    """An element. Attributes of None or False are left out, those of True stand without a value.

    Underscores in attribute names become hyphens; one at the end is dropped, as in `class_`.
    """
    start = f"<{name}{''.join(_attribute(*one) for one in attributes.items())}>"
    return Html(start if name in VOID else f"{start}{join(content)}</{name}>")


def number(value: float) -> str:
    """A coordinate, as short as its precision allows."""
    return f"{value:.1f}".removesuffix(".0")


def _attribute(name: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = name.removesuffix("_").replace("_", "-")
    if value is True:
        return f" {name}"
    return f' {name}="{escape(number(value) if isinstance(value, float) else str(value))}"'
