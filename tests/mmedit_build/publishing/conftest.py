"""A few finished edits, made by hand, about drawings."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from mmedit_build.miniature.drawing import draw
from mmedit_build.miniature.world import scenes
from mmedit_build.publishing import build_dataset
from mmedit_build.publishing.files import CHECKSUMS, MANIFEST, checksums, read_files
from mmedit_build.publishing.manifest import Counts
from mmedit_build.recipe import Recipe
from mmedit_build.rows import EditRow, Imagined, Locality, LocalityItem, Rephrase, Split, Task
from mmedit_build.work import Work

COUNTS: Counts = {
    "mine": {"in": 50, "out": 8, "rejected": {"answered right": 40, "style | only": 1}, "failed": 1},
    "attach": {"in": 8, "out": 8, "rejected": {}, "failed": 0},
}


class World:
    """A work folder with drawings, and edits about them: of questions 3 + 2, of captions 2 + 1."""

    def __init__(self, folder: Path) -> None:
        self.counts = COUNTS
        self.audit = {"leaked images": 0, "weak consensus": 0.25}
        self.work = Work(folder)
        self._pictures = [draw(scene, seed) for seed, scene in scenes("publishing", 24)]
        splits: tuple[Split, ...] = ("train", "train", "train", "test", "test")
        questions = [self.edit(number, "vqa", split) for number, split in enumerate(splits)]
        captions = [self.edit(number, "caption", splits[number - 4]) for number in (5, 6, 7)]
        self.edits = [*questions, *captions]

    def build(self, edits: list[EditRow] | None = None, recipe: Recipe | None = None) -> Path:
        chosen = self.edits if edits is None else edits
        return build_dataset(chosen, self.work, recipe or self.recipe(), self.counts, self.audit)

    @staticmethod
    def sign(folder: Path, rows: dict[str, Any] | None = None) -> None:
        """Make manifest and checksums fit files that were changed."""
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        manifest["rows"] = rows or manifest["rows"]
        files = [file for file in read_files(folder) if file.name not in (MANIFEST, CHECKSUMS)]
        manifest["files"] = {file.name: {"sha256": file.sha256, "bytes": file.size} for file in files}
        (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
        files = [file for file in read_files(folder) if file.name != CHECKSUMS]
        (folder / CHECKSUMS).write_text(checksums(files), encoding="utf-8")

    @staticmethod
    def recipe(**publish: object) -> Recipe:
        source = {"questions": "q.json", "annotations": "a.json", "images": "images"}
        served = {"kind": "endpoint", "model": "chat", "base_url": "http://localhost:1/v1"}
        sections: dict[str, Any] = {
            "name": "drawn",
            "about": "What a model gets wrong about a drawn world.",
            "base": {"model": "miniature/mllm"},
            "sources": {"vqa": [source]},
            "mine": {"vqa": {"sizes": {"train": 3, "test": 2}}},
            "rephrase": {"model": served},
            "imagine": {"model": {"model": "miniature/diffusion"}},
            "attach": {"image": [source]},
            "publish": {"title": 'Drawn: "things" | #1', **publish},
        }
        return Recipe.model_validate(sections)

    def image(self, number: int, *, rendered: bool = False) -> str:
        path = self.work.images / f"{number}.png" if rendered else self.work.sources / f"{number}.jpg"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._pictures[number].save(path)
        return self.work.name(path)

    def edit(self, number: int, task: Task, split: Split) -> EditRow:
        return EditRow(
            id=f"{task}/val2014/{number}",
            task=task,
            image=self.image(number),
            image_id=str(number),
            question=f"What is in corner {number}?" if task == "vqa" else "a photo of",
            question_type="what is",
            answers=("cat", "cat", "dög"),
            target="cat",
            prediction="fish",
            first_prediction="fish",
            confidence=None if number == 1 else 0.25,
            scores={"official": 0.0, "evalai": 0.5},
            base="miniature/mllm",
            split=split,
            rephrase=Rephrase(
                text=f"Corner {number} has what?", model="chat", prompt="rephrase#1f2e3d4c", candidates=()
            ),
            imagined=self._imagined(number),
            locality=Locality(
                text=(self.fact(split),), image=(self.other(split), self.other(split, number + 8))
            ),
        )

    def fact(self, split: str) -> LocalityItem:
        return LocalityItem(
            id=f"nq/{split}",
            relation="far",
            image=None,
            image_id=None,
            question=f"who wrote the {split}?",
            answers=("Ada",),
            answer="Ada",
            prediction="Ada",
        )

    def other(self, split: str, number: int | None = None) -> LocalityItem:
        """A question about an image that no edit has: one for the whole split, or one of its own."""
        number = {"train": 20, "test": 21}[split] if number is None else number
        return LocalityItem(
            id=f"okvqa/{number}",
            relation="far",
            image=self.image(number),
            image_id=str(number),
            question="what is it for?",
            answers=("play", "play"),
            answer="play",
        )

    def _imagined(self, number: int) -> Imagined:
        image = self.image(number, rendered=True)
        return Imagined(
            image=image,
            digest=hashlib.sha256(self.work.path(image).read_bytes()).hexdigest(),
            seed=2**64 - 1,
            prompt="a cat",
            strategy="image-to-image",
            model="miniature/diffusion",
            candidates=(),
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "work")
