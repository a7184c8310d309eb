from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.data.cases import Case
from evaluation.tracing.prompts import Layout, candidates, guess_subject, lay_out, read_subjects
from mmedit_build.errors import UserError
from mmedit_build.miniature.fact_tables import TABLES, WORDINGS
from mmedit_build.mllm import MLLM, Query


def told(layout: Layout) -> list[tuple[str, str]]:
    return list(zip(layout.tokens, layout.roles, strict=True))


def test_a_fact_with_its_subject_in_the_middle(mllm: MLLM) -> None:
    layout = lay_out(mllm, Query(None, "what city is Paraguay's capital"), {}, "question")
    assert layout.subject == "what city is Paraguay's capital"
    given = {"what city is Paraguay's capital": "paraguay"}
    layout = lay_out(mllm, Query(None, "what city is Paraguay's capital"), given, "content")
    roles = [role for _, role in told(layout)]
    first, last = roles.index("subject_first"), roles.index("subject_last")
    assert "".join(layout.tokens[first : last + 1]).lower() == "paraguay"
    assert roles[:first] == ["before"] * first
    assert roles[last + 1 :] == ["after"] * (len(roles) - last - 2) + ["last"]
    assert layout.corrupted == tuple(range(first, last + 1))


def test_a_subject_that_ends_the_prompt(mllm: MLLM) -> None:
    layout = lay_out(mllm, Query(None, "what is the plural of tooth"), {}, "content")
    assert told(layout)[-2:] == [("of", "before"), ("tooth", "subject_end")]
    assert layout.corrupted == (6,)
    assert layout.subject == "tooth"


def test_a_question_about_an_image(mllm: MLLM, cases: list[Case]) -> None:
    query = Query(cases[0].image, mllm.question_prompt("How large is the car?"))
    layout = lay_out(mllm, query, {}, "content")
    assert layout.corrupted == tuple(range(8))
    assert layout.subject is None
    assert told(layout)[:8] == [(f"image {number}", "image") for number in range(1, 9)]
    words = [token for token, role in told(layout) if role == "question"]
    assert words == ["How", "large", "is", "the", "car", "?"]
    assert layout.roles[-1] == "last"
    assert layout.roles.count("template") == 5


def test_a_given_subject_of_a_question_about_an_image(mllm: MLLM, cases: list[Case]) -> None:
    query = Query(cases[0].image, mllm.question_prompt("How large is the car?"))
    layout = lay_out(mllm, query, {"How large is the car?": "the car"}, "content")
    assert [token for token, role in told(layout) if role.startswith("subject")] == ["the", "car"]
    assert layout.corrupted == tuple(range(8))


def test_a_subject_must_be_in_its_question(mllm: MLLM) -> None:
    with pytest.raises(UserError, match="'Emma' does not occur"):
        lay_out(mllm, Query(None, "who wrote it"), {"who wrote it": "Emma"}, "content")


@pytest.mark.parametrize(
    ("question", "subject"),
    [
        ("what is the capital of paraguay", "paraguay"),
        ("who is the author of Peter Pan?", "Peter Pan"),
        ("what is the home of a spider called", "spider"),
        ("who wrote harry potter and the philosopher's stone", "philosopher's stone"),
        ("what is it", None),
        ("What Is It", None),
    ],
)
def test_the_last_content_words_are_guessed(question: str, subject: str | None) -> None:
    assert guess_subject(question) == subject


def test_guesses_end_where_subjects_do() -> None:
    """What edits need is the subject's last token."""
    right = asked = 0
    for family, table in TABLES.items():
        for entry in " ".join(table.split()).split(", "):
            subject = entry.partition(":")[0]
            guessed = guess_subject(WORDINGS[family][0].format(x=subject).lower())
            asked += 1
            right += guessed is not None and guessed.split()[-1] == subject.lower().split()[-1]
    assert right / asked > 0.95


def test_candidates_come_once(mllm: MLLM, cases: list[Case]) -> None:
    facts = candidates([*cases, *cases], mllm, "text")
    assert [one.id for one in facts] == [f"nq/{number}" for number in range(6)]
    assert all(one.probe.query.image is None for one in facts)
    images = candidates(cases, mllm, "image")
    assert len(images) == 8
    assert all(one.probe.query.image is not None for one in images)


def test_subjects_are_read(tmp_path: Path) -> None:
    path = tmp_path / "subjects.json"
    path.write_text('{"who wrote Emma": "Emma"}')
    assert read_subjects(path) == {"who wrote Emma": "Emma"}
    assert read_subjects(None) == {}


@pytest.mark.parametrize("content", ["[1]", "{", '{"a": 1}', "\ufffe"])
def test_subjects_that_are_none(content: str, tmp_path: Path) -> None:
    path = tmp_path / "subjects.json"
    path.write_text(content, encoding="utf-16" if content == "\ufffe" else "utf-8")
    with pytest.raises(UserError, match="JSON object from questions to subjects"):
        read_subjects(path)
    with pytest.raises(UserError, match="check its path"):
        read_subjects(tmp_path / "none.json")
