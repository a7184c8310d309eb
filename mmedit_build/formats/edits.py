"""Released rows as edits. What nobody tells of an edit is unknown; what its format does not have is None."""

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
from mmedit_build.rows import EditRow, Imagined, Locality, LocalityItem, Portability, Proposal, Rephrase
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
"""How an edit names the image that a row has under some name, empty if it is."""


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
        imagined=imagined_of(naming(row.image_rephrase)) if "image_rephrase" in row.source else None,
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


def _text_items(row: ReleasedRow) -> Iterator[LocalityItem]:
    if row.loc or row.loc_ans:
        source = "nq/" if row.loc.startswith(PREFIX) else BARE
        fact = Asked(row.loc.removeprefix(PREFIX), row.loc_ans)
        yield _item(source + _digest(row.loc, row.loc_ans), fact)


def _image_items(row: ReleasedRow, naming: Naming) -> Iterator[LocalityItem]:
    if row.m_loc or row.m_loc_q or row.m_loc_a:
        far = _item("okvqa/" + _digest(row.m_loc, row.m_loc_q, row.m_loc_a), Asked(row.m_loc_q, row.m_loc_a))
        yield replace(far, image=naming(row.m_loc) or None, image_id=_image_id(row.m_loc) or None)
    if row.beside is not None:
        beside = _item("beside/" + _digest(row.image, row.beside.question), row.beside)
        yield replace(beside, relation="same_image", image=naming(row.image), image_id=_image_id(row.image))


def _item(item_id: str, asked: Asked) -> LocalityItem:
    return LocalityItem(
        id=item_id,
        relation="far",
        image=None,
        image_id=None,
        question=asked.question,
        answers=(asked.answer,) * bool(asked.answer),
        answer=asked.answer,
    )


def _image_id(image: str) -> str:
    match = in_coco(image)
    return image if match is None else str(int(match["image_id"]))


def _digest(*texts: str) -> str:
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16]
