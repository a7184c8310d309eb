"""How much there is in sources that are not there yet, by what they say of themselves: nothing is drawn or
fetched for it but the description of a dataset on the Hub."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mmedit_build.miniature.facts import facts
from mmedit_build.miniature.official import QUESTIONS_PER_IMAGE
from mmedit_build.miniature.sources import Sources as Drawn
from mmedit_build.recipe import CaptionFiles, Draw, FactFile, HubSet, QuestionFiles, Sources
from mmedit_build.sources.hub import declared_rows
from mmedit_build.sources.looking import Source
from mmedit_build.sources.places import path_of
from mmedit_build.sources.reading import placed, read_examples, read_facts
from mmedit_build.work import Work


def declared(sources: Iterable[Source], draw: Draw | None, work: Work) -> int | None:
    """The rows of some sources at most; None if one of them does not say how many it has."""
    numbers = [_declared(source, draw, work) for source in sources]
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None


def _declared(source: Source, draw: Draw | None, work: Work) -> int | None:
    if isinstance(source, HubSet):
        return declared_rows(placed(source, work))
    if draw is not None and (number := _drawn(draw, work).get(_main_file(source, work))) is not None:
        return number
    # It is there, and can be counted.
    if getattr(source, "gives", "") == "facts" or isinstance(source, FactFile):
        return len(read_facts([source], work))  # type: ignore[list-item]
    captions = getattr(source, "gives", "") == "captions" or isinstance(source, CaptionFiles)
    alone = Sources(captions=(source,)) if captions else Sources(vqa=(source,))  # type: ignore[arg-type]
    return len(read_examples(alone, work, limit=None, caption_prompt=""))


def _main_file(source: Source, work: Work) -> Path | None:
    """The file with the rows of a source."""
    if isinstance(source, QuestionFiles):
        return path_of(source.questions, work)
    if isinstance(source, CaptionFiles):
        return path_of(source.annotations, work)
    return path_of(source.path, work) if isinstance(source, FactFile) else None


def _drawn(draw: Draw, work: Work) -> dict[Path | None, int]:
    """The rows of each file that will be drawn; captions are those of an image together."""
    places = Drawn(work.sources, 0, 0, 0, 0, 0)
    found: dict[Path | None, int] = {}
    for split, images in (("train2014", draw.train_images), ("val2014", draw.val_images)):
        found[places.vqa_questions(split)] = images * QUESTIONS_PER_IMAGE
        found[places.okvqa_questions(split)] = images
        found[places.coco_captions(split)] = images
    found[places.nq("validation")] = len(facts())
    found[places.nq("train")] = sum(len(fact.questions) - 1 for fact in facts())
    return found
