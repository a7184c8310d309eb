"""Sources of other packages: what their classes derive from, and what is asked of the rows that they give.

A class is a section of recipes: its fields are the keys that a recipe gives beside `kind`, and what it
derives from says where in a recipe it may stand. A package adds it by an entry point:

    [project.entry-points."mmedit.sources"]
    gqa = "my_package.gqa:GQA"
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import ClassVar, TypeVar, cast

from mmedit_build.errors import UserError
from mmedit_build.recipe import Added
from mmedit_build.recipe.fields import Strict
from mmedit_build.sources.coco import CaptionedImage
from mmedit_build.sources.nq import Fact
from mmedit_build.sources.places import path_of
from mmedit_build.sources.vqav2 import VqaQuestion, check_answers
from mmedit_build.work import Work

Row = TypeVar("Row")
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""Of what the ids of rows are made, which also name files."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a source is read for a build."""

    work: Work
    kind: str

    @property
    def folder(self) -> Path:
        """For what the source writes, such as images that it has inside other files."""
        return self.work.sources / self.kind

    def path(self, given: str) -> Path:
        """What a path of the recipe means: `~` and `{sources}` stand for folders."""
        return path_of(given, self.work)


class Own(Strict):
    """What the three below have in common."""

    def look(self, place: Place) -> None:
        """Raise a UserError if something that the source needs is not there; called before a build begins."""


class OwnQuestions(Own):
    """Questions about images, for `sources: {vqa: ...}` and `attach: {image: ...}`."""

    gives: ClassVar[str] = "questions"

    def rows(self, place: Place) -> Iterable[VqaQuestion]:
        """All of them, in the same order each time; those beyond a limit of mining are not asked for."""
        raise NotImplementedError


class OwnCaptions(Own):
    """Captions of images, for `sources: {captions: ...}`."""

    gives: ClassVar[str] = "captions"

    def rows(self, place: Place) -> Iterable[CaptionedImage]:
        """One for each image, in the same order each time."""
        raise NotImplementedError


class OwnFacts(Own):
    """Questions without images, for `attach: {text: ...}`."""

    gives: ClassVar[str] = "facts"

    def rows(self, place: Place) -> Iterable[Fact]:
        """All of them, in the same order each time."""
        raise NotImplementedError


def look_at_own(source: Added, work: Work) -> None:
    """Refuse a source that lacks what it needs."""
    cast(Own, source.opened()).look(Place(work, source.kind))


def read_own_questions(source: Added, work: Work, limit: int | None) -> list[VqaQuestion]:
    """The first `limit` questions, checked."""
    given = cast(OwnQuestions, source.opened()).rows(Place(work, source.kind))
    rows = list(islice(_of_type(source, given, VqaQuestion), limit))
    for row in rows:
        _check_ids(source, row.subset, row.question_id, row.image_id)
        check_answers(row.question_id, row.answers)
    return rows


def read_own_captions(source: Added, work: Work) -> list[CaptionedImage]:
    """All images that have captions, checked."""
    given = cast(OwnCaptions, source.opened()).rows(Place(work, source.kind))
    rows = [row for row in _of_type(source, given, CaptionedImage) if row.captions]
    for row in rows:
        _check_ids(source, row.subset, row.image_id)
    return rows


def read_own_facts(source: Added, work: Work) -> list[Fact]:
    """All facts that have answers, checked."""
    given = cast(OwnFacts, source.opened()).rows(Place(work, source.kind))
    rows = [row for row in _of_type(source, given, Fact) if row.question and row.answers]
    for row in rows:
        _check_ids(source, *row.place.split("/"))
    return rows


def _of_type(source: Added, given: Iterable[object], wanted: type[Row]) -> Iterator[Row]:
    for row in given:
        if not isinstance(row, wanted):
            raise UserError(
                f"The source '{source.kind}' gives a {type(row).__name__}; its rows() has to give "
                f"{wanted.__name__} of {wanted.__module__}."
            )
        yield row


def _check_ids(source: Added, *parts: int | str) -> None:
    for part in parts:
        if not _PART.fullmatch(str(part)):
            raise UserError(
                f"The source '{source.kind}' gives the id {part!r}; ids are made of letters, digits and ._- "
                "and begin with a letter or a digit."
            )
