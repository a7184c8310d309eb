"""From all failures found to the edits of a benchmark: no repeats, no leaks between splits, wanted sizes.

An image belongs to one split, whatever the task, and so does the text of a question; rows for which the two
disagree are left out. Texts are dealt out type by type, so that both splits get every type in the same
proportion as far as the texts allow.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from mmedit_build.engine.base import Rejected
from mmedit_build.recipe import Sizes
from mmedit_build.rows import SPLITS, EditRow, Split, Task
from mmedit_build.scoring.text import plain

Selected = tuple[list[EditRow], list[Rejected[EditRow]]]


def select(found: Sequence[EditRow], sizes: Mapping[Task, Sizes], seed: str, spare: float) -> Selected:
    """Edits with their splits, in an order of which every beginning is balanced, and what is left out."""
    unique, repeats = _without_repeats(found)
    rows, misplaced = _placed(unique, sizes, seed)
    kept, surplus = cut(rows, with_spare(sizes, spare), seed)
    return kept, [*repeats, *misplaced, *surplus]


def placed(found: Sequence[EditRow], sizes: Mapping[Task, Sizes], seed: str) -> list[EditRow]:
    """All that could be edits, with their splits."""
    return _placed(_without_repeats(found)[0], sizes, seed)[0]


def cut(edits: Sequence[EditRow], sizes: Mapping[Task, Sizes], seed: str) -> Selected:
    """The wanted number of each task and split, balanced over the types of question."""
    groups: list[list[EditRow]] = []
    surplus: list[Rejected[EditRow]] = []
    for task, size in sizes.items():
        for split in SPLITS:
            group = [edit for edit in edits if (edit.task, edit.split) == (task, split)]
            ordered = _by_turns(group, seed)
            wanted = size.train if split == "train" else size.test
            groups.append(ordered[:wanted])
            surplus += [Rejected(edit.id, "more than wanted", edit) for edit in ordered[wanted:]]
    return _woven(groups), surplus


def _woven(groups: Sequence[Sequence[EditRow]]) -> list[EditRow]:
    """All groups in one row, each spread evenly over it."""
    places = [
        ((place + 0.5) / len(group), number, edit)
        for number, group in enumerate(groups)
        for place, edit in enumerate(group)
    ]
    return [edit for _, _, edit in sorted(places, key=lambda one: one[:2])]


def with_spare(sizes: Mapping[Task, Sizes], spare: float) -> dict[Task, Sizes]:
    """Sizes that are larger by a share."""
    return {
        task: Sizes(train=round(size.train * (1 + spare)), test=round(size.test * (1 + spare)))
        for task, size in sizes.items()
    }


def _without_repeats(found: Sequence[EditRow]) -> Selected:
    seen: set[tuple[str, str, str]] = set()
    unique: list[EditRow] = []
    repeats: list[Rejected[EditRow]] = []
    for edit in sorted(found, key=lambda edit: edit.id):
        key = (edit.task, edit.image_id, plain(edit.question))
        if key in seen:
            repeats.append(Rejected(edit.id, "asked before", edit))
        else:
            seen.add(key)
            unique.append(edit)
    return unique, repeats


def _placed(edits: Sequence[EditRow], sizes: Mapping[Task, Sizes], seed: str) -> Selected:
    shares = _shares(sizes)
    asked = [edit for edit in edits if edit.task == "vqa"]
    texts = _split_of_texts(asked, shares, seed)
    images = _split_of_images(edits, texts, shares, seed)
    placed: list[EditRow] = []
    misplaced: list[Rejected[EditRow]] = []
    for edit in edits:
        split = images[edit.image_id]
        if edit.task == "vqa" and texts[plain(edit.question)] != split:
            misplaced.append(Rejected(edit.id, "its image is in the other split", edit))
        else:
            placed.append(replace(edit, split=split))
    return placed, misplaced


def _shares(sizes: Mapping[Task, Sizes]) -> dict[Split, float]:
    train, test = (sum(getattr(size, split) for size in sizes.values()) for split in SPLITS)
    return {"train": train / (train + test), "test": test / (train + test)}


def _split_of_texts(edits: Sequence[EditRow], shares: Mapping[Split, float], seed: str) -> dict[str, Split]:
    by_type: dict[str, Counter[str]] = defaultdict(Counter)
    for edit in edits:
        by_type[edit.question_type][plain(edit.question)] += 1
    splits: dict[str, Split] = {}
    overall: Counter[Split] = Counter()
    for kind in sorted(by_type):
        counts = Counter({text: n for text, n in by_type[kind].items() if text not in splits})
        splits |= _dealt(counts, shares, overall, seed)
    return splits


def _split_of_images(
    edits: Sequence[EditRow], texts: Mapping[str, Split], shares: Mapping[Split, float], seed: str
) -> dict[str, Split]:
    """An image goes where most of its questions go; images that have captions only are dealt out."""
    votes: dict[str, Counter[Split]] = defaultdict(Counter)
    for edit in edits:
        if edit.task == "vqa":
            votes[edit.image_id][texts[plain(edit.question)]] += 1
    # With equal votes for the rarer split, which has fewer rows to choose from.
    rarer = min(SPLITS, key=shares.__getitem__)
    splits = {
        image: max(SPLITS, key=lambda split: (count[split], split == rarer)) for image, count in votes.items()
    }
    captioned = [edit.image_id for edit in edits if edit.task == "caption"]
    overall = Counter(splits[image] for image in captioned if image in splits)
    rest = Counter(image for image in captioned if image not in splits)
    return splits | _dealt(rest, shares, overall, seed)


def _dealt(
    counts: Mapping[str, int], shares: Mapping[Split, float], overall: Counter[Split], seed: str
) -> dict[str, Split]:
    """Give each key to the split that lacks most, here and in all that was dealt before; large ones first."""
    splits: dict[str, Split] = {}
    here: Counter[Split] = Counter()
    for key in sorted(counts, key=lambda key: (-counts[key], _order(seed, key))):
        after, after_all = (tally.total() + counts[key] for tally in (here, overall))
        lacks = {
            split: shares[split] * (after + after_all) - here[split] - overall[split] for split in SPLITS
        }
        split = max(SPLITS, key=lacks.__getitem__)
        splits[key] = split
        here[split] += counts[key]
        overall[split] += counts[key]
    return splits


def _by_turns(edits: Iterable[EditRow], seed: str) -> list[EditRow]:
    """One of each type of question in turn, in an order that only the seed and the ids decide."""
    by_type: dict[str, list[EditRow]] = defaultdict(list)
    for edit in sorted(edits, key=lambda edit: _order(seed, edit.id)):
        by_type[edit.question_type].append(edit)
    turns = {edit.id: (turn, kind) for kind, group in by_type.items() for turn, edit in enumerate(group)}
    return sorted((edit for group in by_type.values() for edit in group), key=lambda edit: turns[edit.id])


def _order(seed: str, key: object) -> str:
    return hashlib.sha256(f"{seed}/{key}".encode()).hexdigest()
