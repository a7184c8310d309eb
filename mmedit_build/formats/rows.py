"""One edit of a released file, in whichever format: what a format does not have is empty."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import PurePosixPath
from typing import Any

_ENTITY = re.compile(r"[mg]\.[0-9a-z_]+")
"""How Freebase, from which VLKEB's entities are, writes the id of one."""
STEPS = ("1-hop", "2-hop", "3-hop", "4-hop")
COMPOSED = "comp"
"""How CCKEB marks a question about what its two edits say together."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with its answer."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Hop:
    """A question about the edit's image whose answer follows from the edit and from other facts."""

    steps: str
    """One of STEPS, or COMPOSED."""
    question: str
    answer: str
    words: str = ""
    """What has to be known besides the edit, asked in words alone."""


@dataclass(frozen=True, slots=True)
class Second:
    """A fact that is edited along with the image."""

    question: str
    answer: str
    rephrase: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedRow:
    """One edit; the first eleven names and their order are those of MMEdit's keys."""

    src: str
    """The question, or what is put before a caption to ask for it."""
    pred: str = ""
    """What the base model said."""
    rephrase: str = ""
    """The question in other words."""
    alt: str
    """The target, without the space that EasyEdit puts before it."""
    image: str
    """Empty where several images or a video are shown."""
    image_rephrase: str = ""
    """The image in another rendering, or another one of the same."""
    loc: str = ""
    """A question about a fact, in MMEdit after its prefix."""
    loc_ans: str = ""
    m_loc: str = ""
    """The image of another question."""
    m_loc_q: str = ""
    m_loc_a: str = ""
    hops: tuple[Hop, ...] = ()
    again: Asked | None = None
    """Another question about the edit's image whose answer changes with it."""
    beside: Asked | None = None
    """Another question about the edit's image whose answer shall stay."""
    second: Second | None = None
    source: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """The whole object of the file."""

    @property
    def entity(self) -> str:
        return entity_of(self.image)

    @property
    def several(self) -> bool:
        """Whether it shows several images or a video."""
        return not self.image and bool(self.source.get("image"))


def entity_of(image: str) -> str:
    """What an image shows, where its folder is named by it."""
    folder = PurePosixPath(image).parent.name
    return folder if _ENTITY.fullmatch(folder) else ""


KEYS = tuple(one.name for one in fields(ReleasedRow))[:11]
