"""What an audit looks at: the parts of an edit that any published form of it has."""

from __future__ import annotations

from dataclasses import dataclass

from mmedit_build.easyedit_layout import EasyEditRow
from mmedit_build.rows import Edit, LocalityItem, Relation, Split, Task
from mmedit_build.sources.nq import PREFIX


@dataclass(frozen=True, slots=True)
class Item:
    """A locality question; without an image it is about a fact."""

    question: str
    answer: str
    relation: Relation = "far"
    image: str | None = None
    answers: tuple[str, ...] = ()
    """What its annotators said, if that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One edit. Images are keys, which only have to be equal for equal images of one dataset."""

    id: str
    task: Task
    split: Split
    image: str
    question: str
    prediction: str
    target: str
    rephrase: str | None = None
    image_rephrase: str | None = None
    answers: tuple[str, ...] = ()
    """What its annotators said, if that is known."""
    text_items: tuple[Item, ...] | None = None
    image_items: tuple[Item, ...] | None = None
    """None: nothing is attached yet."""


def of_edit(edit: Edit) -> Sample | None:
    """The sample of an edit of whatever stage, once mining has put it into a split."""
    if edit.split is None:
        return None
    rephrase, imagined, locality = edit.rephrase, edit.imagined, edit.locality
    return Sample(
        id=edit.id,
        task=edit.task,
        split=edit.split,
        image=str(edit.image_id),
        question=edit.question,
        prediction=edit.prediction,
        target=edit.target,
        rephrase=None if rephrase is None else rephrase.text,
        image_rephrase=None if imagined is None else imagined.digest or imagined.image,
        answers=edit.answers,
        text_items=None if locality is None else tuple(_of_item(item) for item in locality.text),
        image_items=None if locality is None else tuple(_of_item(item) for item in locality.image),
    )


def of_row(row: EasyEditRow, row_id: str, task: Task, split: Split) -> Sample:
    """The sample of a row of MMEdit's layout."""
    fact = Item(row.loc.removeprefix(PREFIX), row.loc_ans)
    return Sample(
        id=row_id,
        task=task,
        split=split,
        image=row.image,
        question=row.src,
        prediction=row.pred,
        target=row.alt,
        rephrase=row.rephrase,
        image_rephrase=row.image_rephrase,
        text_items=(fact,),
        image_items=(Item(row.m_loc_q, row.m_loc_a, image=row.m_loc),),
    )


def _of_item(item: LocalityItem) -> Item:
    image = None if item.image is None else str(item.image_id or item.image)
    return Item(item.question, item.answer, item.relation, image, item.answers)
