"""Facts in words alone: the documented layout is read, and another one is refused with it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from evaluation.data.dataset import load_cases
from evaluation.data.facts import EXAMPLE
from mmedit_build.errors import UserError

DOCS = Path(__file__).parents[3] / "docs" / "evaluating.md"


def folder(tmp_path: Path, text: str) -> str:
    (tmp_path / "facts_eval.json").write_text(text)
    return str(tmp_path)


def test_the_documented_layout_is_read_and_is_what_refusals_show(tmp_path: Path) -> None:
    (shown,) = [
        one for one in re.findall(r"```json\n(.*?)```", DOCS.read_text(), re.DOTALL) if "paris" in one
    ]
    assert json.loads(shown) == json.loads(EXAMPLE)
    (case,) = load_cases(folder(tmp_path, shown))
    assert (case.question, case.target, case.subject, case.image) == (
        *("The capital of France is", "Lyon", "France"),
        None,
    )
    assert [(probe.kind, probe.relation, probe.answers) for probe in case.probes] == [
        ("text_generality", None, ("Lyon",)),
        ("text_locality", "same_question", ("Rome",)),
        ("text_locality", "far", ("Shakespeare",)),
    ]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("{}", "the file: Input should be a valid list"),
        ('[{"id": "paris"}]', "0.relation: Field required"),
        (EXAMPLE.replace('"Lyon"', "5"), "0.target: Input should be a valid string"),
    ],
)
def test_another_layout_is_refused(tmp_path: Path, text: str, wrong: str) -> None:
    with pytest.raises(UserError) as raised:
        load_cases(folder(tmp_path, text))
    assert f"does not hold facts ({wrong}); write them like {EXAMPLE}." in str(raised.value)
