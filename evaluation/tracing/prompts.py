"""What is traced: prompts of a dataset that the model answers, and what the positions of each are.

A fact is corrupted at its subject, a question about an image at all positions of the image.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from editors.patches.overlays import bare_prompt
from evaluation.data.cases import USUAL, Case
from evaluation.data.cases import Kind as ProbeKind
from evaluation.data.probes import Asked, ask_all
from evaluation.tracing.terms import Kind, Role
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query
from mmedit_build.mllm.rows import Span
from mmedit_build.pictures import image_key

Guess = Literal["content", "question"]
PROBES: dict[Kind, ProbeKind] = {"text": "text_locality", "image": "image_locality"}
_SUBJECTS = TypeAdapter(dict[str, str])
_WORD = re.compile(r"[^\W_]+(?:['\u2019.-]+[^\W_]+)*")
_FUNCTION_WORDS = """
a an the this that these those there here it its i you he she we they me him her us them my your his our
their one what which who whom whose when where why how many much is are was were be been being am do does
did done has have had can could will would shall should may might must of in on at by for from to into with
without about as than after before over under between near inside and or but not no any some all both each
called named known made make makes come comes came get gets go goes mean means belong belongs
"""
_FUNCTIONS = frozenset(_FUNCTION_WORDS.split())


@dataclass(frozen=True, slots=True)
class Candidate:
    """A prompt of the dataset that may be traced, if the model answers it right."""

    id: str
    kind: Kind
    probe: Asked
    group: str
    """Equal for questions about one image, which are not independent of each other."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The positions of a prompt: what stands there, what each is, and which are corrupted."""

    tokens: tuple[str, ...]
    roles: tuple[Role, ...]
    corrupted: tuple[int, ...]
    subject: str | None = None


def candidates(cases: Sequence[Case], mllm: MLLM, kind: Kind) -> list[Candidate]:
    """The locality items of the cases, each once: what an unedited model was found to answer."""
    found: dict[str, Candidate] = {}
    for case in cases:
        for probe in ask_all(case, mllm):
            name, image = probe.probe.id, probe.query.image
            usual = probe.kind == PROBES[kind] and probe.probe.relation in USUAL
            if usual and name not in found:
                group = name if image is None else image_key(image)
                found[name] = Candidate(name, kind, probe, group)
    return list(found.values())


def read_subjects(path: Path | None) -> Mapping[str, str]:
    """Subjects by question, from a JSON object."""
    if path is None:
        return {}
    try:
        return _SUBJECTS.validate_python(json.loads(path.read_bytes()))
    except OSError as error:
        raise UserError(f"Cannot read {path} ({error.strerror}); check its path.") from error
    except (ValueError, ValidationError) as error:
        raise UserError(
            f"{path} does not hold subjects; give a JSON object from questions to subjects, such as "
            '{"who wrote Emma": "Emma"}.'
        ) from error


def lay_out(mllm: MLLM, query: Query, subjects: Mapping[str, str], guess: Guess) -> Layout:
    """Find the parts of a prompt; a subject that is not given is guessed."""
    question = bare_prompt(mllm, query.prompt)
    start = query.prompt.index(question)
    given = subjects.get(question)
    if query.image is None:
        given = given or _guessed(question, guess)
    span = None if given is None else _find(given, question, start)
    (row,) = mllm.rows([query], targets=False)
    numbers = {place: number for number, place in enumerate(row.image, start=1)}
    words = [place for place in range(row.length) if place not in numbers]
    spans = [row.letters[place] or NOWHERE for place in words]
    corners = (start, start + len(question))
    roles: dict[int, Role] = dict.fromkeys(numbers, "image")
    roles |= zip(words, _text_roles(spans, span, corners, is_fact=query.image is None), strict=True)
    inside = [place for place, one in zip(words, spans, strict=True) if span and _overlap(one, span)]
    return Layout(
        tuple(_name(mllm, token, numbers.get(place)) for place, token in enumerate(row.ids)),
        tuple(roles[place] for place in range(row.length)),
        row.image or tuple(inside),
        given,
    )


def _name(mllm: MLLM, token: int, number: int | None) -> str:
    return f"image {number}" if number else str(mllm.tokenizer.decode([token])).strip()


def guess_subject(question: str) -> str | None:
    """The last run of content words: "who is the author of Peter Pan" gives "Peter Pan"."""
    runs: list[list[re.Match[str]]] = [[]]
    for word in _WORD.finditer(question):
        if word[0].lower() in _FUNCTIONS:
            runs.append([])
        else:
            runs[-1].append(word)
    last = next((run for run in reversed(runs) if run), None)
    return None if last is None else question[last[0].start() : last[-1].end()]


def _guessed(question: str, guess: Guess) -> str:
    return (guess_subject(question) if guess == "content" else None) or question.strip()


NOWHERE: Span = (0, 0)
"""The letters of a token that is no part of the user's text."""


def _find(subject: str, question: str, offset: int) -> Span:
    """Where the subject stands in the prompt: at its last occurrence, whatever its case."""
    place = question.lower().rfind(subject.lower())
    if not subject.strip() or place < 0:
        raise UserError(f"The subject {subject!r} does not occur in the question {question!r}; correct it.")
    return offset + place, offset + place + len(subject)


def _overlap(one: Span, other: Span) -> bool:
    return max(one[0], other[0]) < min(one[1], other[1])


def _text_roles(spans: Sequence[Span], subject: Span | None, asked: Span, *, is_fact: bool) -> Iterator[Role]:
    inside = [place for place, span in enumerate(spans) if subject is not None and _overlap(span, subject)]
    for place, span in enumerate(spans):
        if place in inside:
            yield _subject_role(place, inside, place == len(spans) - 1)
        elif place == len(spans) - 1:
            yield "last"
        elif is_fact:
            yield "after" if inside and place > inside[-1] else "before"
        else:
            yield "question" if _overlap(span, asked) else "template"


def _subject_role(place: int, inside: Sequence[int], ends_prompt: bool) -> Role:
    # A subject of one token is its last: that is where an edit looks it up.
    if place == inside[-1]:
        return "subject_end" if ends_prompt else "subject_last"
    return "subject_first" if place == inside[0] else "subject_middle"
