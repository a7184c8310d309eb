from __future__ import annotations

from benchmarks.reality.rephrasing import Said, table, yes_no
from tests.mmedit_build.conftest import MakeEdit, make_edit

__all__ = ["make_edit"]


def test_each_yes_no_question_is_taken_once(make_edit: MakeEdit) -> None:
    texts = ("Is it red?", "What is it?", "Is it red?", "Are there dogs?")
    rows = [make_edit(id=str(i), question=text) for i, text in enumerate(texts)]
    assert [row.id for row in yes_no(rows)] == ["0", "3"]


def test_what_was_made_of_questions_is_counted(make_edit: MakeEdit) -> None:
    row = make_edit(question="Is the cat on the table?", target="yes", answers=("yes",) * 10)
    texts = ("Where is the cat?", "Does the cat stand on the table?", "Is the cat on the table?")
    (line,) = table({"it": [Said(row, text) for text in texts]}).rows
    assert line[:3] == ("it", "2 of 3 (67%)", "1 of 3 (33%)")
    assert set(line[3].split(", ")) == {"no longer a yes/no question 1", "identical 1"}
