"""What a caption says that no reference says, and what it leaves unsaid though most of them say it.

A more general word is neither wrong nor missing, and what references leave open is no ground to judge by: a
thing has another color, number, size or place than they say if one of them tells and none of them agrees.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from mmedit_build.scoring.statements import nouns
from mmedit_build.scoring.statements.things import Quality, Relation, Said, Thing

_AGREES, _OPEN, _DIFFERS = "agrees", "open", "differs"


@dataclass(frozen=True, slots=True)
class Findings:
    """How a caption differs from references in what it says."""

    unknown: tuple[str, ...]
    """Things that no reference names."""
    different: tuple[str, ...]
    """Things that have another number, color, size or place than references say."""
    left_out: tuple[str, ...]
    """Things that most references name and the caption does not."""

    @property
    def said_wrong(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.unknown + self.different))

    def __bool__(self) -> bool:
        return bool(self.unknown or self.different or self.left_out)


def compare(caption: Said, references: Sequence[Said]) -> Findings:
    """Hold what a caption says against what references say."""
    unknown = tuple(thing.text for thing in caption.things if not _is_known(thing, references))
    different = tuple(dict.fromkeys([*_different(caption, references), *_reversed(caption, references)]))
    return Findings(unknown, different, tuple(_left_out(caption, references)))


def _is_known(thing: Thing, references: Sequence[Said]) -> bool:
    """Whether a reference names it, or by a more general or a more exact word."""
    if nouns.is_part(thing.name):
        return True
    hints = set().union(*(reference.hints for reference in references))
    if any(thing.name in nouns.kinds(hint) for hint in hints):
        return True
    others = [other for reference in references for other in reference.things]
    if nouns.is_setting(thing.name) and not any(nouns.is_setting(other.name) for other in others):
        return True
    general = [other for other in others if nouns.compatible(thing.name, other.name)]
    return any(other.most > 1 or not _narrowed(other.name, thing.name, others) for other in general)


def _narrowed(general: str, exact: str, others: Sequence[Thing]) -> bool:
    """Whether a reference says more exactly than a general word what there is, and it is something else."""
    return any(
        other.name != general
        and general in nouns.kinds(other.name)
        and not nouns.compatible(other.name, exact)
        for other in others
    )


def _different(caption: Said, references: Sequence[Said]) -> Iterator[str]:
    for thing in caption.things:
        wrong = (
            wanted
            for number in range(len(thing.qualities) + 1)
            for wanted in combinations(thing.qualities, number)
            if (wanted or thing.counted) and _contradicted(thing.name, wanted, caption, references)
        )
        found = next(wrong, None)
        if found is not None:
            yield _in_words(thing.name, found, caption)


def _in_words(name: str, wanted: tuple[Quality, ...], caption: Said) -> str:
    """All that a caption says is there of a kind with some qualities."""
    alike = [thing for thing in caption.things if _fits(thing, name, wanted)]
    text = " and ".join(thing.text for thing in alike)
    return text if wanted or len(alike) > 1 or alike[0].most > 1 else f"one {text.removeprefix('one ')}"


def _contradicted(name: str, wanted: tuple[Quality, ...], caption: Said, references: Sequence[Said]) -> bool:
    here = _range(name, wanted, caption)
    views = {_view(name, wanted, here, reference) for reference in references}
    return _DIFFERS in views and _AGREES not in views


def _view(name: str, wanted: tuple[Quality, ...], here: tuple[int, float], reference: Said) -> str:
    """What a reference has to say about so many things of a kind with some qualities."""
    alike = [thing for thing in reference.things if nouns.compatible(name, thing.name)]
    if not alike or (not wanted and not all(thing.counted for thing in alike)):
        return _OPEN
    least, most = _range(name, wanted, reference)
    if most < here[0] or here[1] < least:
        return _DIFFERS
    return _AGREES if least else _OPEN


def _range(name: str, wanted: tuple[Quality, ...], said: Said) -> tuple[int, float]:
    """How many things of a kind with some qualities there are at least, and may be at most."""
    least, most = 0, 0.0
    for thing in said.things:
        fits = _fits(thing, name, wanted)
        if fits is not None:
            most += thing.most
            least += thing.least if fits else 0
    return least, most


def _fits(thing: Thing, name: str, wanted: tuple[Quality, ...]) -> bool | None:
    """Whether a thing surely is of a kind and has some qualities; None if it is not or has others."""
    if not nouns.compatible(name, thing.name):
        return None
    told = dict(thing.qualities)
    if any(quality.of in told and told[quality.of].isdisjoint(quality.values) for quality in wanted):
        return None
    return name in nouns.kinds(thing.name) and all(quality.of in told for quality in wanted)


def _left_out(caption: Said, references: Sequence[Said]) -> Iterator[str]:
    texts: dict[str, str] = {}
    for thing in (thing for reference in references for thing in reference.things):
        if not nouns.is_setting(thing.name) and not nouns.is_part(thing.name):
            texts.setdefault(thing.name, thing.text)
    said = set(caption.hints)
    for name, text in texts.items():
        number = sum(any(name in nouns.kinds(thing.name) for thing in one.things) for one in references)
        if 2 * number > len(references) and not any(nouns.compatible(name, hint) for hint in said):
            said.add(name)
            yield text


def _reversed(caption: Said, references: Sequence[Said]) -> Iterator[str]:
    for relation in caption.relations:
        first, second = caption.things[relation.first], caption.things[relation.second]
        turned = Relation(relation.of, relation.second, relation.first)
        if _alike(first, second):
            continue
        if _related(caption, turned, references) and not _related(caption, relation, references):
            yield f"{first.text} and {second.text}"


def _related(caption: Said, wanted: Relation, references: Sequence[Said]) -> bool:
    first, second = caption.things[wanted.first], caption.things[wanted.second]
    return any(
        wanted.of == relation.of
        and _alike(first, reference.things[relation.first])
        and _alike(second, reference.things[relation.second])
        and not _alike(*(reference.things[place] for place in relation[1:]))
        for reference in references
        for relation in reference.relations
    )


def _alike(one: Thing, other: Thing) -> bool:
    """Whether two things may be the same."""
    return _fits(other, one.name, one.qualities) is not None
