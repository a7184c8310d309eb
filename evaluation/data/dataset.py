"""Edits to evaluate, whatever they lie in: a published dataset, the Hub, a work folder or released JSON."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import cast

from evaluation.data.cases import Case, Kind, Probe, rephrases, right_answers
from evaluation.data.facts import holds_facts, read_facts
from evaluation.data.pictures import key_of_image
from evaluation.data.published import read_folder, read_hub
from evaluation.data.released import asked_hops, read_released
from mmedit_build.build import rows_of
from mmedit_build.errors import UserError, check_name
from mmedit_build.files import exists, is_file, is_folder
from mmedit_build.formats.edits import hops_of
from mmedit_build.formats.files import content_of, files_in
from mmedit_build.rows import SPLITS, TASKS, EditRow, Locality, LocalityItem, Nearness, Split, Task
from mmedit_build.storage.addresses import shown
from mmedit_build.storage.copies import at_home
from mmedit_build.work import Work


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
    return digest_of(map(contents, cases))


def digest_of(lines: Iterable[bytes]) -> str:
    """The same of what is in each of the cases."""
    state = hashlib.blake2b(digest_size=16)
    for line in lines:
        state.update(line)
    return state.hexdigest()


def contents(case: Case) -> bytes:
    """All that is asked about a case and what is right, as JSON on one line; of images, digests."""
    return json.dumps(_content(case), ensure_ascii=False).encode()


def _read(dataset: str, task: Task, split: Split, images: Path | None) -> list[Case]:
    path = Path(at_home(dataset))
    if is_file(path):
        return read_released(_files(path, task, split), images)
    if Work(path).finished:
        return _of_work(Work(path), task, split)
    if holds_facts(path):
        return read_facts(path, task, split)
    if files := files_in(path):
        return read_released([file for file in files if content_of(file) == (task, split)], images)
    if is_folder(path / "data"):
        return read_folder(path, task, split, images)
    if exists(path) or dataset.count("/") != 1 or dataset.startswith((".", "/")):
        raise _not_a_dataset(path)
    return read_hub(dataset, task, split, images)


def _files(path: Path, task: Task, split: Split) -> list[Path]:
    """The file itself if that is what it is about, or what stands beside it to learn from."""
    if content_of(path) == (task, split):
        return [path]
    return [file for file in files_in(path.parent) if content_of(file) == (task, split) == (task, "train")]


def _of_work(work: Work, task: Task, split: Split) -> list[Case]:
    assert work.finished is not None
    edits = rows_of(work, work.finished)
    return [of_edit(edit, work) for edit in edits if (edit.task, edit.split) == (task, split)]


def of_edit(edit: EditRow, work: Work) -> Case:
    """The case of a finished edit."""
    image, locality = work.path(edit.image), edit.locality
    text = None if edit.rephrase is None else edit.rephrase.text
    painted = None if edit.imagined is None else work.path(edit.imagined.image)
    return Case(
        id=edit.id,
        task=edit.task,
        split=edit.split or "test",
        image=image,
        image_id=edit.image_id,
        question=edit.question,
        question_type=edit.question_type,
        target=edit.target,
        prediction=edit.prediction,
        answers=edit.answers,
        probes=(
            *rephrases(edit.target, image, edit.question, text, painted),
            *asked_hops(hops_of(edit), edit.id, image),
            *(() if locality is None else _of_items(locality, work)),
        ),
    )


def _of_items(locality: Locality, work: Work) -> Iterator[Probe]:
    kinds: dict[Kind, tuple[LocalityItem, ...]] = {
        "text_locality": locality.text,
        "image_locality": locality.image,
        "gain": locality.gain,
    }
    for kind, items in kinds.items():
        yield from (_of_item(kind, item, locality.nearness.get(item.id), work) for item in items)


def _of_item(kind: Kind, item: LocalityItem, nearness: Nearness | None, work: Work) -> Probe:
    return Probe(
        kind=kind,
        id=item.id,
        question=item.question,
        answers=right_answers(kind, item.answer, item.answers),
        relation=item.relation,
        nearness=nearness,
        image=None if item.image is None else work.path(item.image),
        prefixed=not item.id.startswith("bare/"),
    )


def _content(case: Case) -> list[object]:
    return [
        *(case.id, case.task, case.split, case.question, case.target, case.answers),
        *(key_of_image(case.image), [_told(probe) for probe in case.probes]),
        *([] if case.subject is None else [case.subject]),
    ]


def _told(probe: Probe) -> list[object]:
    premise = None if probe.premise is None else [probe.premise.question, probe.premise.answers]
    about = (probe.kind, probe.id, probe.question, probe.answers, probe.relation, premise)
    near = probe.nearness
    return [*about, key_of_image(probe.image), *([] if near is None else [near.text, near.image])]


def _not_a_dataset(path: Path) -> UserError:
    around = path if is_folder(path) else path.parent
    near = [place.name for place in around.glob("*") if _is_dataset(place)]
    known = get_close_matches(path.name, near, n=3, cutoff=0.0)
    names = " or ".join(shown(around / name) for name in known)
    meant = f" Did you mean {names}?" if known else ""
    state = "holds no dataset" if exists(path) else "does not exist"
    return UserError(
        f"{shown(path)} {state}; give a published dataset (a folder with data/vqa or data/caption), the work "
        "folder of a finished build, released JSON (such as vqa_eval.json), a folder of facts "
        f"(facts_eval.json), or user/name for the Hub.{meant}"
    )


def _is_dataset(place: Path) -> bool:
    return place.suffix == ".json" or is_folder(place / "data") or Work(place).finished is not None


def _none_found(dataset: str, tasks: Sequence[Task], split: Split, images: Path | None) -> UserError:
    here = [f"{task} ({kind})" for task in TASKS for kind in SPLITS if _read(dataset, task, kind, images)]
    has = f"it has {', '.join(here)}" if here else "it has none at all"
    return UserError(f"{dataset} holds no {' or '.join(tasks)} edits of the split {split}; {has}.")
