"""What measures ask about one edit, and what they compare edits by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence

from mmedit_build.formats.edits import hops_of
from mmedit_build.formats.rows import Hop, entity_of
from mmedit_build.rows import EditRow, LocalityItem, Relation
from mmedit_build.scoring.statements import compare, read
from mmedit_build.scoring.text import AUXILIARIES, is_yes_no, is_yes_no_question
from mmedit_build.scoring.vqa import normalize
from mmedit_build.scoring.words import ARTICLES, contains_letters, plain, singular, words
from mmedit_build.stages.checks import asks_otherwise

FEW = 0.4
"""The share of the annotators that makes no consensus: 4 of 10."""
_QUOTES = (('"', '"'), ("\N{LEFT DOUBLE QUOTATION MARK}", "\N{RIGHT DOUBLE QUOTATION MARK}"))
_FUNCTION_WORDS = """
    been being of in on at to from with by for about into over under up down out off near next between behind
    above below and or but not no yes if than then as so too very what which who whom whose where when why how
    many much this that these those there here it its he she they them his her their him i you we your our my
    us
"""
_IGNORED = frozenset(_FUNCTION_WORDS.split()) | AUXILIARIES | ARTICLES

Test = Callable[[str], bool]


def asks_yes_no(edit: EditRow, test: Test = is_yes_no_question) -> bool:
    """Whether it is a rephrased yes/no question with the target yes or no."""
    return edit.rephrase is not None and is_yes_no(edit.target) and test(edit.question)


def breaks_yes_no(edit: EditRow, test: Test = is_yes_no_question) -> bool:
    return not test(_rephrase(edit))


def fails_by_format(edit: EditRow, test: Test = is_yes_no_question) -> bool:
    return is_yes_no(edit.prediction) and not test(edit.question)


def predicted(edit: EditRow) -> bool:
    """Whether the dataset tells what a model said."""
    return bool(edit.base)


def predicted_answers(edit: EditRow) -> bool:
    return edit.task == "vqa" and predicted(edit)


def predicted_captions(edit: EditRow) -> bool:
    return edit.task == "caption" and predicted(edit)


def says_the_same(edit: EditRow) -> bool:
    """Whether a caption says no more of what is to be seen than the target, and names all that it names."""
    return not compare(read(edit.prediction), [read(edit.target)])


def contained(edit: EditRow) -> bool:
    return contains_letters(edit.prediction, edit.target)


def same_but(form: Callable[[str], str]) -> Callable[[EditRow], bool]:
    """Whether prediction and target have the same form."""
    return lambda edit: form(edit.prediction) == form(edit.target)


def has_hops(edit: EditRow) -> bool:
    return bool(hops_of(edit))


def has_hop(steps: str) -> Callable[[EditRow], bool]:
    return lambda edit: any(hop.steps == steps for hop in hops_of(edit))


def tells_answer(hop: Hop) -> bool:
    answer = plain(hop.answer)
    return bool(answer) and f" {answer} " in f" {plain(hop.question)} "


def content_words(text: str) -> set[str]:
    """The words that a question is about, in the singular."""
    return {singular(word) for word in words(text) if word not in _IGNORED}


def rephrased(edit: EditRow) -> bool:
    return edit.rephrase is not None


def identical(edit: EditRow) -> bool:
    return edit.question.strip().lower() == _rephrase(edit).strip().lower()


def reversed_(edit: EditRow) -> bool:
    return asks_otherwise(edit.question, _rephrase(edit))


def quoted(edit: EditRow) -> bool:
    text = _rephrase(edit).strip()
    return len(text) > 1 and any(text.startswith(left) and text.endswith(right) for left, right in _QUOTES)


def annotated(edit: EditRow) -> bool:
    return edit.task == "vqa" and len(edit.answers) > 1


def weak_target(edit: EditRow) -> bool:
    target = normalize(edit.target)
    return sum(normalize(answer) == target for answer in edit.answers) <= FEW * len(edit.answers)


def weak_item(_edit: EditRow, item: LocalityItem) -> bool:
    return max(_votes(item).values()) <= FEW * len(item.answers)


def minority_item(_edit: EditRow, item: LocalityItem) -> bool:
    votes = _votes(item)
    return votes[normalize(item.answer)] < max(votes.values())


def _votes(item: LocalityItem) -> Counter[str]:
    """How many said what; "zero" and "0" say the same."""
    return Counter(normalize(answer) for answer in item.answers)


def incomplete(edit: EditRow) -> bool:
    texts = [edit.image_id, edit.question, edit.target]
    texts += [edit.prediction] if predicted(edit) else []
    texts += [_rephrase(edit)] if edit.rephrase else []
    texts += [_painted(edit)] if edit.imagined else []
    texts += [text for hop in hops_of(edit) for text in (hop.question, hop.answer)]
    texts += [text for item in all_items(edit) for text in (item.question, item.answer)]
    texts += [item.image_id or "" for item in image_items(edit)]
    lacks_items = edit.locality is not None and not (text_items(edit) and image_items(edit))
    return lacks_items or not all(text.strip() for text in texts)


def text_items(edit: EditRow) -> Sequence[LocalityItem]:
    return edit.locality.text if edit.locality else ()


def image_items(edit: EditRow) -> Sequence[LocalityItem]:
    return edit.locality.image if edit.locality else ()


def text_items_of_questions(edit: EditRow) -> Sequence[LocalityItem]:
    """None for captions, whose prompt is about nothing, and none that is the edit's own question."""
    return far_texts(edit) if edit.task == "vqa" else ()


