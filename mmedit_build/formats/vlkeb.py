"""VLKEB: MMEdit's keys, images in folders of their entities, and `port_new` in two of its files.

`eval_multihop.json` has questions of one to four hops. `eval_edit_onehop.json` has the fact of the first hop,
which is edited too, and the question that needs both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from mmedit_build.formats.base import Format, Keys
from mmedit_build.formats.mmedit import EXAMPLE, MMEditKeys
from mmedit_build.formats.rows import STEPS, Hop, ReleasedRow, Second

FILES = ("train.json", "eval.json", "eval_multihop.json")
"""The files of a dataset. `eval_edit_onehop.json` has the edits of the third again, but makes two of each."""


class _Answered(Keys):
    question: str = Field(alias="Question")
    answer: str = Field(alias="Answer")


class _Port(Keys):
    steps: Literal["1-hop", "2-hop", "3-hop", "4-hop"] = Field(alias="port_type")
    asked: _Answered = Field(alias="Q&A")


class _AskedKeys(Keys):
    """Of a row whose hops are only asked about."""

    port_new: list[_Port] = Field(default_factory=list)


class _OneHop(Keys):
    port_edit_q: str
    port_edit_a: str
    port_q: str
    port_a: str


class _EditedKeys(MMEditKeys):
    """Of a row whose first hop is edited too."""

    port_new: list[_OneHop]


def _read(source: Mapping[str, Any]) -> ReleasedRow:
    ports = source.get("port_new")
    if isinstance(ports, list) and any(isinstance(one, dict) and "port_edit_q" in one for one in ports):
        edited = _EditedKeys.model_validate(source)
        return ReleasedRow(
            **edited.texts(),
            hops=tuple(Hop(STEPS[0], one.port_q, one.port_a) for one in edited.port_new),
            second=Second(edited.port_new[0].port_edit_q, edited.port_new[0].port_edit_a),
            source=source,
        )
    return ReleasedRow(**MMEditKeys.model_validate(source).texts(), hops=hops_of(source), source=source)


def hops_of(source: Mapping[str, Any]) -> tuple[Hop, ...]:
    """What the keys of a row ask about its image; a ValidationError if they are not VLKEB's."""
    ports = _AskedKeys.model_validate(source).port_new
    return tuple(Hop(one.steps, one.asked.question, one.asked.answer) for one in ports)


def port(hop: Hop) -> dict[str, Any]:
    """A hop as the keys of a row have it."""
    return {"port_type": hop.steps, "Q&A": {"Question": hop.question, "Answer": hop.answer}}


_PORT = port(Hop(STEPS[0], "Who makes this car?", "Skoda"))
VLKEB = Format("VLKEB", frozenset({"port_new"}), _read, {**EXAMPLE, "port_new": [_PORT]})
