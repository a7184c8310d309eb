from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaluation.data.dataset import load_cases
from evaluation.report.runs import find_runs
from evaluation.results.records import LINES, read_results
from evaluation.results.summary import estimated
from evaluation.viewing import filling
from evaluation.viewing import index as indexing
from evaluation.viewing.detail import detail
from evaluation.viewing.index import make_index
from evaluation.viewing.titles import about, of_key, overview
from mmedit_build.console import silent
from mmedit_build.errors import UserError
from mmedit_build.pages.index import Index
from tests.evaluation.viewing.conftest import make_run


def counted(index: Index, table: str) -> int:
    with index.reading() as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_every_case_is_in_it_and_means_are_those_of_reports(index: Index) -> None:
    assert (counted(index, "runs"), counted(index, "edits"), counted(index, "cases")) == (3, 4, 12)
    with index.reading() as connection:
        rows = connection.execute("SELECT name, folder, means FROM runs ORDER BY place").fetchall()
    assert [row["name"] for row in rows] == ["unedited", "ft", "ike"]
    for row in rows:
        _, lines = read_results(Path(row["folder"]))
        means = json.loads(row["means"])
        assert means["wild.text_generality.match."][0] == {"unedited": 0, "ft": 0.25, "ike": 0.5}[row["name"]]
        for name, found in means.items():
            told = estimated(lines, of_key(name))
            assert told is not None
            assert found == [told.mean, told.low, told.high, told.edits]


def test_only_what_has_changed_is_read_anew(
    index: Index, results: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled: list[str] = []
    real = filling.fill_run

    def fill(run: Any, *rest: Any) -> None:
        filled.append(Path(run.folder).name)
        real(run, *rest)

    monkeypatch.setattr(indexing, "fill_run", fill)
    make_index([results], tmp_path / "cache", None, silent)
    assert filled == []
    lines = results / "vqa" / "ft" / LINES
    lines.write_bytes(b"".join(lines.read_bytes().splitlines(keepends=True)[:3]))
    make_run(results / "vqa" / "second", "ike", load_cases(str(dataset), "vqa"), dataset, model="other")
    make_index([results], tmp_path / "cache", None, silent)
    assert filled == ["ft", "second"]
    assert counted(index, "cases") == 4 + 3 + 4 + 4
    for path in (results / "vqa" / "ft").iterdir():
        path.unlink()
    make_index([results], tmp_path / "cache", None, silent)
    assert counted(index, "cases") == 4 + 4 + 4


def test_what_is_killed_goes_on_after_the_last_whole_run(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = filling.fill_run

    def fill(run: Any, *rest: Any) -> None:
        real(run, *rest)
        if run.folder.endswith("ike"):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(indexing, "fill_run", fill)
        with pytest.raises(KeyboardInterrupt):
            make_index([results], tmp_path / "cache", None, silent)
    (path,) = tmp_path.rglob("index.sqlite")
    half = Index(path.parent, (), ())
    assert (counted(half, "runs"), counted(half, "cases")) == (1, 4)
    assert counted(make_index([results], tmp_path / "cache", None, silent), "cases") == 12


def test_a_broken_index_is_made_anew(index: Index, results: Path, tmp_path: Path) -> None:
    index.path.write_bytes(b"no index")
    assert counted(make_index([results], tmp_path / "cache", None, silent), "cases") == 12


def test_the_last_of_several_results_of_an_edit_counts(index: Index, results: Path, tmp_path: Path) -> None:
    lines = results / "vqa" / "ft" / LINES
    first = lines.read_bytes().splitlines(keepends=True)[0]
    lines.write_bytes(lines.read_bytes() + first.replace(b'"match":1.0', b'"match":0.0'))
    make_index([results], tmp_path / "cache", None, silent)
    with index.reading() as connection:
        means = json.loads(connection.execute("SELECT means FROM runs WHERE name = 'ft'").fetchone()[0])
    assert means["wild.reliability.match."][0] == 0
    assert counted(index, "cases") == 12


def test_folders_without_results_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There are no results"):
        make_index([tmp_path], tmp_path / "cache", None, silent)


def shown(index: Index) -> list[str]:
    with index.reading() as connection:
        return [run["name"] for run in about(connection)["runs"]]


def test_the_very_same_run_is_there_once_as_in_reports(results: Path, dataset: Path, tmp_path: Path) -> None:
    cases = load_cases(str(dataset), "vqa")
    for method in ("unedited", "ft"):
        make_run(tmp_path / "more" / "vqa" / method, method, cases, dataset)
    make_run(tmp_path / "seed-1" / "vqa" / "unedited", "unedited", cases, dataset, seed=1)
    # One was stopped, the other came to something else.
    for folder, change in (("stopped", b'"match":1.0'), ("other", b'"match":0.0')):
        lines = make_run(tmp_path / folder / "vqa" / "ike", "ike", cases, dataset) / LINES
        first, second, *_ = lines.read_bytes().splitlines(keepends=True)
        lines.write_bytes(first.replace(b'"match":1.0', change) + second)
    folders = [results, tmp_path / "more", tmp_path / "seed-1", tmp_path / "stopped", tmp_path / "other"]
    index = make_index(folders, tmp_path / "cache", None, silent)
    assert shown(index) == [run.name for run in find_runs(folders)["vqa"]]
    assert shown(index)[:2] == ["unedited", "ft"]
    assert len(shown(index)) == 4
    with index.reading() as connection:
        (part,) = detail(connection, "vqa", cases[0].id)["parts"]
        assert [len(table["rows"]) for table in overview(connection, "vqa")] == [4, 4]
    assert len(part["runs"]) == 4
    # What was held by another one comes back when that one goes.
    assert shown(make_index(folders[1:3], tmp_path / "cache", None, silent)) == ["unedited", "ft"]
