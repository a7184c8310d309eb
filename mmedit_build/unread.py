"""What plans say of sources that are not there yet: how much there is to ask, by what these declare."""

from __future__ import annotations

from mmedit_build.expected import LETTERS, Expected, longest_answers, questions
from mmedit_build.rows import TASKS
from mmedit_build.services.asking import chat_request, model_name
from mmedit_build.services.chat import ChatRequest

Unread = tuple[str, list[ChatRequest] | None]
"""A line for people, and all that may be asked; None where nobody can tell."""
UNKNOWN = (
    "how much that is nobody knows before the sources are there, as not all of them say how much they have; "
    "the command with `--limit 20` in the place of --dry-run gets them"
)


def mining(expected: Expected) -> Unread:
    """Of what is mined."""
    recipe, there = expected.build.recipe, expected.declared
    first = "reads sources from the Hub"
    if recipe.draw is not None:
        first = f"draws {recipe.draw.train_images + recipe.draw.val_images:,} images"
    begun = f"{first}, then asks {model_name(recipe.base)} about them, as much as it takes"
    if there is None:
        return f"{begun}: {UNKNOWN}.", None
    told = (
        f"at most {there['vqa']:,} questions and {there['caption']:,} captions, all that they say they have"
    )
    limits = longest_answers(recipe)
    return f"{begun}, {told}.", [one for task in TASKS for one in questions(there[task], limits[task])]


def attaching(expected: Expected, edits: int) -> Unread:
    """Of what becomes locality items."""
    recipe, there = expected.build.recipe, expected.pools_declared
    asked, dealt = f"asks {model_name(recipe.base)} locality questions", f"deals them to {edits:,} edits"
    if there is None:
        return f"{asked} and {dealt}: {UNKNOWN}.", None
    facts, images = there
    tokens = recipe.attach.answer_tokens
    about_facts = [chat_request(str(one).ljust(LETTERS, "?"), "fact", None, tokens) for one in range(facts)]
    told = f"at most {facts:,} about facts and {images:,} about images, all that their sources say they have"
    return f"{asked}, {told}, and {dealt}.", [*about_facts, *questions(images, tokens)]
