from __future__ import annotations

from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmedit_build.errors import UserError
from mmedit_build.recipe import HubFacts
from mmedit_build.sources.hub import FACT, Table, read_hub_facts, texts

pytestmark = pytest.mark.usefixtures("_own_cache")

FACTS = datasets.Features(
    {"question": datasets.Value("string"), "answer": datasets.List(datasets.Value("string"))}
)
"""The columns of nq_open."""


def facts(folder: Path, questions: list[str], answers: list[list[str]]) -> HubFacts:
    folder.mkdir()
    rows = datasets.Dataset.from_dict({"question": questions, "answer": answers}, features=FACTS)
    rows.to_parquet(folder / "validation-00000-of-00001.parquet")
    return HubFacts(kind="hub", dataset=str(folder))


def test_facts_are_read_as_they_are(tmp_path: Path) -> None:
    source = facts(
        tmp_path / "nq_open", ["who wrote dune", "no one knows"], [["Herbert", "Frank Herbert"], []]
    )
    (fact,) = read_hub_facts(source)
    assert fact.place == "validation/0"
    assert fact.question == "who wrote dune"
    assert fact.answers == ("Herbert", "Frank Herbert")


def test_an_unknown_schema_is_told_with_the_columns_found_and_wanted(tmp_path: Path) -> None:
    source = facts(tmp_path / "nq_open", ["who"], [["me"]])
    with pytest.raises(UserError, match=r"has no column cocoid or id, only question, answer; .*"):
        Table(source, FACT).need("cocoid", "id")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"split": "test"}, r"Unknown split .test.\. Should be one of \['validation'\]"),
        ({"config": "other"}, r"'other' not found"),
        ({"dataset": "nobody/has-this"}, "Couldn't reach|doesn't exist"),
    ],
)
def test_what_cannot_be_loaded_is_told_in_one_line(
    tmp_path: Path, change: dict[str, str], reason: str
) -> None:
    source = facts(tmp_path / "nq_open", ["who"], [["me"]]).model_copy(update=change)
    with pytest.raises(UserError, match=f"Cannot load the dataset .*{reason}") as caught:
        Table(source, FACT)
    assert "\n" not in str(caught.value)


def test_a_truncated_file_is_told(tmp_path: Path) -> None:
    source = facts(tmp_path / "nq_open", ["who"], [["me"]])
    (path,) = Path(source.dataset).iterdir()
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UserError, match="Cannot load the dataset"):
        Table(source, FACT)


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("a", ["a"]),
        (["a", "b"], ["a", "b"]),
        ([{"raw": "a"}, {"raw": "b"}], ["a", "b"]),
        ({"raw": ["a", "b"], "tokens": [["x"]]}, ["a", "b"]),
        ({"raw": "a", "tokens": ["x"]}, ["a"]),
        (None, []),
        ([None, {"tokens": 3}], []),
    ],
)
def test_texts_are_found_in_all_layouts(cell: object, found: list[str]) -> None:
    assert texts(cell, "raw") == found


@pytest.mark.parametrize("cell", [3, [None, 3], [{"raw": 3}]])
def test_what_is_no_text_is_refused(cell: object) -> None:
    with pytest.raises(TypeError):
        texts(cell, "raw")


def test_text_that_is_none_is_told(tmp_path: Path) -> None:
    source = facts(tmp_path / "nq_open", ["who wrote dune", "no one knows"], [["Herbert"], ["Ada"]])
    file = next(Path(source.dataset).glob("*.parquet"))
    table = pq.read_table(file)
    broken = pa.array([b"who wrote \xff", b"no one knows"], pa.binary()).view(pa.string())
    pq.write_table(table.set_column(0, "question", broken), file)
    with pytest.raises(UserError, match="text that is not UTF-8"):
        read_hub_facts(source)
