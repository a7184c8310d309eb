"""What measures ask about one sample, and what they compare samples by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence

from mmedit_build.audit.samples import Item, Sample
from mmedit_build.formats.rows import Hop
from mmedit_build.rows import Relation
from mmedit_build.scoring.text import AUXILIARIES, is_yes_no, is_yes_no_question
from mmedit_build.scoring.vqa import normalize
from mmedit_build.scoring.words import ARTICLES, contains_letters, plain, singular, words

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


def asks_yes_no(sample: Sample, test: Test = is_yes_no_question) -> bool:
    """Whether it is a rephrased yes/no question with the target yes or no."""
    return sample.rephrase is not None and is_yes_no(sample.target) and test(sample.question)


def breaks_yes_no(sample: Sample, test: Test = is_yes_no_question) -> bool:
    return not test(sample.rephrase or "")


def fails_by_format(sample: Sample, test: Test = is_yes_no_question) -> bool:
    return is_yes_no(sample.prediction or "") and not test(sample.question)


def predicted(sample: Sample) -> bool:
    """Whether the dataset tells what the model said."""
    return sample.prediction is not None


def predicted_answers(sample: Sample) -> bool:
    return sample.task == "vqa" and predicted(sample)


def contained(sample: Sample) -> bool:
    return contains_letters(sample.prediction or "", sample.target)


def same_but(form: Callable[[str], str]) -> Callable[[Sample], bool]:
    """Whether prediction and target have the same form."""
    return lambda sample: form(sample.prediction or "") == form(sample.target)


def has_hops(sample: Sample) -> bool:
    return bool(sample.hops)


def has_hop(steps: str) -> Callable[[Sample], bool]:
    return lambda sample: any(hop.steps == steps for hop in sample.hops)


def tells_answer(hop: Hop) -> bool:
    answer = plain(hop.answer)
    return bool(answer) and f" {answer} " in f" {plain(hop.question)} "


def content_words(text: str) -> set[str]:
    """The words that a question is about, in the singular."""
    return {singular(word) for word in words(text) if word not in _IGNORED}


def rephrased(sample: Sample) -> bool:
    return sample.rephrase is not None


def identical(sample: Sample) -> bool:
    return sample.question.strip().lower() == (sample.rephrase or "").strip().lower()


def quoted(sample: Sample) -> bool:
    text = (sample.rephrase or "").strip()
    return len(text) > 1 and any(text.startswith(left) and text.endswith(right) for left, right in _QUOTES)


def annotated(sample: Sample) -> bool:
    return sample.task == "vqa" and len(sample.answers) > 1


def weak_target(sample: Sample) -> bool:
    target = normalize(sample.target)
    return sum(normalize(answer) == target for answer in sample.answers) <= FEW * len(sample.answers)


def weak_item(_sample: Sample, item: Item) -> bool:
    return max(Counter(item.answers).values()) <= FEW * len(item.answers)


def minority_item(_sample: Sample, item: Item) -> bool:
    votes = Counter(item.answers)
    return votes[item.answer] < max(votes.values())


def incomplete(sample: Sample) -> bool:
    texts = [sample.image, sample.question, sample.target]
    optional = (sample.prediction, sample.rephrase, sample.image_rephrase)
    texts += [text for text in optional if text is not None]
    texts += [text for hop in sample.hops for text in (hop.question, hop.answer)]
    texts += [text for item in all_items(sample) for text in (item.question, item.answer)]
    texts += [item.image or "" for item in image_items(sample)]
    nothing_attached = sample.text_items == () or sample.image_items == ()
    return nothing_attached or not all(text.strip() for text in texts)


def text_items(sample: Sample) -> Sequence[Item]:
    return sample.text_items or ()


def image_items(sample: Sample) -> Sequence[Item]:
    return sample.image_items or ()


def text_items_of_questions(sample: Sample) -> Sequence[Item]:
    """None for captions, whose prompt is about nothing, and none that is the edit's own question."""
    return far_texts(sample) if sample.task == "vqa" else ()


def far_texts(sample: Sample) -> Sequence[Item]:
    return [item for item in text_items(sample) if item.relation == "far"]


def all_items(sample: Sample) -> Sequence[Item]:
    return (*text_items(sample), *image_items(sample))


def image_items_with_votes(sample: Sample) -> Sequence[Item]:
    return [item for item in image_items(sample) if len(item.answers) > 1]


def far_images(sample: Sample) -> Sequence[Item]:
    return related(sample, {"far"})


def near_images(sample: Sample) -> Sequence[Item]:
    return related(sample, {"same_image", "same_question"})


def related(sample: Sample, relations: set[Relation]) -> Sequence[Item]:
    items = image_items(sample) if sample.task == "vqa" else ()
    return [item for item in items if item.relation in relations]


def overlaps(sample: Sample, item: Item) -> bool:
    return not content_words(sample.question).isdisjoint(content_words(item.question))


# What samples are compared by.


def image(sample: Sample) -> Sequence[Hashable]:
    return [sample.image]


def image_rephrase(sample: Sample) -> Sequence[Hashable]:
    return [sample.image_rephrase] if sample.image_rephrase else []


def question(sample: Sample) -> Sequence[Hashable]:
    return [plain(sample.question)] if sample.task == "vqa" else []


def prompt(sample: Sample) -> Sequence[Hashable]:
    return [sample.question]


def entity_edit(sample: Sample) -> Sequence[Hashable]:
    """What is edited into which entity; nothing where the dataset does not tell what its images show."""
    return [(sample.entity, plain(sample.question), plain(sample.target))] if sample.entity else []


def pair(sample: Sample) -> Sequence[Hashable]:
    return [(sample.image, plain(sample.question))]


def text_questions(sample: Sample) -> Sequence[Hashable]:
    return [plain(item.question) for item in text_items(sample)]


def far_questions(sample: Sample) -> Sequence[Hashable]:
    return [plain(item.question) for item in far_texts(sample)]


def image_pairs(sample: Sample) -> Sequence[Hashable]:
    return [(item.image, plain(item.question)) for item in image_items(sample)]


def item_images(sample: Sample) -> Sequence[Hashable]:
    return [item.image for item in image_items(sample) if item.image]
