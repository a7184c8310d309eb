"""COCO captions: the official captions_*.json and Karpathy's dataset_coco.json, image by image."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NotRequired

from typing_extensions import TypedDict

from mmedit_build.errors import UserError
from mmedit_build.image_files import image_path
from mmedit_build.sources.images import Folders, subset_of
from mmedit_build.sources.layout import Layout, beginning


@dataclass(frozen=True, slots=True)
class CaptionedImage:
    """One image and what its annotators saw in it."""

    image_id: int | str
    subset: str
    """The part of COCO that the image is of, such as val2014; of other sources, what tells theirs apart."""
    image: Path
    captions: tuple[str, ...]


class _Image(TypedDict):
    id: int
    file_name: str


class _Caption(TypedDict):
    image_id: int
    caption: str


class _CaptionsFile(TypedDict):
    images: list[_Image]
    annotations: list[_Caption]


class _Sentence(TypedDict):
    raw: str


class _KarpathyImage(TypedDict):
    cocoid: int
    filename: str
    filepath: NotRequired[str]
    split: str
    sentences: list[_Sentence]


class _KarpathyFile(TypedDict):
    images: list[_KarpathyImage]


OFFICIAL = Layout(
    _CaptionsFile,
    "COCO captions",
    '{"images": [{"id": 42, "file_name": "COCO_val2014_000000000042.jpg"}], '
    '"annotations": [{"image_id": 42, "caption": "A cat."}]}',
)
KARPATHY = Layout(
    _KarpathyFile,
    "Karpathy captions",
    '{"images": [{"cocoid": 42, "filename": "COCO_val2014_000000000042.jpg", "filepath": "val2014", '
    '"split": "val", "sentences": [{"raw": "A cat."}]}]}',
)


def read_captions(annotations: Path, images: Path, split: str | None = None) -> list[CaptionedImage]:
    """The images that have captions, in the order of the file; `split` is one of Karpathy's."""
    # Both are names of Karpathy's, who has files of other images than COCO's, too; those have no `cocoid`.
    if any(name in beginning(annotations, "captions") for name in (b'"cocoid"', b'"sentences"')):
        rows = _of_karpathy(KARPATHY.load(annotations), annotations, images, split)
    elif split is not None:
        raise UserError(
            f"{annotations} has no splits of its own, as it is not Karpathy's file; leave `split` out."
        )
    else:
        rows = _of_official(OFFICIAL.load(annotations), annotations, images)
    if not rows:
        raise UserError(f"{annotations} holds no captions; give another file.")
    return rows


def tidy(captions: Iterable[str]) -> tuple[str, ...]:
    """Captions without line breaks and stray spaces, of which COCO has many, and without empty ones."""
    return tuple(text for text in (" ".join(caption.split()) for caption in captions) if text)


def _of_official(content: _CaptionsFile, annotations: Path, images: Path) -> list[CaptionedImage]:
    captions: dict[int, list[str]] = defaultdict(list)
    for row in content["annotations"]:
        captions[row["image_id"]].append(row["caption"])
    otherwise = annotations.stem.removeprefix("captions_")
    rows = [
        CaptionedImage(
            image_id=image["id"],
            subset=subset_of(image["file_name"], otherwise),
            image=image_path(images, image["file_name"], f"Image {image['id']} of {annotations}"),
            captions=tidy(captions[image["id"]]),
        )
        for image in content["images"]
    ]
    return [row for row in rows if row.captions]


def _of_karpathy(
    content: _KarpathyFile, annotations: Path, images: Path, split: str | None
) -> list[CaptionedImage]:
    splits = {image["split"] for image in content["images"]}
    if split is not None and split not in splits:
        raise UserError(
            f"{annotations} has no split {split!r}; `split` is one of {', '.join(sorted(splits))}."
        )
    folders = Folders(images)
    rows = [
        CaptionedImage(
            image_id=image["cocoid"],
            subset=subset_of(image["filename"], image.get("filepath", "coco")),
            image=folders.image(
                image["filename"], image.get("filepath"), f"Image {image['cocoid']} of {annotations}"
            ),
            captions=tidy(sentence["raw"] for sentence in image["sentences"]),
        )
        for image in content["images"]
        if split in (None, image["split"])
    ]
    return [row for row in rows if row.captions]
