"""Which split an image or the text of a question belongs to, so that nothing lies in both.

- The image of an edit belongs to the split of the edit, and so does the text of its question.
- The texts of each pool are shared out between the splits in proportion to the edits, rows with the same text
  together; texts of edits have their split already, and texts asked about images of edits follow those.
- An image of the pool that is no edit's belongs where one of its questions does; any other image is drawn by
  hash, weighted by the edits of the splits.
- What edits of both splits have belongs to neither.

Nothing depends on the order of the rows.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from mmedit_build.rows import SPLITS, EditRow, LocalityItem, Split
from mmedit_build.scoring.text import plain


class Borders:
    """The line between the splits."""

    def __init__(self, edits: Sequence[EditRow], pools: Sequence[LocalityItem], seed: str) -> None:
        self._seed = seed
        counts = Counter(split_of(edit) for edit in edits)
        self._shares = {split: counts[split] / len(edits) for split in SPLITS if counts[split]}
        self._images = _owners((edit.image_id, split_of(edit)) for edit in edits)
        self._texts = _owners((plain(edit.question), split_of(edit)) for edit in edits)
        self._facts = self._shared_out([item for item in pools if item.image_id is None])
        seen = [item for item in pools if item.image_id is not None]
        self._seen = self._shared_out(seen)
        for item in sorted(seen, key=lambda item: order(seed, item.id)):
            if item.image_id is not None:
                self._images.setdefault(item.image_id, self._seen[plain(item.question)])

    def of_image(self, image_id: str) -> Split | None:
        """The split of an image, None if it may be used in neither."""
        if image_id not in self._images:
            self._images[image_id] = self._drawn(image_id)
        return self._images[image_id]

    def _drawn(self, image_id: str) -> Split:
        number = int(order(self._seed, image_id)[:12], 16) / 16**12
        return "train" if number < self._shares.get("train", 0) else "test"

    def of_item(self, item: LocalityItem) -> Split | None:
        """The split of an item of the pools: that of its text, if its image is in the same."""
        if item.image_id is None:
            return self._facts[plain(item.question)]
        split = self._seen[plain(item.question)]
        return split if self.of_image(item.image_id) == split else None

    def admit(self, edit: EditRow, item: LocalityItem) -> bool:
        """Whether an item may be used near an edit."""
        return self.admits(split_of(edit), item)

    def admits(self, split: Split, item: LocalityItem) -> bool:
        """Whether an item may be used near edits of a split: its image and text are not the other's."""
        ours = item.image_id is None or self.of_image(item.image_id) == split
        return ours and self._texts.get(plain(item.question), split) == split

    def _shared_out(self, items: Sequence[LocalityItem]) -> dict[str, Split | None]:
        """Texts asked about images of edits go where most of those are, the others where most is lacking."""
        counts = Counter(plain(item.question) for item in items)
        votes = self._votes(items)
        splits = {text: self._texts[text] for text in counts if text in self._texts}
        held: Counter[Split] = Counter()
        for text, owner in splits.items():
            if owner is not None:
                held[owner] += counts[text]
        free = counts.keys() - splits.keys()
        # First those that have little choice, then those of most rows.
        for text in sorted(free, key=lambda text: (not votes[text], -counts[text], order(self._seed, text))):
            most = max(votes[text].values(), default=0)
            choice = [split for split in self._shares if votes[text][split] == most]
            neediest = min(choice, key=lambda split: held[split] / self._shares[split])
            splits[text] = neediest
            held[neediest] += counts[text]
        return splits

    def _votes(self, items: Sequence[LocalityItem]) -> dict[str, Counter[Split]]:
        votes: dict[str, Counter[Split]] = defaultdict(Counter)
        for item in items:
            owner = None if item.image_id is None else self._images.get(item.image_id)
            if owner is not None:
                votes[plain(item.question)][owner] += 1
        return votes


def split_of(edit: EditRow) -> Split:
    """The split of an edit, which mining gives it."""
    if edit.split is None:
        raise ValueError(f"{edit.id} has no split")
    return edit.split


def order(seed: str, key: object) -> str:
    """Sorts as if shuffled: only the seed and the key decide."""
    return hashlib.sha256(f"{seed}/{key}".encode()).hexdigest()


def _owners(pairs: Iterable[tuple[str, Split]]) -> dict[str, Split | None]:
    owners: dict[str, Split | None] = {}
    for key, split in pairs:
        owners[key] = split if owners.get(key, split) == split else None
    return owners
