"""The prompt of an edit in several forms, for methods that want to see a fact more than once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from editors.base import Edit
from editors.patches.overlays import bare_prompt
from mmedit_build.mllm import MLLM, Query

Forms = Annotated[tuple[Annotated[str, Field(pattern=r"\{prompt\}|\{question\}")], ...], Field(min_length=1)]
FORMS: Forms = ("{prompt}", "{question}", "Look at the picture. {prompt}")
"""The prompt itself, a question without the template of the model's family, and one with a text before."""


def reworded(mllm: MLLM, edit: Edit, forms: Sequence[str], target: str) -> list[Query]:
    """The edit's query with this target in each form that is a prompt of its own.

    Forms without room are left out, but for the first: that one the model shall refuse.
    """
    fields = {"{prompt}": edit.prompt, "{question}": bare_prompt(mllm, edit.prompt)}
    prompts: dict[str, None] = {}
    for form in forms:
        prompts[_filled(form, fields)] = None
    queries = [replace(edit.query, prompt=prompt, target=target) for prompt in prompts]
    room = mllm.have_room(queries)
    return [query for query, enough in zip(queries, [True, *room[1:]], strict=True) if enough]


def _filled(form: str, fields: dict[str, str]) -> str:
    # Not by `format`: a prompt may hold braces of its own.
    for name, text in fields.items():
        if name in form:
            before, after = form.split(name, 1)
            return before + text + after
    return form
