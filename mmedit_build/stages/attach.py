"""Attaching: what the base model knows is handed to the edits as what they shall not change.

`Probing` asks the base model about the pools; `assign` gives each edit its far items from them, and near ones
from what mining found to be answered right. The rules that keep the splits apart are those of `Borders`.
Besides them: a far item is neither on the image of its edit nor asks its question, no item has the edit's
target for its answer (an edit that says the same to everything would pass it), and none is itself an edit.
Far items go round: none is used twice before all that fit were used once.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from mmedit_build.engine.base import Failed, Rejected
from mmedit_build.recipe import AttachStage, VisionModel
from mmedit_build.recipe.models import devices_of
from mmedit_build.rows import EditRow, Locality, LocalityItem, Relation
from mmedit_build.scoring.text import plain
from mmedit_build.scoring.vqa import normalize
from mmedit_build.services.asking import Asker, NoAnswer, Question
from mmedit_build.services.opening import load_asker
from mmedit_build.stages.borders import Borders, order, split_of
from mmedit_build.work import Work

Probed = LocalityItem | Rejected[LocalityItem] | Failed
Fits = Callable[[LocalityItem], bool]
DISPUTED = "annotators disagree"


@dataclass
class Probing:
    """From the pools to what the base model answers right, and from questions without their image to what it
    says to them."""

    config: AttachStage
    base: VisionModel
    work: Work
    _asker: Asker | None = field(default=None, init=False, repr=False)

    def devices(self) -> list[str]:
        return devices_of(self.base)

    def open(self) -> None:
        self._asker = load_asker(self.base, self.work.requests)

    def __call__(self, rows: Sequence[LocalityItem]) -> Iterable[Probed]:
        assert self._asker is not None
        disputed = {row.id for row in rows if _agreement(row) < self.config.least_agreement}
        questions = [self._question(row) for row in rows if row.id not in disputed]
        answers = iter(self._asker.ask(questions, max_tokens=self.config.answer_tokens))
        for row in rows:
            if row.id in disputed:
                yield Rejected(row.id, DISPUTED, row)
                continue
            answer = next(answers)
            if isinstance(answer, NoAnswer):
                yield Failed(row.id, answer.reason)
                continue
            yield self._judged(replace(row, prediction=answer.text), answer.text)

    def _judged(self, item: LocalityItem, said: str) -> LocalityItem | Rejected[LocalityItem]:
        if item.relation == "no_image":
            # Nothing is right without the image: its answer is what the model says.
            return replace(item, answer=said) if plain(said) else Rejected(item.id, "no answer", item)
        right = not self.config.only_right or is_right(item, said)
        return item if right else Rejected(item.id, "answered wrong", item)

    def _question(self, row: LocalityItem) -> Question:
        if row.relation == "no_image":
            return Question(None, row.question)
        if row.image is None:
            return Question(None, row.question, "fact")
        return Question(self.work.path(row.image), row.question)


def _agreement(item: LocalityItem) -> float:
    """The share of annotators who gave the commonest answer about an image; those of a fact are no votes."""
    if item.image is None or not item.answers:
        return 1.0
    return max(Counter(map(same, item.answers)).values()) / len(item.answers)


def is_right(item: LocalityItem, prediction: str) -> bool:
    """About an image: what most annotators said. About a fact: any of its answers. Case, articles and
    punctuation do not count."""
    right = (item.answer,) if item.image is not None else item.answers
    said = same(prediction)
    return said != "" and said in {same(answer) for answer in right}


def same(text: str) -> str:
    """What is equal for equal answers."""
    # Blood type A is an article to the normalization.
    return normalize(text) or text.strip().lower()


class Deck:
    """Items that are dealt from the top and go to the bottom; one that does not fit keeps its place."""

    def __init__(self, items: Iterable[LocalityItem], seed: str) -> None:
        self._items = deque(sorted(items, key=lambda item: order(seed, item.id)))

    def deal(self, number: int, fits: Fits) -> tuple[LocalityItem, ...]:
        """So many items that fit, or as many as there are."""
        dealt: list[LocalityItem] = []
        passed: list[LocalityItem] = []
        while self._items and len(dealt) < number:
            item = self._items.popleft()
            (dealt if fits(item) else passed).append(item)
        self._items.extendleft(reversed(passed))
        self._items.extend(dealt)
        return tuple(dealt)


def assign(
    edits: Sequence[EditRow],
    pools: Sequence[LocalityItem],
    known: Sequence[EditRow],
    config: AttachStage,
    seed: str,
) -> list[EditRow | Rejected[EditRow]]:
    """Each edit with its locality items, in the order of the edits.

    `pools` is what is left of them after probing, `known` what mining rejected as answered right. An edit for
    which a pool of the recipe has nothing left is rejected; near items may be fewer than asked for.
    """
    if not edits:
        return []
    dealer = _Dealer(edits, pools, known, config, seed)
    outcomes = {edit.id: dealer.serve(edit) for edit in sorted(edits, key=lambda edit: order(seed, edit.id))}
    return [outcomes[edit.id] for edit in edits]


class _Dealer:
    """The decks: of far items one for each split, of near items one for each image and for each question."""

    def __init__(
        self,
        edits: Sequence[EditRow],
        pools: Sequence[LocalityItem],
        known: Sequence[EditRow],
        config: AttachStage,
        seed: str,
    ) -> None:
        self._config = config
        self._borders = Borders(edits, pools, seed)
        # Leaves out of the decks below what is not apart from its edit, too: an edit's question on its image.
        edited = {pair_of(edit) for edit in edits}
        far = [item for item in pools if pair_of(item) not in edited]
        right = [row for row in known if row.task == "vqa" and pair_of(row) not in edited]
        self._facts = _decks((item for item in far if item.image is None), self._borders.of_item, seed)
        self._images = _decks((item for item in far if item.image is not None), self._borders.of_item, seed)
        images = {edit.image_id for edit in edits}
        on_image = (near_item(row, "same_image") for row in right if row.image_id in images)
        self._on_image = _decks(on_image, lambda item: item.image_id, seed)
        texts = {plain(edit.question) for edit in edits if edit.task == "vqa"}
        with_text = (near_item(row, "same_question") for row in right if plain(row.question) in texts)
        self._with_text = _decks(with_text, lambda item: plain(item.question), seed)

    def serve(self, edit: EditRow) -> EditRow | Rejected[EditRow]:
        """The edit with its items, or why it gets none."""
        config, split = self._config, split_of(edit)
        text = self._facts[split].deal(config.text_items, partial(_apart, edit))
        image = self._images[split].deal(config.image_items, partial(_apart, edit))
        if (config.text and not text) or (config.image and not image):
            return Rejected(edit.id, "no locality item left", edit)
        near = partial(self._fits_near, edit)
        here = self._on_image[edit.image_id].deal(config.same_image, near)
        elsewhere = self._with_text[plain(edit.question)].deal(config.same_question, near)
        return replace(edit, locality=Locality(text=text, image=(*image, *here, *elsewhere)))

    def _fits_near(self, edit: EditRow, item: LocalityItem) -> bool:
        return self._borders.admit(edit, item) and _another_answer(edit, item)


def _apart(edit: EditRow, item: LocalityItem) -> bool:
    elsewhere = item.image_id != edit.image_id and plain(item.question) != plain(edit.question)
    return elsewhere and _another_answer(edit, item)


def _another_answer(edit: EditRow, item: LocalityItem) -> bool:
    return same(item.answer) != same(edit.target)


def pair_of(row: EditRow | LocalityItem) -> tuple[str | None, str]:
    """What is asked about which image."""
    return row.image_id, plain(row.question)


def near_item(row: EditRow, relation: Relation) -> LocalityItem:
    """A mined question as an item."""
    return LocalityItem(
        id=row.id,
        relation=relation,
        image=row.image,
        image_id=row.image_id,
        question=row.question,
        answers=row.answers,
        answer=row.target,
        prediction=row.prediction,
    )


def _decks(
    items: Iterable[LocalityItem], key: Callable[[LocalityItem], Hashable], seed: str
) -> Mapping[Hashable, Deck]:
    """One deck for the items of each key; there is an empty one for any other."""
    groups: dict[Hashable, list[LocalityItem]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return defaultdict(lambda: Deck((), seed), {name: Deck(group, seed) for name, group in groups.items()})
