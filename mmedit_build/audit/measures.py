"""What an audit counts. The definitions are those of docs/audit.md, word for word."""

from __future__ import annotations

from mmedit_build.audit import judgments as of
from mmedit_build.audit.counting import Constant, Distinct, OneTarget, Shared, SharedUnlessConstant
from mmedit_build.audit.judging import Measure, hops, items, rows
from mmedit_build.formats.rows import STEPS
from mmedit_build.scoring.words import bare, plain

MEASURES: tuple[Measure, ...] = (
    Measure(
        "broken_yes_no",
        "never",
        "Broken yes/no rephrases",
        "Of the yes/no questions whose target is yes or no: the rephrase is not a yes/no question.",
        rows(of.breaks_yes_no, of.asks_yes_no),
    ),
    Measure(
        "identical_rephrases",
        "never",
        "Identical rephrases",
        "The rephrase is the question again, but for case at most.",
        rows(of.identical, of.rephrased),
    ),
    Measure(
        "quoted_rephrases",
        "never",
        "Quoted rephrases",
        "The rephrase stands in quotation marks.",
        rows(of.quoted, of.rephrased),
    ),
    Measure(
        "leaked_images",
        "never",
        "Images in both splits",
        "The image is that of a row of the other split.",
        lambda: Shared(of.image),
    ),
    Measure(
        "leaked_image_rephrases",
        "never",
        "Rephrased images in both splits",
        "The rephrased image is that of a row of the other split.",
        lambda: Shared(of.image_rephrase),
    ),
    Measure(
        "leaked_questions",
        "never",
        "Questions in both splits",
        "The question is asked in the other split, but for case and punctuation; a prompt that all rows "
        "share does not count.",
        lambda: SharedUnlessConstant(of.question),
    ),
    Measure(
        "leaked_pairs",
        "never",
        "Image and question in both splits",
        "The question is asked about the same image in the other split.",
        lambda: Shared(of.pair),
    ),
    Measure(
        "leaked_text_items",
        "never",
        "Text locality in both splits",
        "Of the text locality items: the question is one of the other split.",
        lambda: Shared(of.text_questions),
    ),
    Measure(
        "leaked_image_items",
        "never",
        "Image locality in both splits",
        "Of the image locality items: image and question are a pair of the other split.",
        lambda: Shared(of.image_pairs),
    ),
    Measure(
        "leaked_locality_images",
        "never",
        "Locality on edited images",
        "Of the image locality items: the image is that of an edit of the other split.",
        lambda: Shared(of.item_images, with_keys=of.image),
    ),
    Measure(
        "leaked_entity_edits",
        "never",
        "Edits of an entity in both splits",
        "Of the rows whose image lies in the folder of its entity: entity, question and target are those of "
        "a row of the other split.",
        lambda: Shared(of.entity_edit),
    ),
    Measure(
        "reversed_rephrases",
        "fault",
        "Reversed rephrases",
        "The rephrase says the opposite, exchanges who stands where to whom or does what to whom, names "
        "another color, or says a number, a color or a negation of something else.",
        rows(of.reversed_, of.rephrased),
    ),
    Measure(
        "containment",
        "fault",
        "One contains the other",
        "Prediction and target contain one another, letter by letter, but for case and punctuation.",
        rows(of.contained, of.predicted),
    ),
    Measure(
        "equal_without_articles",
        "fault",
        "Equal after articles",
        'Prediction and target are equal without the articles, "in" and "on" that they begin with.',
        rows(of.same_but(bare), of.predicted),
    ),
    Measure(
        "equal_without_punctuation",
        "fault",
        "Equal after punctuation",
        "Prediction and target are equal but for case and punctuation.",
        rows(of.same_but(plain), of.predicted),
    ),
    Measure(
        "format_failures",
        "fault",
        "Format failures",
        "The prediction is yes or no, but the question is no yes/no question.",
        rows(of.fails_by_format, of.predicted_answers),
    ),
    Measure(
        "style_captions",
        "fault",
        "Captions in other words",
        "Of the captions: the prediction says nothing that the target does not, and names all that it names.",
        rows(of.says_the_same, of.predicted_captions),
    ),
    Measure(
        "weak_targets",
        "fault",
        "Weak consensus",
        "At most 4 of 10 annotators gave the target, where their answers are known.",
        rows(of.weak_target, of.annotated),
    ),
    Measure(
        "weak_items",
        "fault",
        "Weak consensus in locality",
        "Of the image locality items whose votes are known: no answer has more than 4 of 10.",
        items(of.weak_item, of.image_items_with_votes),
    ),
    Measure(
        "minority_items",
        "fault",
        "Minority answers in locality",
        "Of the image locality items whose votes are known: the answer is not among those with the most.",
        items(of.minority_item, of.image_items_with_votes),
    ),
    Measure(
        "told_hops",
        "fault",
        "Hops that tell their answer",
        "Of the questions of portability: the answer stands in the question, word by word.",
        hops(of.tells_answer),
    ),
    Measure(
        "incomplete_rows",
        "fault",
        "Incomplete rows",
        "Something is empty: a text, an answer, the name of an image, or one of the two kinds of locality.",
        rows(of.incomplete),
    ),
    Measure(
        "single_word_targets",
        "number",
        "Single-word targets",
        "The target is one word, which makes teacher forcing nearly a choice of one token.",
        rows(lambda edit: len(edit.target.split()) == 1),
    ),
    Measure(
        "constant_prompts",
        "number",
        "Constant prompts",
        "The question is the same in all rows of the split.",
        lambda: Constant(of.prompt),
    ),
    Measure(
        "distinct_text_questions",
        "number",
        "Distinct text locality",
        "Different questions among the far text locality items.",
        lambda: Distinct(of.far_questions),
    ),
    Measure(
        "distinct_image_items",
        "number",
        "Distinct image locality",
        "Different pairs of image and question among the image locality items.",
        lambda: Distinct(of.image_pairs),
    ),
    Measure(
        "text_overlap",
        "number",
        "Overlap of text locality",
        "Of the far text locality items of questions: the edit's question has one of its content words.",
        items(of.overlaps, of.text_items_of_questions),
    ),
    Measure(
        "far_image_overlap",
        "number",
        "Overlap of far image locality",
        "Of the far image locality items of questions: the edit's question has one of its content words.",
        items(of.overlaps, of.far_images),
    ),
    Measure(
        "near_image_overlap",
        "number",
        "Overlap of near image locality",
        "Of the near image locality items of questions: the edit's question has one of its content words.",
        items(of.overlaps, of.near_images),
    ),
    Measure(
        "questions_of_one_target",
        "number",
        "Questions with one target",
        "Of the rows whose question is asked where different things were predicted: all rows with the "
        "question have the same target, whatever their images show.",
        OneTarget,
    ),
    *(
        Measure(
            f"{steps.replace('-', '_')}_rows",
            "number",
            f"Rows with a {steps} question",
            f"Of the rows with any question of portability: there is one of {steps.replace('-', ' ')}{end}.",
            rows(of.has_hop(steps), of.has_hops),
        )
        for steps, end in zip(STEPS, ("", "s", "s", "s"), strict=True)
    ),
)
