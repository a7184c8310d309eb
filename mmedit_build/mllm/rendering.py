"""The text around a user's words: where the image stands, and what of a chat turn comes before and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from mmedit_build.errors import UserError

IMAGE, PROMPT = "{image}", "{prompt}"
CHECKPOINT, PLAIN, RAW = "checkpoint", "plain", "raw"
NAMED = (CHECKPOINT, PLAIN, RAW)
"""Names of templates: that of the checkpoint, the image with the prompt after it, and what published code
has of that."""
_WORDS = "\u27ea\u27eb"
"""Stands for a user's words while a chat template is rendered."""


@dataclass(frozen=True, slots=True)
class Template:
    """What stands before and after the prompt in a row.

    `before` may say where the image goes, by {image}. If it does not, the image stands before all text, also
    before the token that begins a text; `begins` says whether there is such a token.
    """

    before: str = ""
    after: str = ""
    begins: bool = True

    @property
    def ending(self) -> str:
        """The letter that answers stand behind; none if it is one of the prompt's."""
        return self.after[-1:]


@dataclass(frozen=True, slots=True)
class Templates:
    """How queries with an image are rendered, and those without."""

    image: Template
    text: Template


def parse_template(written: str) -> Templates:
    """A template as users write it, with {prompt} and, before that, {image}."""
    if (
        written.count(PROMPT) != 1
        or written.count(IMAGE) != 1
        or written.index(IMAGE) > written.index(PROMPT)
    ):
        raise UserError(
            f"The template {written!r} does not hold {IMAGE} once and, after it, {PROMPT} once: write for "
            f"instance 'USER: {IMAGE} {PROMPT} ASSISTANT:', or {CHECKPOINT}, {PLAIN} or {RAW}."
        )
    before, _, after = written.partition(PROMPT)
    ahead, _, behind = before.partition(IMAGE)
    # Without an image, the space that parts it from the words is no longer needed.
    return Templates(Template(before, after), Template(ahead + behind.lstrip(), after))


def chat_templates(tokenizer: PreTrainedTokenizerBase, image_text: str) -> Templates | None:
    """What the checkpoint's own chat template puts around a user's turn; None if it has none.

    `image_text` is what the template writes where the image stands.
    """
    if tokenizer.chat_template is None:
        return None
    words = {"type": "text", "text": _WORDS}
    both = _turn(tokenizer, [{"type": "image"}, words])
    alone = _turn(tokenizer, [words])
    before, found, after = both.partition(image_text)
    if not found:
        raise UserError(
            f"The checkpoint's chat template writes no {image_text!r} for an image: give a template of your "
            f"own, such as 'USER: {IMAGE} {PROMPT} ASSISTANT:'."
        )
    return Templates(_around(before + IMAGE + after), _around(alone))


def _turn(tokenizer: PreTrainedTokenizerBase, content: list[dict[str, str]]) -> str:
    turn: Any = [{"role": "user", "content": content}]
    try:
        return str(tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=False))
    except Exception as error:  # Templates are programs, and raise what they like.
        raise UserError(
            f"The checkpoint's chat template cannot be rendered ({type(error).__name__}): give a template of "
            f"your own, such as 'USER: {IMAGE} {PROMPT} ASSISTANT:'."
        ) from error


def _around(turn: str) -> Template:
    before, found, after = turn.partition(_WORDS)
    if not found:
        raise UserError(
            "The checkpoint's chat template leaves out what the user says: give a template of your own."
        )
    return Template(before, after)
