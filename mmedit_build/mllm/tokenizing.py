"""Queries as rows: their texts tokenized, with as many placeholders as an image has features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from textwrap import shorten

from transformers import PreTrainedTokenizerBase

from mmedit_build.errors import UserError
from mmedit_build.mllm.families.base import Family
from mmedit_build.mllm.query import Query
from mmedit_build.mllm.rendering import IMAGE, PLAIN, Template
from mmedit_build.mllm.rows import NOWHERE, SHOWN, Layout, Row, Said, Span


def make_rows(
    family: Family, queries: Sequence[Query], layouts: Sequence[Layout | None], *, targets: bool
) -> list[Row]:
    """Tokenize queries, whose images are laid out as given; without `targets` rows end with the prompt."""
    templates = [
        family.template(query.form, with_image=layout is not None)
        for query, layout in zip(queries, layouts, strict=True)
    ]
    # Prompt and target are tokenized apart and joined: tokenized together, the border could fall inside a
    # token, and what precedes the target would depend on the target.
    prompts = _prompts(family, queries, layouts, templates)
    said = [query.target if targets else "" for query in queries]
    answers = answer_ids(family.tokenizer, said, [template.ending for template in templates])
    return [
        _row(family, prompt, answer, layout)
        for prompt, answer, layout in zip(prompts, answers, layouts, strict=True)
    ]


def answer_ids(
    tokenizer: PreTrainedTokenizerBase, targets: Sequence[str], endings: Sequence[str]
) -> list[list[int]]:
    """The tokens of targets, which begin with a space unless what each stands behind ends in one."""
    if not any(targets):
        return [[] for _ in targets]
    begun, ahead, start = _beginning(tokenizer)
    # Where such a model was trained behind a space, its answers had another: they were tokenized apart.
    spaced = [not ending.isspace() or (begun and ending == " ") for ending in endings]
    texts = [
        f"{ahead} {text}" if text and space and not text[0].isspace() else f"{ahead}{text}"
        for text, space in zip(targets, spaced, strict=True)
    ]
    found: list[list[int]] = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return [ids[start:] for ids in found]


@lru_cache(maxsize=8)
def _beginning(tokenizer: PreTrainedTokenizerBase) -> tuple[bool, str, int]:
    """Whether texts begin with a space of the tokenizer's own, and what to put ahead so that the target does
    not: a text, and its number of tokens."""
    own = tokenizer.convert_ids_to_tokens(tokenizer("a", add_special_tokens=False)["input_ids"])
    begun = str(own[0]).startswith("\u2581")
    ahead = "\n" if begun else ""
    return begun, ahead, len(tokenizer(ahead, add_special_tokens=False)["input_ids"])


@dataclass(frozen=True, slots=True)
class _Prompt:
    ids: tuple[int, ...]
    image: tuple[int, ...]
    said: Said


def _prompts(
    family: Family,
    queries: Sequence[Query],
    layouts: Sequence[Layout | None],
    templates: Sequence[Template],
) -> list[_Prompt]:
    before = [
        template.before if layout is None else template.before.replace(IMAGE, layout.text)
        for template, layout in zip(templates, layouts, strict=True)
    ]
    parts = zip(before, queries, templates, strict=True)
    texts = [f"{ahead}{query.prompt}{template.after}" for ahead, query, template in parts]
    begins = [template.begins and not _begun(family.tokenizer, template) for template in templates]
    tokens = family.tokens.of(texts, begins)
    return [
        _expanded(family, query, layout, IMAGE in template.before, len(ahead), *found)
        for query, layout, template, ahead, found in zip(
            queries, layouts, templates, before, tokens, strict=True
        )
    ]


def _begun(tokenizer: PreTrainedTokenizerBase, template: Template) -> bool:
    """Whether the template writes the token that begins texts itself."""
    token = tokenizer.bos_token
    return bool(token) and template.before.startswith(str(token))


def _expanded(
    family: Family,
    query: Query,
    layout: Layout | None,
    inside: bool,
    start: int,
    ids: Sequence[int],
    spans: Sequence[Span],
) -> _Prompt:
    """The prompt with every placeholder as often as it stands for features."""
    places = [place for place, token in enumerate(ids) if token == family.image_id]
    if any(Said(query.prompt, start, [spans[place]]).letters[0] for place in places):
        raise UserError(
            f"The query {shorten(query.prompt, SHOWN)!r} holds {family.image_token}, which stands for an "
            "image: leave it out, the image is put in its place without it."
        )
    counts = iter(() if layout is None else layout.counts)
    # A template that does not say where the image stands has it before everything.
    ahead = 0 if layout is None or inside else next(counts)
    found, seen, wide = [family.image_id] * ahead, list(range(ahead)), [NOWHERE] * ahead
    done = 0
    for place in () if layout is None else places:
        found.extend(ids[done:place])
        wide.extend(spans[done:place])
        times = next(counts, 0)
        seen.extend(range(len(found), len(found) + times))
        found.extend([family.image_id] * times)
        wide.extend([NOWHERE] * times)
        done = place + 1
    found.extend(ids[done:])
    wide.extend(spans[done:])
    if next(counts, 0):
        raise UserError(
            f"The template says where the image stands, but {family.image_token} is no token of this "
            f"checkpoint: use a template without {IMAGE}, such as '{PLAIN}'."
        )
    if not found:
        raise UserError("A query has neither image nor prompt: give it at least one of the two.")
    return _Prompt(tuple(found), tuple(seen), Said(query.prompt, start, wide))


def _row(family: Family, prompt: _Prompt, ending: Sequence[int], layout: Layout | None) -> Row:
    ids = (*prompt.ids, *ending)
    positions = family.positions(ids, prompt.image, layout)
    return Row(ids, len(prompt.ids), prompt.image, positions, prompt.said)
