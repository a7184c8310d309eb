"""Where questions, captions and facts come from."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Tag, ValidationError, model_validator

from mmedit_build.errors import UserError, check_name
from mmedit_build.plugins import added, load
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


class Added(Strict):
    """A source that an installed package adds. The keys besides `kind` are those of its class."""

    model_config = ConfigDict(extra="allow")
    gives: ClassVar[str]
    """What its rows are, which its class has to say, too."""

    kind: str
    """The name of its entry point in `mmedit.sources`."""

    @model_validator(mode="after")
    def _is_one(self) -> Added:
        try:
            self.opened()
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(step) for step in first["loc"])
            raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from error
        except UserError as error:
            raise ValueError(str(error).rstrip(".")) from error
        return self

    def opened(self) -> Strict:
        """An instance of its class with these keys."""
        known = added("sources")
        if self.kind not in known:
            check_name("kind of sources", self.kind, ["files", "file", "hub", *known])
        of_kind = load(known[self.kind])
        if not issubclass(of_kind, Strict) or getattr(of_kind, "gives", None) != self.gives:
            raise UserError(
                f"{known[self.kind]} gives no {self.gives}: that does a class derived from "
                f"Own{self.gives.capitalize()} of mmedit_build.sources.own."
            )
        return of_kind.model_validate(self.model_extra)


class AddedQuestions(Added):
    """Questions about images that an installed package adds."""

    gives: ClassVar[str] = "questions"


class AddedCaptions(Added):
    """Captions of images that an installed package adds."""

    gives: ClassVar[str] = "captions"


class AddedFacts(Added):
    """Questions about facts that an installed package adds."""

    gives: ClassVar[str] = "facts"


QuestionSource = Annotated[
    Annotated[QuestionFiles, Tag("files")]
    | Annotated[HubQuestions, Tag("hub")]
    | Annotated[AddedQuestions, Tag("added")],
    by_kind("files", "hub", rest="added"),
]
CaptionSource = Annotated[
    Annotated[CaptionFiles, Tag("files")]
    | Annotated[HubCaptions, Tag("hub")]
    | Annotated[AddedCaptions, Tag("added")],
    by_kind("files", "hub", rest="added"),
]
FactSource = Annotated[
    Annotated[FactFile, Tag("file")] | Annotated[HubFacts, Tag("hub")] | Annotated[AddedFacts, Tag("added")],
    by_kind("file", "hub", rest="added"),
]


class Sources(Strict):
    """What is mined."""

    vqa: tuple[QuestionSource, ...] = ()
    """Questions about images."""
    captions: tuple[CaptionSource, ...] = ()
    """Captions of images; those of the images of `vqa` also tell the image generator what to show."""
