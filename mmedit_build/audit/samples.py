"""What an audit looks at: of a dataset its edits, with the parts that any published form of them has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmedit_build.formats.exchange import hops_of
from mmedit_build.formats.rows import Asked, Hop, ReleasedRow, entity_of
from mmedit_build.image_files import read_image
from mmedit_build.rows import EditRow, LocalityItem, Relation, Split, Task
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
    prediction: str | None
    """None where the dataset does not tell."""
    target: str
    rephrase: str | None = None
    image_rephrase: str | None = None
    answers: tuple[str, ...] = ()
    """What its annotators said, if that is known."""
    text_items: tuple[Item, ...] | None = None
    image_items: tuple[Item, ...] | None = None
    """None: nothing is attached yet, or the dataset has no such items."""
    hops: tuple[Hop, ...] = ()
    """What portability asks."""
    entity: str = ""
    """What the image shows, where the dataset tells."""


@dataclass(frozen=True, slots=True)
class Files:
    """The image files of a sample."""

    image: Path
    image_rephrase: Path | None


@dataclass(frozen=True, slots=True)
class Pictures:
    """The encoded images of a sample, as far as they are at hand."""

    image: bytes | None = None
    image_rephrase: bytes | None = None


def _no_pictures(ids: Sequence[str]) -> Mapping[str, Pictures]:  # noqa: ARG001
    return {}


@dataclass(frozen=True, slots=True)
class Target:
    """A dataset to audit."""

    name: str
    samples: Sequence[Sample]
    files: Mapping[str, Files] = field(default_factory=dict)
    """By the ids of samples, for datasets whose images are files."""
    embedded: Callable[[Sequence[str]], Mapping[str, Pictures]] = _no_pictures
    """Fetches the images of some samples of a dataset that has its images in itself."""

    def pictures(self, ids: Sequence[str]) -> Mapping[str, Pictures]:
        """The images of some samples; what is missing is left out."""
        if not self.files:
            return self.embedded(ids)
        found = {name: self.files[name] for name in ids if name in self.files}
        return {name: Pictures(_bytes(of.image), _bytes(of.image_rephrase)) for name, of in found.items()}


def of_edit(edit: EditRow) -> Sample | None:
    """The sample of an edit of whatever stage, once mining has put it into a split."""
    if edit.split is None:
        return None
    rephrase, imagined, locality = edit.rephrase, edit.imagined, edit.locality
    return Sample(
        id=edit.id,
        task=edit.task,
        split=edit.split,
        image=edit.image_id,
        question=edit.question,
        prediction=edit.prediction,
        target=edit.target,
        rephrase=None if rephrase is None else rephrase.text,
        image_rephrase=None if imagined is None else imagined.digest or imagined.image,
        answers=edit.answers,
        text_items=None if locality is None else tuple(_of_item(item) for item in locality.text),
        image_items=None if locality is None else tuple(_of_item(item) for item in locality.image),
        hops=hops_of(edit),
        entity=entity_of(edit.image_id),
    )


def of_row(row: ReleasedRow, row_id: str, task: Task, split: Split) -> Sample:
    """The sample of a row of a released file; what its format does not have is nothing that it lacks."""
    keys = row.source or {"pred", "image_rephrase", "m_loc"}
    beside = [] if row.beside is None else [_of_asked(row.beside, row.image)]
    far = [Item(row.m_loc_q, row.m_loc_a, image=row.m_loc)] if "m_loc" in keys else []
    return Sample(
        id=row_id,
        task=task,
        split=split,
        image=row.image,
        question=row.src,
        prediction=row.pred if "pred" in keys else None,
        target=row.alt,
        rephrase=row.rephrase,
        image_rephrase=row.image_rephrase if "image_rephrase" in keys else None,
        text_items=(Item(row.loc.removeprefix(PREFIX), row.loc_ans),),
        image_items=(*far, *beside),
        hops=row.hops,
        entity=row.entity,
    )


def _of_asked(asked: Asked, image: str) -> Item:
    return Item(asked.question, asked.answer, "same_image", image)


def _of_item(item: LocalityItem) -> Item:
    image = None if item.image is None else item.image_id or item.image
    return Item(item.question, item.answer, item.relation, image, item.answers)


def _bytes(path: Path | None) -> bytes | None:
    try:
        return None if path is None else read_image(path)
    except OSError:
        return None
