"""What lies near an edit and far from it, of all that was mined: nearness is the mean of two cosines, that of
the questions and that of the images.

Of what the base model answers right come items of locality: the most similar question on the edit's image,
and the nearest and farthest on other images. What it answers wrong is no locality: it shows whether an edit
helps elsewhere. Only questions are dealt whose right answer is not the edit's target, none is itself an edit,
and `Borders` keeps the splits apart. Cosines are computed for a block of edits at a time, so that memory does
not grow with the edits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mmedit_build.recipe import AttachStage
from mmedit_build.recipe.attach import BY_NEARNESS
from mmedit_build.rows import SPLITS, EditRow, LocalityItem, Nearness, Relation
from mmedit_build.scoring.text import plain
from mmedit_build.stages.attach import near_item, pair_of, same
from mmedit_build.stages.borders import Borders, order, split_of

Floats = NDArray[np.float32]
BLOCK = 64
"""Edits whose cosines with all candidates are held at a time."""
MISSED: tuple[Relation, ...] = ("near_wrong", "far_wrong")
DIGITS = 4
"""Of stored cosines: further ones depend on the machine."""


@dataclass(frozen=True)
class Space:
    """Embeddings, all of length 1."""

    texts: Mapping[str, Floats]
    """By the text of a question."""
    images: Mapping[str, Floats]
    """By the name that rows have for an image."""

    def nearness(self, edit: EditRow, item: LocalityItem) -> Nearness:
        """How near an item lies to its edit; the prompt of a caption is no question."""
        text = self.texts[edit.question] @ self.texts[item.question] if edit.task == "vqa" else None
        image = None if item.image is None else self.images[edit.image] @ self.images[item.image]
        return Nearness(*(None if one is None else round(float(one), DIGITS) for one in (text, image)))


def candidates(mined: Sequence[EditRow], edits: Sequence[EditRow], seed: str, most: int) -> list[EditRow]:
    """Questions on images of edits, and so many others as the seed draws; no edits, and none twice."""
    edited = {pair_of(edit) for edit in edits}
    images = {edit.image_id for edit in edits if edit.task == "vqa"}
    asked = sorted((row for row in mined if row.task == "vqa"), key=lambda row: order(seed, row.id))
    free = [row for pair, row in {pair_of(row): row for row in asked}.items() if pair not in edited]
    elsewhere = [row for row in free if row.image_id not in images]
    return [*(row for row in free if row.image_id in images), *elsewhere[:most]]


class Pool:
    """Candidates with what their choice depends on."""

    def __init__(self, rows: Sequence[EditRow], borders: Borders, space: Space) -> None:
        self.rows = rows
        self._space = space
        self._texts = _Column(plain(row.question) for row in rows)
        self._answers = _Column(same(row.target) for row in rows)
        self._images = _Column(row.image_id for row in rows)
        items = [near_item(row, "far") for row in rows]
        self._admitted = {
            split: np.array([borders.admits(split, item) for item in items], dtype=bool) for split in SPLITS
        }

    def fits(self, edit: EditRow) -> NDArray[np.bool_]:
        """Which candidates may be used: not its question, not its answer, and nothing of the other split."""
        alike = self._texts.same(plain(edit.question)) | self._answers.same(same(edit.target))
        return self._admitted[split_of(edit)] & ~alike

    def on_image(self, edit: EditRow) -> list[EditRow]:
        """Those on the edit's image, the most similar question first."""
        places = np.flatnonzero(self.fits(edit) & self._images.same(edit.image_id))
        own = self._space.texts[edit.question]
        here = [self.rows[place] for place in places.tolist()]
        return sorted(here, key=lambda row: -float(own @ self._space.texts[row.question]))

    def ends(self, edits: Sequence[EditRow], few: int) -> Iterator[tuple[list[EditRow], list[EditRow]]]:
        """For each edit, of those on other images a few nearest and a few farthest, each from the end."""
        for start in range(0, len(edits), BLOCK):
            block = edits[start : start + BLOCK]
            for edit, nearness in zip(block, self._nearness(block), strict=True):
                places = np.flatnonzero(self.fits(edit) & ~self._images.same(edit.image_id))
                ranked = places[np.argsort(-nearness[places], kind="stable")]
                near, far = ranked[:few], ranked[::-1][:few]
                yield [self.rows[one] for one in near.tolist()], [self.rows[one] for one in far.tolist()]

    def _nearness(self, edits: Sequence[EditRow]) -> Floats:
        if not self.rows:
            return np.zeros((len(edits), 0), dtype=np.float32)
        texts, images = self._vectors
        own = np.stack([self._space.texts[edit.question] for edit in edits])
        shown = np.stack([self._space.images[edit.image] for edit in edits])
        return np.asarray((own @ texts.T + shown @ images.T) / 2, dtype=np.float32)

    @cached_property
    def _vectors(self) -> tuple[Floats, Floats]:
        texts = np.stack([self._space.texts[row.question] for row in self.rows])
        return texts, np.stack([self._space.images[row.image] for row in self.rows])


class _Column:
    """A text of each candidate; as numbers they compare faster."""

    def __init__(self, values: Iterable[str]) -> None:
        self._codes: dict[str, int] = {}
        self._numbers = np.array(
            [self._codes.setdefault(value, len(self._codes)) for value in values], dtype=np.int64
        )

    def same(self, value: str) -> NDArray[np.bool_]:
        """Which candidates have it."""
        found: NDArray[np.bool_] = self._numbers == self._codes.get(value, -1)
        return found


def add_neighbors(
    edits: Sequence[EditRow], right: Pool, wrong: Pool, space: Space, config: AttachStage
) -> list[EditRow]:
    """The edits, whose items are dealt, with their neighbors and with how near all items lie."""
    asked = [edit for edit in edits if edit.task == "vqa"]
    # As many more as the edit may have been given already.
    few = sum(getattr(config, name) for name in BY_NEARNESS) + config.same_question + config.image_items
    ends = zip(asked, right.ends(asked, few), wrong.ends(asked, few), strict=True)
    near = {
        edit.id: _neighbors(edit, right.on_image(edit), known, missed, config) for edit, known, missed in ends
    }
    return [_with_nearness(near.get(edit.id, edit), space) for edit in edits]


Ends = tuple[Sequence[EditRow], Sequence[EditRow]]


def _neighbors(
    edit: EditRow, here: Sequence[EditRow], right: Ends, wrong: Ends, config: AttachStage
) -> EditRow:
    assert edit.locality is not None
    # By what is asked: sources ask the same of an image twice, under other ids.
    given = {pair_of(item) for item in edit.locality.image}
    found: dict[Relation, Sequence[EditRow]] = {
        "similar_question": here,
        "near_right": right[0],
        "far_right": right[1],
        "near_wrong": wrong[0],
        "far_wrong": wrong[1],
    }
    dealt: list[LocalityItem] = []
    for relation, rows in found.items():
        free = [row for row in rows if pair_of(row) not in given][: getattr(config, relation)]
        given |= {pair_of(row) for row in free}
        dealt += [near_item(row, relation) for row in free]
    kept = [item for item in dealt if item.relation not in MISSED]
    gain = tuple(item for item in dealt if item.relation in MISSED)
    return replace(edit, locality=replace(edit.locality, image=(*edit.locality.image, *kept), gain=gain))


def _with_nearness(edit: EditRow, space: Space) -> EditRow:
    locality = edit.locality
    assert locality is not None
    items = (*locality.text, *locality.image, *locality.gain)
    nearness = {item.id: space.nearness(edit, item) for item in items}
    return replace(edit, locality=replace(locality, nearness=nearness))
