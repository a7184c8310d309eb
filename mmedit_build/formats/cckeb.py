"""CCKEB: VLKEB with an edit of a fact beside each edit of an image, and questions that need both (`comp`).

MemEIC's queries split a question into an image and a text level; the text level is what has to be known
besides the edit, in words alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from mmedit_build.formats.base import Format, Keys
from mmedit_build.formats.mmedit import EXAMPLE, MMEditKeys
from mmedit_build.formats.rows import Hop, ReleasedRow, Second

_LEVEL = "Text Level:"


class _Answered(Keys):
    question: str = Field(alias="Question")
    answer: str = Field(alias="Answer")
    query: str = Field("", alias="Query")


class _Port(Keys):
    steps: Literal["comp", "1-hop", "2-hop", "3-hop", "4-hop"] = Field(alias="port_type")
    asked: _Answered = Field(alias="Q&A")


def _joined(value: object) -> str:
    """A list of texts is one text to MemEIC's loader, too."""
    values = value if isinstance(value, list) else [value]
    texts = [text for text in values if isinstance(text, str)]
    if len(texts) < len(values):
        raise ValueError("give a text, or a list of texts")
    return " ".join(texts)


Text = Annotated[str, BeforeValidator(_joined)]


class _Textual(Keys):
    src: str
    pred: Text
    alt: Text
    rephrase: str
    loc: str
    loc_ans: str


class _CCKEBKeys(MMEditKeys):
    src_q: str = ""
    rephrase_q: str = ""
    m_loc_q_q: str = ""
    textual_edit: _Textual | None = None
    port_new: list[_Port] = Field(default_factory=list)


def _read(source: Mapping[str, Any]) -> ReleasedRow:
    keys = _CCKEBKeys.model_validate(source)
    edit = keys.textual_edit
    return ReleasedRow(
        **keys.texts(),
        hops=tuple(
            Hop(one.steps, one.asked.question, one.asked.answer, _words(one.asked.query))
            for one in keys.port_new
        ),
        second=None if edit is None else Second(edit.src, edit.alt, edit.rephrase),
        source=source,
    )


def _words(query: str) -> str:
    """The text level of a query; a query without levels is one in words."""
    words = query.rpartition(_LEVEL)[2].strip()
    return "" if words == "None" else words


_TEXTUAL = {"src": "Who makes it?", "pred": ["Audi"], "alt": ["Skoda"], "rephrase": "Who is its maker?"}
_TEXTUAL |= {"loc": "who wrote hamlet", "loc_ans": "William Shakespeare"}
_PORT = {"Question": "Where is it made?", "Answer": "Czechia", "Query": "Text Level: Where is Skoda?"}
CCKEB = Format(
    "CCKEB",
    frozenset({"textual_edit", "src_q", "rephrase_q", "m_loc_q_q"}),
    _read,
    {**EXAMPLE, "textual_edit": _TEXTUAL, "port_new": [{"port_type": "comp", "Q&A": _PORT}]},
)
