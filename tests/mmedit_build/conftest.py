"""Finished edits made by hand, and the released MMEdit files where they are at hand."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from mmedit_build import plugins
from mmedit_build.miniature.sources import write_sources
from mmedit_build.rows import EditRow, Imagined, Locality, LocalityItem, Portability, Proposal, Rephrase
from mmedit_build.work import Work


class MakeEdit(Protocol):
    def __call__(self, number: int = 42, **changes: Any) -> EditRow: ...


Install = Callable[[str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a package with these entry points where Python finds installed ones; its modules lie in the
    folder of the test."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def installed(name: str, points: str) -> None:
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(points)
        plugins.added.cache_clear()

    yield installed
    plugins.added.cache_clear()


FACT = LocalityItem(
    id="nq/validation/1",
    relation="far",
    image=None,
    image_id=None,
    question="who painted the sky",
    answers=("Ada", "Ada L."),
    answer="Ada",
)
OTHER = LocalityItem(
    id="okvqa/val2014/75",
    relation="far",
    image="sources/COCO_val2014_000000000007.jpg",
    image_id="7",
    question="What is this tool for?",
    answers=("digging", "digging", "fun"),
    answer="digging",
)
EDIT = EditRow(
    id="",
    task="vqa",
    image="",
    image_id="0",
    question="How many cats are there?",
    question_type="how many",
    answers=("2",) * 8 + ("3",) * 2,
    target="2",
    prediction="4",
    first_prediction="4",
    confidence=0.5,
    scores={"official": 0.0},
    base="miniature/mllm",
    split="test",
    rephrase=Rephrase(
        text="What number of cats can be seen?", model="chat", prompt="rephrase#1", candidates=()
    ),
    locality=Locality(text=(FACT,), image=(OTHER,)),
)

HOP = Proposal(
    question="Whose eyes are here?", premise="Whose eyes do 2 cats have?", answer="theirs", reason=None
)
PORTABILITY = Portability(
    model="chat", prompt="extend#2", candidates=(replace(HOP, reason="not a question"), HOP)
)


@pytest.fixture
def make_edit() -> MakeEdit:
    """Makes an edit of question 1000 * number of image number; its images are named, not written."""

    def make(number: int = 42, **changes: Any) -> EditRow:
        task = changes.get("task", "vqa")
        source_id = number * 1000 if task == "vqa" else number
        own = {
            "id": f"{task}/val2014/{source_id}",
            "image": f"sources/COCO_val2014_{number:012d}.jpg",
            "image_id": str(number),
            "imagined": Imagined(
                image=f"images/{task}{number}.png",
                digest=f"digest of {task} {number}",
                seed=1,
                prompt="two cats",
                strategy="image-to-image",
                model="miniature/diffusion",
                candidates=(),
            ),
        }
        return replace(EDIT, **{**own, **changes})

    return make


@pytest.fixture(scope="session")
def released() -> Path:
    """The folder of the released MMEdit files: vqa_eval.json and its siblings, and locality/."""
    beside = Path(__file__).parents[3] / "shared" / "data" / "mmedit"
    folder = Path(os.environ.get("MMEDIT_DATA", beside))
    if not folder.is_dir():
        pytest.skip("the released MMEdit files are not here: set MMEDIT_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Work:
    """A work folder with the source files of 60 drawings in val2014."""
    work = Work(tmp_path_factory.mktemp("drawn"))
    write_sources(work.sources, train_images=1, val_images=60)
    return work
