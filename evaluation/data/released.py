"""Released files to cases: those of MMEdit, VLKEB, CCKEB, FGVEdit and ADS-Edit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

from evaluation.data.cases import Case, Picture, Premise, Probe, Steps, rephrases
from mmedit_build.formats.files import Placed, content_of, place, read_all
from mmedit_build.formats.rows import COMPOSED, Hop, ReleasedRow
from mmedit_build.image_files import image_path
from mmedit_build.sources.nq import PREFIX


def read_released(paths: Sequence[Path], images: Path | None) -> list[Case]:
    """The cases of some files, whose images lie in `images` or beside them; rows need a target."""
    return [_case(one, images or one.path.parent) for one in read_all(paths) if one.row.alt.strip()]


def _case(one: Placed, folder: Path) -> Case:
    row, row_id = one.row, f"{one.path.stem}/{one.number}"
    task, split = content_of(one.path)
    file = partial(image_path, folder, where=place(one.path, one.number))
    image, target = file(row.image), row.alt.strip()
    painted = file(row.image_rephrase) if row.image_rephrase else None
    return Case(
        id=row_id,
        task=task,
        split=split,
        image=image,
        image_id=row.image,
        question=row.src,
        question_type="unknown",
        target=target,
        prediction=row.pred,
        probes=(
            *rephrases(target, image, row.src, row.rephrase or None, painted),
            *_changing(row, row_id, image),
            *_along(row, row_id),
            *_staying(row, row_id, image, file),
        ),
    )


def _changing(row: ReleasedRow, row_id: str, image: Path) -> Iterator[Probe]:
    """What else is asked about the image that the edit changes."""
    if row.again is not None and row.again.answer.strip():
        yield Probe(
            kind="text_generality",
            id=f"{row_id}/fg_gen",
            question=row.again.question,
            answers=(row.again.answer.strip(),),
            image=image,
            relation="same_image",
        )
    yield from asked_hops(row.hops, row_id, image, composed=row.second is not None)


def asked_hops(
    hops: Sequence[Hop], row_id: str, image: Picture, *, composed: bool = False
) -> Iterator[Probe]:
    """What portability asks; questions composed of two edits only where both are made."""
    for number, hop in enumerate(hops, start=1):
        answers = (hop.answer.strip(),)
        # What is composed of two edits does not follow from one, and nobody knew the fact in it.
        of_both = hop.steps == COMPOSED
        if answers[0] and (composed or not of_both):
            known = hop.words and not of_both
            yield Probe(
                kind="portability",
                id=f"{row_id}/port_new/{number}",
                question=hop.question,
                answers=answers,
                image=image,
                relation="composed" if of_both else cast("Steps", hop.steps),
                premise=Premise(question=hop.words, answers=answers) if known else None,
            )


def _along(row: ReleasedRow, row_id: str) -> Iterator[Probe]:
    """The fact that is edited along with the image, as it stands and in other words."""
    if row.second is not None and row.second.answer.strip():
        fact = Probe(
            kind="reliability",
            id=f"{row_id}/second",
            question=row.second.question,
            answers=(row.second.answer.strip(),),
            relation="second",
            prefixed=False,
        )
        yield fact
        if row.second.rephrase:
            yield replace(fact, kind="text_generality", question=row.second.rephrase)


def _staying(row: ReleasedRow, row_id: str, image: Path, file: Callable[[str], Path]) -> Iterator[Probe]:
    """What the edit shall not change; either kind of locality may be empty."""
    question = row.loc.removeprefix(PREFIX)
    if question and row.loc_ans:
        yield Probe(
            kind="text_locality",
            id=f"{row_id}/loc",
            question=question,
            answers=(row.loc_ans,),
            relation="far",
            prefixed=row.loc.startswith(PREFIX),
        )
    if row.m_loc and row.m_loc_q and row.m_loc_a:
        yield Probe(
            kind="image_locality",
            id=f"{row_id}/m_loc",
            question=row.m_loc_q,
            answers=(row.m_loc_a,),
            relation="far",
            image=file(row.m_loc),
        )
    if row.beside is not None and row.beside.answer:
        yield Probe(
            kind="image_locality",
            id=f"{row_id}/fg_loc",
            question=row.beside.question,
            answers=(row.beside.answer,),
            relation="same_image",
            image=image,
        )
