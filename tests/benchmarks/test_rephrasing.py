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
    other = make_edit(question="Is the dog asleep?", target="no", answers=("no",) * 10)
    good, open_question = "Does the cat stand on the table?", "Where is the cat?"
    told = table({"it": [Said(row, [open_question, good]), Said(other, ["Is the dog asleep?"])]})
    (line,) = told.rows
    assert line[:4] == ("it", "2 of 3 (67%)", "1 of 3 (33%)", "1 of 2 (50%)")
    assert set(line[4].split(", ")) == {"no longer a yes/no question 1", "identical 1"}
