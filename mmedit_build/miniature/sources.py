"""The drawn world as files in the official formats: VQAv2, COCO captions, OK-VQA and NQ."""

from __future__ import annotations

import io
import itertools
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from mmedit_build.errors import UserError
from mmedit_build.files import read_bytes
from mmedit_build.json_files import MOST_BYTES, parse_json, read_json
from mmedit_build.miniature.drawing import draw
from mmedit_build.miniature.facts import facts
from mmedit_build.miniature.official import (
    CAPTIONS_PER_IMAGE,
    QUESTIONS_PER_IMAGE,
    Json,
    Picture,
    annotations_file,
    caption_rows,
    captions_file,
    known_question,
    okvqa_rows,
    questions_file,
    vqa_rows,
)
from mmedit_build.miniature.world import Scene, scenes
from mmedit_build.sheet import Entry, Line, contact_sheet
from mmedit_build.sources.images import image_name
from mmedit_build.store import write_atomic

SPLITS = ("train2014", "val2014")
MANIFEST = "miniature.json"
IMAGES_ON_SHEET = 16


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the files lie, and how much they hold."""

    folder: Path
    images: int
    questions: int
    captions: int
    knowledge_questions: int
    facts: int

    def image_folder(self, split: str) -> Path:
        return self.folder / "images" / split

    def vqa_questions(self, split: str) -> Path:
        return self.folder / "vqa" / f"v2_OpenEnded_mscoco_{split}_questions.json"

    def vqa_annotations(self, split: str) -> Path:
        return self.folder / "vqa" / f"v2_mscoco_{split}_annotations.json"

    def coco_captions(self, split: str) -> Path:
        return self.folder / "coco" / f"captions_{split}.json"

    def okvqa_questions(self, split: str) -> Path:
        return self.folder / "okvqa" / f"OpenEnded_mscoco_{split}_questions.json"

    def okvqa_annotations(self, split: str) -> Path:
        return self.folder / "okvqa" / f"mscoco_{split}_annotations.json"

    def nq(self, split: str) -> Path:
        """`split` is train or validation."""
        return self.folder / "nq" / f"{split}.json"

    def places(self) -> set[Path]:
        """All files and folders that a recipe can name."""
        of_split = (
            self.image_folder,
            self.vqa_questions,
            self.vqa_annotations,
            self.coco_captions,
            self.okvqa_questions,
            self.okvqa_annotations,
        )
        facts = {self.nq("train"), self.nq("validation")}
        return facts | {place(split) for place in of_split for split in SPLITS}

    def pictures(self) -> dict[str, list[Picture]]:
        """The scenes behind the images, by split."""
        made_from = read_json(self.manifest, "draw the sources again in a new folder")
        sizes = (made_from["train_images"], made_from["val_images"])
        return split_pictures(made_from["seed"], dict(zip(SPLITS, sizes, strict=True)))

    @property
    def contact_sheet(self) -> Path:
        return self.folder / "contact_sheet.png"

    @property
    def manifest(self) -> Path:
        """What the files were made from; its `complete` says whether all of them are there."""
        return self.folder / MANIFEST


def write_sources(
    out: Path, *, seed: str = "miniature", train_images: int = 1000, val_images: int = 600
) -> Sources:
    """Write all files, byte for byte the same for the same arguments, and return where they are."""
    sizes = {"train2014": train_images, "val2014": val_images}
    if min(sizes.values()) < 1:
        raise UserError("Each split needs images: ask for at least one training and one validation image.")
    images = sum(sizes.values())
    sources = Sources(
        folder=out,
        images=images,
        questions=images * QUESTIONS_PER_IMAGE,
        captions=images * CAPTIONS_PER_IMAGE,
        knowledge_questions=images,
        facts=len(facts()),
    )
    made_from = {"seed": seed, "train_images": train_images, "val_images": val_images}
    _claim(sources, made_from)
    _write_json(sources.manifest, {**made_from, "complete": False})
    pictures = split_pictures(seed, sizes)
    for split in SPLITS:
        _write_split(sources, split, pictures[split])
    _write_nq(sources)
    write_atomic(sources.contact_sheet, _encoded(_sheet(pictures["val2014"][:IMAGES_ON_SHEET]), "PNG"))
    _write_json(sources.manifest, {**made_from, "complete": True})
    return sources


def is_drawn(out: Path, *, seed: str, train_images: int, val_images: int) -> bool:
    """Whether the folder holds all files of these arguments already."""
    wanted = {"seed": seed, "train_images": train_images, "val_images": val_images, "complete": True}
    return (out / MANIFEST).is_file() and _manifest(out / MANIFEST) == wanted


def split_pictures(seed: str, sizes: dict[str, int]) -> dict[str, list[Picture]]:
    """The pictures of both splits. No scene is in both, and a larger split begins with the smaller one."""
    val = list(_pictures("val2014", seed, sizes["val2014"], frozenset()))
    taken = frozenset(picture.scene for picture in val)
    return {"train2014": list(_pictures("train2014", seed, sizes["train2014"], taken)), "val2014": val}


def _pictures(split: str, seed: str, number: int, taken: frozenset[Scene]) -> Iterator[Picture]:
    # Odd ids in one split and even ones in the other never meet, whatever the sizes.
    ids = itertools.count(SPLITS.index(split) + 1, len(SPLITS))
    fresh = (pair for pair in scenes(f"{seed}/{split}", sys.maxsize) if pair[1] not in taken)
    for image_id, (scene_seed, scene) in zip(ids, itertools.islice(fresh, number), strict=False):
        yield Picture(image_id, scene, scene_seed)


def _claim(sources: Sources, made_from: Json) -> None:
    """Refuse a folder that holds anything else."""
    try:
        found = _content(sources)
    except OSError as error:
        raise UserError(f"Cannot read {sources.folder} ({error.strerror}); choose another folder.") from error
    if found is None:
        raise UserError(
            f"{sources.folder} is in use for something else, or its {MANIFEST} is damaged; choose a new or "
            "empty folder, or delete that one."
        )
    if found and {name: found.get(name) for name in made_from} != made_from:
        raise UserError(
            f"{sources.folder} holds a miniature made with another seed or size; "
            "choose another folder, or delete that one."
        )


def _content(sources: Sources) -> Json | None:
    """The manifest of a folder, empty where nothing is there yet, None where something else is."""
    if sources.manifest.is_file():
        return _manifest(sources.manifest) or None
    free = not sources.folder.exists() or (sources.folder.is_dir() and not any(sources.folder.iterdir()))
    return {} if free else None


def _manifest(path: Path) -> Json:
    """What stands in a manifest, empty if it is not one of ours."""
    try:
        found = parse_json(read_bytes(path, MOST_BYTES))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write_split(sources: Sources, split: str, pictures: list[Picture]) -> None:
    for picture in pictures:
        drawing = draw(picture.scene, picture.seed)
        path = sources.image_folder(split) / image_name(split, picture.image_id)
        write_atomic(path, _encoded(drawing, "JPEG", quality=95, subsampling=0))
    asked, annotated = zip(*vqa_rows(pictures), strict=True)
    _write_json(sources.vqa_questions(split), questions_file(split, asked))
    _write_json(sources.vqa_annotations(split), annotations_file(split, annotated))
    asked, annotated = zip(*okvqa_rows(pictures), strict=True)
    _write_json(sources.okvqa_questions(split), questions_file(split, asked))
    _write_json(sources.okvqa_annotations(split), annotations_file(split, annotated))
    _write_json(sources.coco_captions(split), captions_file(split, pictures))


def _write_nq(sources: Sources) -> None:
    """Validation asks for each fact in its usual wording, training in all the others."""
    wordings = {
        "train": [(question, fact.answer) for fact in facts() for question in fact.questions[1:]],
        "validation": [(fact.questions[0], fact.answer) for fact in facts()],
    }
    for split, pairs in wordings.items():
        asked, answered = zip(*pairs, strict=True)
        _write_json(sources.nq(split), {"questions": asked, "answers": answered})


def _sheet(pictures: list[Picture]) -> Image.Image:
    return contact_sheet([Entry(draw(one.scene, one.seed), list(_lines(one))) for one in pictures])


def _lines(picture: Picture) -> Iterator[Line]:
    for question, annotation in vqa_rows([picture]):
        yield Line(f"{question['question']} {annotation['multiple_choice_answer']}")
    known = known_question(picture, picture.rng("okvqa"))
    yield Line(f"{known.question} {known.answer}")
    yield Line(next(caption_rows([picture]))["caption"], "note")


def _encoded(image: Image.Image, kind: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _write_json(path: Path, content: Json) -> None:
    write_atomic(path, json.dumps(content, ensure_ascii=False).encode())
