"""Where questions, captions and facts come from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Tag

from mmedit_build.recipe.fields import Count, Strict, by_kind


class Draw(Strict):
    """Draws the miniature's source files into `{sources}` before anything else."""

    seed: str = "miniature"
    """The same seed gives the same files."""
    train_images: Count = 1000
    """Drawings of the train2014 split."""
    val_images: Count = 600
    """Drawings of the val2014 split."""


class QuestionFiles(Strict):
    """VQAv2 or OK-VQA in their official layout. `{sources}` in a path is the folder of drawn sources."""

    kind: Literal["files"] = "files"
    questions: str
    """Path of the questions file."""
    annotations: str
    """Path of the annotations file."""
    images: str
    """Folder of the images."""


class HubSet(Strict):
    """A dataset on the Hub."""

    kind: Literal["hub"] = "hub"
    dataset: str
    """Id on the Hub, or a folder of the same files."""
    revision: str | None = None
    """Commit or tag. Pin it: datasets change."""
    config: str | None = None
    """Configuration of the dataset, if it has several."""
    split: str = "validation"
    """Split of the dataset."""


class HubPictures(HubSet):
    """A dataset on the Hub that is about COCO's images."""

    subset: str = "val2014"
    """The COCO subset that the split is made of, which names the images."""
    images: str | None = None
    """Folder of the images, for datasets that hold only text."""


class HubQuestions(HubPictures):
    """VQAv2 or OK-VQA as a dataset on the Hub."""


class CaptionFiles(Strict):
    """COCO captions, official or Karpathy's layout."""

    kind: Literal["files"] = "files"
    annotations: str
    """Path of captions_*.json, or of Karpathy's dataset_coco.json."""
    images: str
    """Folder of the images."""
    split: str | None = None
    """For Karpathy's file only: train, restval, val or test."""


class HubCaptions(HubPictures):
    """COCO captions as a dataset on the Hub."""


class FactFile(Strict):
    """Questions about facts in MEND's layout of Natural Questions."""

    kind: Literal["file"] = "file"
    path: str
    """JSON like {"questions": ["who wrote hamlet"], "answers": [["William Shakespeare", "Shakespeare"]]}."""


class HubFacts(HubSet):
    """Questions about facts as a dataset on the Hub: nq_open."""


QuestionSource = Annotated[
    Annotated[QuestionFiles, Tag("files")] | Annotated[HubQuestions, Tag("hub")], by_kind("files")
]
CaptionSource = Annotated[
    Annotated[CaptionFiles, Tag("files")] | Annotated[HubCaptions, Tag("hub")], by_kind("files")
]
FactSource = Annotated[Annotated[FactFile, Tag("file")] | Annotated[HubFacts, Tag("hub")], by_kind("file")]


class Sources(Strict):
    """What is mined."""

    vqa: tuple[QuestionSource, ...] = ()
    """Questions about images."""
    captions: tuple[CaptionSource, ...] = ()
    """Captions of images; those of the images of `vqa` also tell the image generator what to show."""
