"""Released rows as edits, and what else edits hold of other formats; what nobody tells of them is unknown."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from pydantic import ValidationError

from mmedit_build.errors import UserError
from mmedit_build.formats import vlkeb
from mmedit_build.formats.files import Placed, content_of
from mmedit_build.formats.rows import Asked, Hop, ReleasedRow
from mmedit_build.rows import (
    EditRow,
    Imagined,
    Locality,
    LocalityItem,
    Portability,
    Proposal,
    Relation,
    Rephrase,
)
from mmedit_build.sources.nq import PREFIX

UNKNOWN = "unknown"
"""What edits say where their format is silent."""
UNTOLD = EditRow(
    id="",
    task="vqa",
    image="",
    image_id="",
    question="",
    question_type=UNKNOWN,
    answers=(),
    target="",
    prediction="",
    first_prediction="",
    confidence=None,
    scores={},
    base="",
)
"""An edit of which nothing is told yet."""
BARE = "bare/"
"""Begins the ids of facts that had no prefix, and shall have none when they are exported."""
COCO = re.compile(r"COCO_(?P<subset>[a-z]+\d{4})_(?P<image_id>\d{12})\.\w+")

Naming = Callable[[str], str]
"""How an edit names the image that a row has under some name."""


def edit_of(one: Placed, edit_id: str, naming: Naming) -> EditRow:
    """The edit of a row, without the keys and hops that only some formats have."""
    row, (task, split) = one.row, content_of(one.path)
    return replace(
        UNTOLD,
        id=edit_id,
        task=task,
        split=split,
        image=naming(row.image),
        image_id=_image_id(row.image),
        question=row.src,
        target=row.alt,
        prediction=row.pred,
        first_prediction=row.pred,
        base=UNKNOWN if "pred" in row.source else "",
        rephrase=rephrase_of(row.rephrase),
        imagined=_imagined(row, naming),
        locality=Locality(text=tuple(_text_items(row)), image=tuple(_image_items(row, naming))),
    )


def rephrase_of(text: str) -> Rephrase:
    """A rephrase of which only the text is told."""
    return Rephrase(text=text, model=UNKNOWN, prompt=UNKNOWN, candidates=())


def imagined_of(image: str, digest: str = "") -> Imagined:
    """A rephrased image of which nothing is told but what it is."""
    return Imagined(
        image=image, digest=digest, seed=0, prompt=UNKNOWN, strategy=UNKNOWN, model=UNKNOWN, candidates=()
    )


def portability_of(hops: Iterable[Hop]) -> Portability:
    """Hops of which nobody tells who proposed them."""
    proposals = (
        Proposal(question=one.question, premise=one.words, answer=one.answer, reason=None, steps=one.steps)
        for one in hops
    )
    return Portability(model=UNKNOWN, prompt=UNKNOWN, candidates=tuple(proposals))


def hops_of(edit: EditRow) -> tuple[Hop, ...]:
    """What portability asks: of an imported edit, and of one that was taken a step further."""
    try:
        return (*vlkeb.hops_of(edit.released), *own_hops(edit))
    except ValidationError as error:
        raise UserError(
            f"The edit {edit.id} has a port_new that is none of VLKEB's; import its file again."
        ) from error


def own_hops(edit: EditRow) -> Iterator[Hop]:
    """Those that no released file had."""
    for hop in edit.portability.hops if edit.portability else ():
        yield Hop(hop.steps, hop.question, hop.answer, hop.premise)


def in_coco(image: str) -> re.Match[str] | None:
    """What COCO's name of an image tells."""
    return COCO.fullmatch(PurePosixPath(image).name)


def _imagined(row: ReleasedRow, naming: Naming) -> Imagined | None:
    if "image_rephrase" not in row.source:
        return None
    return imagined_of(naming(row.image_rephrase) if row.image_rephrase else "")


def _text_items(row: ReleasedRow) -> Iterator[LocalityItem]:
    if row.loc or row.loc_ans:
        prefixed = row.loc.startswith(PREFIX)
        yield LocalityItem(
            id=("nq/" if prefixed else BARE) + _digest(row.loc, row.loc_ans),
            relation="far",
            image=None,
            image_id=None,
            question=row.loc.removeprefix(PREFIX),
            answers=(row.loc_ans,) * bool(row.loc_ans),
            answer=row.loc_ans,
        )


def _image_items(row: ReleasedRow, naming: Naming) -> Iterator[LocalityItem]:
    if row.m_loc or row.m_loc_q or row.m_loc_a:
        yield _item("far", row.m_loc, Asked(row.m_loc_q, row.m_loc_a), naming)
    if row.beside is not None:
        yield _item("same_image", row.image, row.beside, naming)


def _item(relation: Relation, image: str, asked: Asked, naming: Naming) -> LocalityItem:
    return LocalityItem(
        id="okvqa/" + _digest(image, asked.question, asked.answer),
        relation=relation,
        image=naming(image) if image else None,
        image_id=_image_id(image) if image else None,
        question=asked.question,
        answers=(asked.answer,) * bool(asked.answer),
        answer=asked.answer,
    )


def _image_id(image: str) -> str:
    match = in_coco(image)
    return image if match is None else str(int(match["image_id"]))


def _digest(*texts: str) -> str:
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16]
