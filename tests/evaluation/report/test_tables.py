from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.data.cases import Kind
from evaluation.report.latex import latex
from evaluation.report.numbers import difference_rows
from evaluation.report.runs import Run, find_runs
from evaluation.report.screen import tables
from evaluation.report.tables import main_table, main_tables, type_tables, write_tables
from evaluation.results.records import CaseResult, ProbeResult, ResultFolder, RunResult, Settings
from mmedit_build.rows import Relation, Task


def probe(kind: Kind, score: float, relation: Relation | None = None) -> ProbeResult:
    legacy = {"top1": score, "top10": score} if relation else {"exact_match": score, "token_accuracy": score}
    wild = {"unchanged": score, "kl": 1 - score} if relation else {"match": score, "consensus": score}
    return ProbeResult(
        kind=kind,
        relation=relation,
        prompt="",
        target="",
        before="",
        after="",
        log_prob_before=0.0,
        log_prob_after=0.0,
        target_tokens=1,
        written_tokens=1,
        scores={"legacy": legacy, "wild": wild},
    )


def write(folder: Path, method: str, task: Task, right: float, model: str = "m") -> None:
    settings = Settings(
        method=method,
        config={},
        model=model,
        model_digest=model,
        dataset="d",
        dataset_digest="2",
        task=task,
        split="test",
        protocols=("legacy", "wild"),
        prompts="family",
        seed=0,
    )
    place = ResultFolder(folder)
    folder.mkdir(parents=True)
    header = RunResult(settings=settings, fit_seconds=2.5, peak_bytes=10**9, skipped={"50% | broken": 1})
    place.begin(header)
    for number in range(4):
        probes = (
            probe("reliability", float(number < 4 * right)),
            probe("text_locality", 1.0, "far"),
            probe("image_locality", right, "far"),
            probe("image_locality", 0.5, "same_image"),
        )
        place.add(
            CaseResult(
                id=str(number),
                task=task,
                image_id=str(number),
                question="",
                question_type="color" if number % 2 else "count",
                target="",
                probes=probes,
                plan_seconds=0.5,
                probe_seconds=0.25,
                changed=1234,
            )
        )
    place.add(
        CaseResult(
            id="x",
            task=task,
            image_id="x",
            question="",
            question_type="color",
            target="",
            skipped="50% | broken",
        )
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for task in ("vqa", "caption"):
        write(tmp_path / task / "unedited", "unedited", task, 0.0)
        write(tmp_path / task / "ft_a", "ft_a", task, 0.5)
        write(tmp_path / task / "mend", "mend", task, 1.0)
    return tmp_path


def test_the_main_table_has_a_row_for_each_method(folder: Path) -> None:
    runs = find_runs([folder])
    table = main_table("vqa", "legacy", runs["vqa"])
    assert table.header == ("method", "Rel", "T-Gen", "I-Gen", "T-Loc", "I-Loc", "I-Loc near")
    assert [row[0] for row in table.rows] == ["unedited", "ft_a", "mend"]
    assert table.rows[1][1:] == (
        *("50.0 [13.0, 87.0]", "-", "-"),
        *("100.0 [51.0, 100.0]", "50.0 [29.9, 70.1]", "50.0 [29.9, 70.1]"),
    )
    assert table.note.startswith("Rel, T-Gen, I-Gen: exact match; T-Loc: top-1; I-Loc, I-Loc near: top-10.")


def test_the_main_table_tells_on_how_many_edits(folder: Path) -> None:
    """A card has these tables and nothing else of the report; the one that was skipped does not count."""
    unedited, ft, mend = find_runs([folder])["vqa"]
    assert main_table("vqa", "legacy", [unedited, ft, mend]).note.endswith("intervals. On 4 edits.")
    shorter = replace(mend, results=[one for one in mend.results if one.id != "0"])
    note = main_table("vqa", "wild", [unedited, ft, shorter]).note
    assert note.endswith("On 4 edits; mend on 3.")


def test_portability_has_columns_where_any_run_has_it(folder: Path) -> None:
    first, second, third = find_runs([folder])["vqa"]
    hop = replace(probe("portability", 0.0), relation="2-hop", known=True)
    asked = [
        replace(one, probes=(*one.probes, replace(hop, known=number < 2)))
        for number, one in enumerate(third.results)
        if one.scored
    ]
    runs = [first, second, replace(third, results=asked)]
    with_port = ("method", "Rel", "T-Gen", "I-Gen", "Port", "Port known", "T-Loc", "I-Loc", "I-Loc near")
    table = main_table("vqa", "wild", runs)
    assert table.header == with_port
    assert [row[4:6] for row in table.rows[:2]] == [("-", "-")] * 2
    assert table.rows[2][4:6] == ("0.0 [0.0, 49.0]", "0.0 [0.0, 65.8]")
    titles = {one.title for one in type_tables("vqa", "wild", runs)}
    assert {f"Visual questions, wild: {name} by question type" for name in ("Port", "Port known")} <= titles
    assert not any("Port" in one.title for one in type_tables("vqa", "wild", [first, second]))
    # What nobody knew beforehand has no column.
    unknown = [
        replace(one, probes=tuple(replace(probe, known=None) for probe in one.probes)) for one in asked
    ]
    without = main_table("vqa", "legacy", [replace(third, results=unknown)])
    assert without.header == tuple(name for name in with_port if name != "Port known")


def test_tasks_and_protocols_are_never_mixed(folder: Path) -> None:
    titles = [table.title for table in main_tables(find_runs([folder]))]
    assert titles == [
        *("Visual questions, legacy protocol", "Visual questions, wild protocol"),
        *("Captions, legacy protocol", "Captions, wild protocol"),
    ]


def test_the_files_hold_every_number(folder: Path) -> None:
    paths = write_tables(find_runs([folder]), folder / "report")
    assert [path.name for path in paths] == ["tables.md", "tables.tex", "scores.csv", "differences.csv"]
    with (folder / "report" / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    chosen = [
        row for row in rows if (row["task"], row["method"], row["metric"]) == ("vqa", "ft_a", "exact_match")
    ]
    assert [(row["question_type"], row["mean"], row["edits"]) for row in chosen] == [
        *(("all", "0.5", "4"), ("color", "0.5", "2"), ("count", "0.5", "2")),
    ]
    assert {row["relation"] for row in rows if row["kind"] == "image_locality"} == {
        "far",
        "near",
        "same_image",
    }
    with (folder / "report" / "differences.csv").open() as file:
        pairs = [
            (row["method"], row["minus"], row["mean"])
            for row in csv.DictReader(file)
            if (row["task"], row["metric"]) == ("vqa", "exact_match")
        ]
    assert pairs == [("ft_a", "unedited", "0.5"), ("mend", "unedited", "1.0"), ("mend", "ft_a", "0.5")]


def test_edits_of_other_datasets_are_not_paired(folder: Path) -> None:
    runs = find_runs([folder])["vqa"]
    settings = replace(runs[2].header.settings, dataset_digest="other")
    other = replace(runs[2], header=replace(runs[2].header, settings=settings))
    pairs = {(row[1], row[2]) for row in difference_rows({"vqa": [*runs[:2], other]})}
    assert pairs == {("ft_a", "unedited")}


def test_the_page_tells_costs_types_and_skips(folder: Path) -> None:
    write_tables(find_runs([folder]), folder)
    page = (folder / "tables.md").read_text()
    assert "## Visual questions, legacy: Rel by question type" in page
    assert "| mend | 4 | 1 | 2.5 | 0.500 | 0.0625 | 1000 | 1,234 |" in page
    assert r"- Captions, mend: 1 skipped because: 50% | broken" in page
    for line in page.splitlines():
        if line.startswith("|"):
            assert line.endswith("|")


def test_latex_escapes_what_it_must(folder: Path) -> None:
    text = latex(main_table("vqa", "wild", find_runs([folder])["vqa"]))
    assert r"ft\_a & 50.0 [13.0, 87.0] & - & -" in text
    assert text.count(r"\\") == 4
    assert r"\begin{tabular}{lrrrrrr}" in text


def test_the_terminal_shows_a_table_for_each_task_and_protocol_and_the_costs(folder: Path) -> None:
    runs: dict[Task, list[Run]] = find_runs([folder])
    assert [one.table.title for one in tables(runs)][-2:] == ["Visual questions: cost", "Captions: cost"]
    assert all(len(one.table.rows) == 3 for one in tables(runs))
