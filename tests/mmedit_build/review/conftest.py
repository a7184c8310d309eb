"""Finished rows of the drawn world, of which some are wrong, and people who judge them by their scenes."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import pytest

from mmedit_build.engine.shards import write_rows
from mmedit_build.miniature.drawing import draw
from mmedit_build.miniature.grammar import parse, same, say
from mmedit_build.miniature.questions import answer, askable
from mmedit_build.miniature.world import BACKGROUNDS, Scene, scenes
from mmedit_build.review.answers import Answer, open_answers
from mmedit_build.review.asked import QUESTIONS, Asked, asked_of
from mmedit_build.review.order import drawn
from mmedit_build.review.server import app_of
from mmedit_build.review.session import Session
from mmedit_build.rows import EditRow, Locality, ReviewQuestion
from mmedit_build.work import ROWS, Work
from tests.mmedit_build.conftest import MakeEdit
from tests.serving import running


@dataclass
class Drawn:
    """Finished rows about scenes, and what the scenes say of them."""

    work: Work
    edits: list[EditRow]
    scenes: Mapping[str, Scene]
    """By the ids of images, and of paintings by their digests."""

    def truth(self, edit: EditRow, asked: Asked) -> bool:
        """Whether yes is right."""
        meaning = parse(edit.question)
        assert meaning is not None
        if asked.question == "failure":
            right = answer(meaning, self.scenes[edit.image_id])
            return edit.target == right != edit.prediction
        if asked.question == "rephrase":
            assert edit.rephrase is not None
            return same(parse(edit.rephrase.text), meaning)
        if asked.question == "painting":
            assert edit.imagined is not None
            return answer(meaning, self.scenes[edit.imagined.digest]) == edit.target
        assert asked.item is not None
        about = parse(asked.item.question)
        assert about is not None
        return answer(about, self.scenes[edit.image_id]) == asked.item.answer

    def judged_by(
        self, seed: str, errors: float = 0.0, rows: Sequence[EditRow] | None = None
    ) -> dict[str, Answer]:
        """What somebody says who is wrong in a known share of answers."""
        rng = random.Random(seed)
        return {
            asked.of: "yes" if self.truth(edit, asked) != (rng.random() < errors) else "no"
            for edit in (self.edits if rows is None else rows)
            for asked in asked_of(edit)
        }


class MakeDrawn(Protocol):
    def __call__(self, number: int, wrong: float = 0.2, *, pictures: bool = False) -> Drawn: ...


@pytest.fixture
def make_drawn(tmp_path: Path, make_edit: MakeEdit) -> MakeDrawn:
    """Makes so many rows, of which a share is wrong in each respect."""

    def make(number: int, wrong: float = 0.2, *, pictures: bool = False) -> Drawn:
        rng, work = random.Random("review"), Work(tmp_path / "work")
        found = Drawn(work, [], {})
        drawings = [scene for _, scene in scenes("review", number) if list(askable(scene, rng))]
        for place, scene in enumerate(drawings):
            found.edits.append(_edit(make_edit, place, scene, wrong, rng, found))
        if pictures:
            _draw(found)
        write_rows(work.stage("attach") / ROWS, found.edits)
        return found

    return make


def _edit(
    make_edit: MakeEdit, place: int, scene: Scene, wrong: float, rng: random.Random, found: Drawn
) -> EditRow:
    plain = make_edit(place, split="train" if place % 2 else "test")
    assert plain.imagined is not None
    assert plain.rephrase is not None
    assert plain.locality is not None

    def lot() -> bool:
        return rng.random() < wrong

    colors = [one for one in askable(scene, rng) if one.type == "background"]
    meaning, other = colors[0], next(one for one in askable(scene, rng) if one.type == "count")
    right, count = answer(meaning, scene), answer(other, scene)
    wording = rng.choice(say(other if lot() else meaning))
    painted = _with_another_background(scene, rng) if lot() else scene
    found.scenes = {**found.scenes, plain.image_id: scene, plain.imagined.digest: painted}
    item = replace(
        plain.locality.image[0],
        id=f"okvqa/{place}",
        image=plain.image,
        image_id=plain.image_id,
        question=say(other)[0],
        answer=f"{int(count) + 1}" if lot() else count,
    )
    return replace(
        plain,
        question=say(meaning)[0],
        target=right,
        prediction=right if lot() else "nowhere",
        rephrase=replace(plain.rephrase, text=wording),
        locality=Locality(text=(), image=(item,)),
    )


def _with_another_background(scene: Scene, rng: random.Random) -> Scene:
    return replace(scene, background=rng.choice([one for one in BACKGROUNDS if one != scene.background]))


def _draw(found: Drawn) -> None:
    for edit in found.edits:
        assert edit.imagined is not None
        for image, scene in ((edit.image, edit.image_id), (edit.imagined.image, edit.imagined.digest)):
            path = found.work.path(image)
            path.parent.mkdir(parents=True, exist_ok=True)
            draw(found.scenes[scene], seed=image).save(path)


@contextmanager
def reviewing(
    build: Drawn, who: str = "ada", rows: int = 100, questions: Collection[ReviewQuestion] = QUESTIONS
) -> Iterator[int]:
    """The page of somebody's review, served as the command serves it; its port."""
    with open_answers(build.work, who) as answers:
        session = Session(who, drawn(build.edits)[:rows], answers, build.work, questions)
        with running(app_of(session)) as port:
            yield port
