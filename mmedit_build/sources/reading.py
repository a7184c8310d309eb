"""What a recipe names as sources, read into examples to mine and into pools of locality items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar, cast

from mmedit_build.engine.base import HasId
from mmedit_build.errors import UserError
from mmedit_build.files import is_file
from mmedit_build.recipe import (
    Added,
    CaptionFiles,
    CaptionSource,
    FactFile,
    FactSource,
    HubCaptions,
    HubFacts,
    HubQuestions,
    QuestionFiles,
    QuestionSource,
    Sources,
)
from mmedit_build.rows import Example, LocalityItem
from mmedit_build.sources.coco import CaptionedImage, read_captions
from mmedit_build.sources.hub import read_hub_facts
from mmedit_build.sources.hub_rows import read_hub_captions, read_hub_questions
from mmedit_build.sources.nq import Fact, read_fact_file
from mmedit_build.sources.own import read_own_captions, read_own_facts, read_own_questions
from mmedit_build.sources.pictures import Advance
from mmedit_build.sources.places import PLACEHOLDER, path_of
from mmedit_build.sources.vqav2 import VqaQuestion, read_questions
from mmedit_build.work import Work

Row = TypeVar("Row", bound=HasId)
Hub = TypeVar("Hub", bound=HubQuestions | HubCaptions | HubFacts)
Captions = Mapping[tuple[str, int | str], str]
"""One caption of each image, by its subset and id."""


def read_examples(
    sources: Sources, work: Work, *, limit: int | None, caption_prompt: str, advance: Advance | None = None
) -> list[Example]:
    """The first `limit` questions, then the first `limit` images with captions (all of them without one).

    `advance` is told of each image that is written to a file, which only some sources need.
    """
    reader = _Reader(work, advance)
    questions = reader.questions(sources.vqa, limit)
    captioned = reader.captions(sources.captions, limit)
    captions: Captions = {(row.subset, row.image_id): row.captions[0] for row in reversed(captioned)}
    asked = (reader.question_example(row, captions) for row in questions)
    shown = (reader.caption_example(row, caption_prompt) for row in captioned[:limit])
    return _distinct([*asked, *shown])


def read_references(sources: Sources, work: Work) -> list[tuple[str, ...]]:
    """The reference captions of every image, whatever part of them is mined; no image is opened."""
    return [row.captions for row in _Reader(work, None).captions(sources.captions, limit=0)]


def read_facts(sources: Sequence[FactSource], work: Work) -> list[LocalityItem]:
    """The pool of far questions without an image."""
    reader = _Reader(work, None)
    return _distinct([_fact_item(row) for source in sources for row in reader.facts(source)])


def read_image_pool(
    sources: Sequence[QuestionSource], work: Work, *, advance: Advance | None = None
) -> list[LocalityItem]:
    """The pool of far questions about images."""
    reader = _Reader(work, advance)
    return _distinct([reader.image_item(row) for row in reader.questions(sources, None)])


def missing_images(examples: Iterable[Example], work: Work) -> int:
    """How many images of the examples are not there; rows of missing images fail one by one when mined."""
    return sum(not is_file(work.path(image)) for image in {example.image for example in examples})


class _Reader:
    """Reads sources for one work folder."""

    def __init__(self, work: Work, advance: Advance | None) -> None:
        self._work = work
        self._advance = advance
        self._folders: dict[Path, str] = {}

    def questions(self, sources: Sequence[QuestionSource], limit: int | None) -> list[VqaQuestion]:
        rows: list[VqaQuestion] = []
        for source in sources:
            left = None if limit is None else limit - len(rows)
            if left == 0:
                break
            rows += self._questions(source, left)
        return rows

    def _questions(self, source: QuestionSource, limit: int | None) -> list[VqaQuestion]:
        if isinstance(source, QuestionFiles):
            questions, annotations = self._path(source.questions), self._path(source.annotations)
            return read_questions(
                questions, annotations, self._path(source.images), limit, check_images=False
            )
        if isinstance(source, Added):
            return read_own_questions(source, self._work, limit)
        return read_hub_questions(self._placed(source), self._work, limit, self._advance)

    def captions(self, sources: Sequence[CaptionSource], limit: int | None) -> list[CaptionedImage]:
        """All of them, as they also tell what other images show; `limit` is how many will be opened."""
        rows: list[CaptionedImage] = []
        for source in sources:
            left = None if limit is None else max(0, limit - len(rows))
            rows += self._captions(source, left)
        return rows

    def _captions(self, source: CaptionSource, limit: int | None) -> list[CaptionedImage]:
        if isinstance(source, CaptionFiles):
            return read_captions(self._path(source.annotations), self._path(source.images), source.split)
        if isinstance(source, Added):
            return read_own_captions(source, self._work)
        return read_hub_captions(self._placed(source), self._work, limit, self._advance)

    def facts(self, source: FactSource) -> list[Fact]:
        if isinstance(source, FactFile):
            return read_fact_file(self._path(source.path))
        if isinstance(source, Added):
            return read_own_facts(source, self._work)
        return read_hub_facts(self._placed(source))

    def question_example(self, row: VqaQuestion, captions: Captions) -> Example:
        return Example(
            id=f"vqa/{row.subset}/{row.question_id}",
            task="vqa",
            image=self._name(row.image),
            image_id=str(row.image_id),
            question=row.question,
            question_type=row.question_type,
            answers=row.answers,
            caption=captions.get((row.subset, row.image_id)),
        )

    def caption_example(self, row: CaptionedImage, prompt: str) -> Example:
        return Example(
            id=f"caption/{row.subset}/{row.image_id}",
            task="caption",
            image=self._name(row.image),
            image_id=str(row.image_id),
            question=prompt,
            question_type="caption",
            answers=row.captions,
            caption=row.captions[0],
        )

    def image_item(self, row: VqaQuestion) -> LocalityItem:
        return LocalityItem(
            id=f"okvqa/{row.subset}/{row.question_id}",
            relation="far",
            image=self._name(row.image),
            image_id=str(row.image_id),
            question=row.question,
            answers=row.answers,
            answer=most_given(row.answers),
        )

    def _name(self, image: Path) -> str:
        # Asked for a folder at a time: hundreds of thousands of rows have their images in a few folders.
        if image.parent not in self._folders:
            self._folders[image.parent] = self._work.name(image.parent)
        return f"{self._folders[image.parent]}/{image.name}"

    def _placed(self, source: Hub) -> Hub:
        return placed(source, self._work)

    def _path(self, text: str) -> Path:
        return path_of(text, self._work)


def placed(source: Hub, work: Work) -> Hub:
    """The source with paths in the places of placeholders."""
    changes: dict[str, str] = {"dataset": source.dataset.replace(PLACEHOLDER, str(work.sources))}
    images = getattr(source, "images", None)  # facts have none
    if images is not None:
        changes["images"] = str(path_of(images, work))
    return cast("Hub", source.model_copy(update=changes))


def most_given(answers: Sequence[str]) -> str:
    """The answer that most annotators gave, the first of several such."""
    return Counter(answers).most_common(1)[0][0]


def _fact_item(row: Fact) -> LocalityItem:
    return LocalityItem(
        id=f"nq/{row.place}",
        relation="far",
        image=None,
        image_id=None,
        question=row.question,
        answers=row.answers,
        answer=most_given(row.answers),
    )


def _distinct(rows: list[Row]) -> list[Row]:
    """The rows as they are, if no two have the same id."""
    repeated, times = Counter(row.id for row in rows).most_common(1)[0] if rows else ("", 0)
    if times > 1:
        raise UserError(
            f"The sources hold {repeated} {times} times; name each source once, and none that holds another."
        )
    return rows
