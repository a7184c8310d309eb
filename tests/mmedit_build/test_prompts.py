"""Prompts are found, filled, and refused if they do not fit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from mmedit_build import prompts
from mmedit_build.errors import UserError
from mmedit_build.prompts import chat_messages, load_prompt, prompt_id


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Writes a prompt `mine` into a folder that stands in for prompts/."""
    monkeypatch.setattr(prompts, "files", lambda _package: tmp_path)
    load_prompt.cache_clear()

    def write(text: str) -> None:
        (tmp_path / "mine.yaml").write_text(text)

    yield write
    load_prompt.cache_clear()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rephrase", {"question": "{x}?"}),
        ("judge", {"question": "{x}?", "rephrase": "y?"}),
        ("grade", {"question": "{x}?", "target": "}{", "answer": "<<<z"}),
    ],
)
def test_placeholders_are_filled(name: str, words: dict[str, str]) -> None:
    system, user = chat_messages(name, **words)
    assert (system["role"], user["role"]) == ("system", "user")
    assert all(word in user["content"] for word in words.values())


def test_a_prompt_may_have_no_system_message() -> None:
    (user,) = chat_messages("rephrase-mmedit", question="Is it day?")
    assert user["role"] == "user"
    assert user["content"].endswith("\nIs it day?")


def test_an_id_changes_with_the_file() -> None:
    digest = hashlib.sha256((files("prompts") / "rephrase.yaml").read_bytes()).hexdigest()
    assert prompt_id("rephrase") == f"rephrase#{digest[:8]}"


def test_captions_have_at_least_twenty_templates() -> None:
    templates = load_prompt("caption")["templates"]
    assert len(set(templates)) == len(templates) >= 20


def test_a_missing_prompt_is_told_with_the_nearest() -> None:
    with pytest.raises(UserError, match="no prompt 'rephrased'; did you mean 'rephrase'"):
        load_prompt("rephrased")
    with pytest.raises(UserError, match="no prompt"):
        prompt_id("../prompts/rephrase")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("system: s\nuser: say {qestion}\n", "unknown placeholder {qestion}; did you mean 'question'"),
        ("system: s\nuser: say {question.text}\n", "unknown placeholder {question.text}"),
        ("system: s\nuser: say {}\n", "unknown placeholder {}"),
        ("system: s\nuser: say it\n", "must hold the placeholder {question}"),
        ("system: s\nuser: '{question} {'\n", "single brace"),
        ("user: '{question}'\n", "must hold a text named `system`"),
        ("- a\n", "must hold named fields"),
        ("a: [", "is no YAML"),
    ],
)
def test_a_prompt_that_does_not_fit_is_refused(write: Callable[[str], None], text: str, words: str) -> None:
    write(text)
    with pytest.raises(UserError) as raised:
        chat_messages("mine", question="what?")
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_doubled_braces_are_braces(write: Callable[[str], None]) -> None:
    write("system: s\nuser: '{{\"q\": {question}}}'\n")
    assert chat_messages("mine", question="what?")[1]["content"] == '{"q": what?}'
