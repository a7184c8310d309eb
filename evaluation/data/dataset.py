"""Edits to evaluate, whatever they lie in: a published dataset, the Hub, a work folder or MMEdit's JSON."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import cast

from evaluation.data.cases import Case, Item
from evaluation.data.pictures import key_of_image
from evaluation.data.published import read_folder, read_hub
from mmedit_build.build import rows_of
from mmedit_build.easyedit_layout import FILES, EasyEditRow, place, read_rows
from mmedit_build.errors import UserError, check_name
from mmedit_build.files import exists, is_file, is_folder
from mmedit_build.image_files import image_path
from mmedit_build.rows import SPLITS, TASKS, EditRow, LocalityItem, Split, Task
from mmedit_build.sources.nq import PREFIX
from mmedit_build.work import ROWS, STAGES, Work

LAST = STAGES[-1]
"""The stage that ends with finished edits."""


def load_cases(
    dataset: str, task: str | None = None, split: Split = "test", images: Path | None = None
) -> list[Case]:
    """The cases of a task (or of all), in the order of the dataset.

    `dataset` is a folder or file, or an id on the Hub, which may have a revision after an @. `images` is the
    folder of the images, for datasets that only name them.
    """
    if task is not None:
        check_name("task", task, TASKS)
    tasks = TASKS if task is None else (cast("Task", task),)
    cases = [case for one in tasks for case in _read(dataset, one, split, images)]
    if not cases:
        raise _none_found(dataset, tasks, split, images)
    repeated = [row_id for row_id, times in Counter(case.id for case in cases).items() if times > 1]
    if repeated:
        raise UserError(
            f"{dataset} gives {len(repeated)} ids to several edits, such as {repeated[0]}; make them differ."
        )
    return cases


def digest(cases: Iterable[Case]) -> str:
    """Of everything in the cases, images included: results are comparable if theirs are equal."""
    state = hashlib.blake2b(digest_size=16)
    for case in cases:
        state.update(json.dumps(_content(case), ensure_ascii=False).encode())
    return state.hexdigest()


def _read(dataset: str, task: Task, split: Split, images: Path | None) -> list[Case]:
    path = Path(dataset)
    if is_file(path):
        return _of_json(path, images) if (task, split) == _content_of(path) else []
    if is_file(path / LAST / ROWS):
        return _of_work(Work(path), task, split)
    if is_file(path / FILES[task, split]):
        return _of_json(path / FILES[task, split], images)
    if is_folder(path / "data"):
        return read_folder(path, task, split, images)
    if any(is_file(path / name) for name in FILES.values()):
        return []
    if exists(path) or dataset.count("/") != 1 or dataset.startswith((".", "/")):
        raise _not_a_dataset(path)
    return read_hub(dataset, task, split, images)


def _of_work(work: Work, task: Task, split: Split) -> list[Case]:
    edits = rows_of(work, LAST)
    return [of_edit(edit, work) for edit in edits if (edit.task, edit.split) == (task, split)]


def of_edit(edit: EditRow, work: Work) -> Case:
    """The case of a finished edit."""
    locality = edit.locality
    return Case(
        id=edit.id,
        task=edit.task,
        split=edit.split or "test",
        image=work.path(edit.image),
        image_id=str(edit.image_id),
        question=edit.question,
        question_type=edit.question_type,
        target=edit.target,
        prediction=edit.prediction,
        rephrase=None if edit.rephrase is None else edit.rephrase.text,
        image_rephrase=None if edit.imagined is None else work.path(edit.imagined.image),
        answers=edit.answers,
        text_locality=() if locality is None else tuple(_of_item(item, work) for item in locality.text),
        image_locality=() if locality is None else tuple(_of_item(item, work) for item in locality.image),
    )


def _of_item(item: LocalityItem, work: Work) -> Item:
    image = None if item.image is None else work.path(item.image)
    prefixed = not item.id.startswith("bare/")
    return Item(item.id, item.question, item.answer, item.answers, item.relation, image, prefixed)


def _of_json(path: Path, images: Path | None) -> list[Case]:
    task, split = _content_of(path)
    folder = images or path.parent
    return [
        _of_row(
            row, f"{path.stem}/{number}", task, split, partial(image_path, folder, where=place(path, number))
        )
        for number, row in enumerate(read_rows(path), start=1)
        if row.alt.strip()
    ]


def _of_row(row: EasyEditRow, row_id: str, task: Task, split: Split, file: Callable[[str], Path]) -> Case:
    """The layout has one locality item of each kind; either may be empty. `file` finds an image by name."""
    fact = Item(
        f"{row_id}/loc", row.loc.removeprefix(PREFIX), row.loc_ans, prefixed=row.loc.startswith(PREFIX)
    )
    other = Item(f"{row_id}/m_loc", row.m_loc_q, row.m_loc_a, image=file(row.m_loc))
    return Case(
        id=row_id,
        task=task,
        split=split,
        image=file(row.image),
        image_id=row.image,
        question=row.src,
        question_type="unknown",
        target=row.alt.strip(),
        prediction=row.pred,
        rephrase=row.rephrase or None,
        image_rephrase=file(row.image_rephrase) if row.image_rephrase else None,
        text_locality=(fact,) if fact.question and fact.answer else (),
        image_locality=(other,) if row.m_loc and other.question and other.answer else (),
    )


def _content_of(path: Path) -> tuple[Task, Split]:
    """What a file of MMEdit's is about, by its name: the rows do not tell."""
    known = {name: key for key, name in FILES.items()}
    name = path.name.lower()
    guessed: tuple[Task, Split] = (
        "caption" if "caption" in name else "vqa",
        "train" if "train" in name else "test",
    )
    return known.get(name, guessed)


def _content(case: Case) -> list[object]:
    def items(of: Sequence[Item]) -> list[object]:
        return [
            [one.id, one.question, one.answer, one.answers, one.relation, key_of_image(one.image)]
            for one in of
        ]

    return [
        *(case.id, case.task, case.split, case.question, case.target, case.rephrase, case.answers),
        *(key_of_image(case.image), key_of_image(case.image_rephrase)),
        *(items(case.text_locality), items(case.image_locality)),
    ]


def _not_a_dataset(path: Path) -> UserError:
    around = path if is_folder(path) else path.parent
    near = [place.name for place in around.glob("*") if _is_dataset(place)]
    known = get_close_matches(path.name, near, n=3, cutoff=0.0)
    meant = f" Did you mean {' or '.join(str(around / name) for name in known)}?" if known else ""
    state = "holds no dataset" if exists(path) else "does not exist"
    return UserError(
        f"{path} {state}; give a published dataset, a work folder, MMEdit's JSON, or user/name for the Hub."
        f"{meant}"
    )


def _is_dataset(place: Path) -> bool:
    return place.suffix == ".json" or is_folder(place / "data") or is_file(place / LAST / ROWS)


def _none_found(dataset: str, tasks: Sequence[Task], split: Split, images: Path | None) -> UserError:
    here = [f"{task} ({kind})" for task in TASKS for kind in SPLITS if _read(dataset, task, kind, images)]
    has = f"it has {', '.join(here)}" if here else "it has none at all"
    return UserError(f"{dataset} holds no {' or '.join(tasks)} edits of the split {split}; {has}.")
