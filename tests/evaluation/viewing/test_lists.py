from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.results.records import LINES
from evaluation.viewing.detail import detail
from evaluation.viewing.lists import Show, Sort, Wanted, find_edits
from evaluation.viewing.paired import add_answers, difference
from evaluation.viewing.titles import about, overview
from mmedit_build.errors import UserError
from mmedit_build.pages.index import Index

MATCH = "wild.reliability.match."


def run_of(index: Index, *names: str) -> str:
    with index.reading() as connection:
        runs = {run["name"]: str(run["run"]) for run in about(connection)["runs"]}
    return ",".join(runs[name] for name in names)


def found(index: Index, *names: str, **changes: object) -> list[int]:
    """The numbers of the edits in a list, from 0."""
    wanted = Wanted.model_validate(
        {"task": "vqa", "measure": MATCH, "runs": run_of(index, *(names or ("ft", "ike"))), **changes}
    )
    with index.reading() as connection:
        total, edits = find_edits(connection, wanted)
    assert total == len(edits)
    return [int(edit["id"].rpartition("/")[2]) - 100 for edit in edits]


@pytest.mark.parametrize(
    ("show", "edits"),
    [
        ("all", [0, 1, 2, 3]),
        ("fails", [1, 2, 3]),
        ("partly", [1, 2, 3]),
        ("all-fail", [2, 3]),
        ("all-pass", [0]),
        ("disagree", [1]),
        ("skipped", []),
        ("better", []),
        ("worse", [1]),
        ("unlike", [1]),
    ],
)
def test_what_is_shown(index: Index, show: Show, edits: list[int]) -> None:
    """ft gets the first edit right, ike the first two."""
    assert found(index, show=show) == edits


@pytest.mark.parametrize(
    ("sort", "edits"),
    [
        ("low", [2, 3, 1, 0]),
        ("high", [0, 1, 2, 3]),
        ("spread", [1, 0, 2, 3]),
        ("failures", [2, 3, 1, 0]),
        ("difference", [0, 2, 3, 1]),
        ("difference-down", [1, 0, 2, 3]),
    ],
)
def test_orders(index: Index, sort: Sort, edits: list[int]) -> None:
    assert found(index, sort=sort) == edits


def test_types_and_words(index: Index) -> None:
    assert found(index, type="color") == [1, 3]
    assert found(index, text="vqa/test/102") == [2]
    # Of answers: what the chosen runs said, and no others; letters stand for themselves.
    assert found(index, text="WRONG <b>ft") == [1, 2, 3]
    assert found(index, "ike", text="wrong <b>ft") == []
    assert found(index, text="100% before") == [0, 1, 2, 3]
    assert found(index, text="1_0% before") == []
    assert found(index, text="%%%") == []


def test_what_is_no_score_or_no_run_is_refused(index: Index) -> None:
    with pytest.raises(UserError, match="no score"):
        found(index, measure="wild; DROP TABLE cases")
    with pytest.raises(UserError, match="no numbers of runs"):
        found(index, runs="1,x")


def test_two_runs_differ_by_the_mean_of_their_differences(index: Index) -> None:
    wanted = Wanted(task="vqa", measure=MATCH, runs=run_of(index, "ike", "ft"))
    with index.reading() as connection:
        told = difference(connection, wanted)
        _, edits = find_edits(connection, wanted)
        add_answers(connection, wanted, edits)
    assert (told["edits"], told["better"], told["worse"], told["equal"]) == (4, 1, 0, 3)
    mean, low, high = told["mean"]
    assert low <= mean == 0.25 <= high
    (asked,) = edits[1]["asked"]
    assert [one["after"] == asked["target"] for one in asked["answers"]] == [True, False]


def test_only_what_belongs_to_the_score_is_shown(index: Index) -> None:
    wanted = Wanted(task="vqa", measure="legacy.image_locality.top10.near", runs=run_of(index, "ft"))
    with index.reading() as connection:
        _, edits = find_edits(connection, wanted)
        add_answers(connection, wanted, edits)
    assert [one["title"] for one in edits[0]["asked"]] == ["Image locality, same image"]


def test_the_overview_has_every_headline_number(index: Index) -> None:
    with index.reading() as connection:
        legacy, wild = overview(connection, "vqa")
    assert [column["title"] for column in wild["columns"]] == [
        *("Reliability", "Text generality", "Image generality", "Text locality"),
        *("Image locality, far", "Image locality, near"),
    ]
    assert len(legacy["rows"]) == 3
    assert all(column["key"] in row["means"] for column in wild["columns"] for row in wild["rows"])


def test_an_edit_has_all_questions_answers_and_pictures(index: Index) -> None:
    with index.reading() as connection:
        told = detail(connection, "vqa", "vqa/test/100")
        with pytest.raises(UserError, match="no edit"):
            detail(connection, "vqa", "vqa/test/nine")
    (part,) = told["parts"]
    kinds = [probe["kind"] for probe in part["probes"]]
    assert kinds[:3] == ["reliability", "text_generality", "image_generality"]
    assert all(len(probe["answers"]) == 3 for probe in part["probes"])
    assert part["image"] != part["repainted"]
    far = next(probe for probe in part["probes"] if probe["title"] == "Image locality, far")
    assert far["picture"] not in (None, part["image"])


def test_results_that_have_changed_meanwhile_are_not_mixed_up(index: Index, results: Path) -> None:
    lines = results / "vqa" / "ft" / LINES
    lines.write_bytes(b"".join(reversed(lines.read_bytes().splitlines(keepends=True))))
    with index.reading() as connection, pytest.raises(UserError, match="have changed meanwhile"):
        detail(connection, "vqa", "vqa/test/100")