def far_texts(edit: EditRow) -> Sequence[LocalityItem]:
    return [item for item in text_items(edit) if item.relation == "far"]


def all_items(edit: EditRow) -> Sequence[LocalityItem]:
    return (*text_items(edit), *image_items(edit))


def image_items_with_votes(edit: EditRow) -> Sequence[LocalityItem]:
    return [item for item in image_items(edit) if len(item.answers) > 1]


def far_images(edit: EditRow) -> Sequence[LocalityItem]:
    return related(edit, {"far"})


def near_images(edit: EditRow) -> Sequence[LocalityItem]:
    return related(edit, {"same_image", "same_question"})


def related(edit: EditRow, relations: set[Relation]) -> Sequence[LocalityItem]:
    items = image_items(edit) if edit.task == "vqa" else ()
    return [item for item in items if item.relation in relations]


def overlaps(edit: EditRow, item: LocalityItem) -> bool:
    return not content_words(edit.question).isdisjoint(content_words(item.question))


# What edits are compared by.


def image(edit: EditRow) -> Sequence[Hashable]:
    return [edit.image_id]


def image_rephrase(edit: EditRow) -> Sequence[Hashable]:
    return [_painted(edit)] if _painted(edit) else []


def question(edit: EditRow) -> Sequence[Hashable]:
    return [plain(edit.question)] if edit.task == "vqa" else []


def prompt(edit: EditRow) -> Sequence[Hashable]:
    return [edit.question]


def entity_edit(edit: EditRow) -> Sequence[Hashable]:
    """What is edited into which entity; nothing where the dataset does not tell what its images show."""
    entity = entity_of(edit.image_id)
    return [(entity, plain(edit.question), plain(edit.target))] if entity else []


def pair(edit: EditRow) -> Sequence[Hashable]:
    return [(edit.image_id, plain(edit.question))]


def text_questions(edit: EditRow) -> Sequence[Hashable]:
    return [plain(item.question) for item in text_items(edit)]


def far_questions(edit: EditRow) -> Sequence[Hashable]:
    return [plain(item.question) for item in far_texts(edit)]


def image_pairs(edit: EditRow) -> Sequence[Hashable]:
    return [(item.image_id, plain(item.question)) for item in image_items(edit)]


def item_images(edit: EditRow) -> Sequence[Hashable]:
    return [item.image_id for item in image_items(edit) if item.image_id]


def _rephrase(edit: EditRow) -> str:
    return edit.rephrase.text if edit.rephrase else ""


def _painted(edit: EditRow) -> str:
    """What tells the rephrased image from others: its content where that is known, or its name."""
    return edit.imagined.digest or edit.imagined.image if edit.imagined else ""
