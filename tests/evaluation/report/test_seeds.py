"""Runs with several seeds stand together in every file, and no run of another setting among them."""

from __future__ import annotations

import csv
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest

from evaluation.report.models import matrix, model_tables
from evaluation.report.page import render
from evaluation.report.runs import Run
from evaluation.report.screen import tables
from evaluation.report.seeds import comparable, grouped, over, seed_tables
from evaluation.report.stream_seeds import csv_rows, stream_seed_tables
from evaluation.report.stream_tables import find_streams
from evaluation.report.tables import write_tables
from evaluation.results.seeds import over_seeds
from evaluation.results.streams import StreamFolder
from evaluation.results.summary import Measure
from tests.evaluation.report.test_latex import PAGE, PDFLATEX
from tests.evaluation.results.test_stream_summary import checkpoint, placed
from tests.pages import Reader

RELIABILITY = Measure("legacy", "reliability", "exact_match")
SKILLS = (0.5, 0.75, 1.0)
"""What share of eight edits the method gets right with each seed."""


def seeded(make_runs: Any, skills: Sequence[float] = SKILLS, **settings: Any) -> list[Run]:
    """Runs of a method with the seeds 0, 1 and so on, which its editor draws by, after the unedited one."""
    found: list[Run] = []
    for seed, skill in enumerate(skills):
        config = {"lr": 0.1, "seed": seed}
        plan = {"config": config, "seed": seed, **settings}
        unedited, good = make_runs(skills={"unedited": 0.0, "good": skill}, settings=plan)["vqa"]
        found += [unedited] if not found else []
        found.append(replace(good, name=f"good, seed {seed}"))
    return found


def test_the_mean_and_the_spread_are_of_the_edits_that_all_seeds_have(make_runs: Any) -> None:
    _, *runs = seeded(make_runs)
    found = over_seeds([run.results for run in runs], RELIABILITY)
    assert found is not None
    assert found.estimate.mean == pytest.approx(fmean(SKILLS))
    assert found.deviation == pytest.approx(stdev(SKILLS))
    assert found.estimate.low < found.estimate.mean < found.estimate.high
    # The first four are right with every seed.
    found = over_seeds([runs[0].results[:4], *(run.results for run in runs[1:])], RELIABILITY)
    assert found is not None
    assert (found.estimate.mean, found.deviation, found.estimate.edits) == (1.0, 0.0, 4)
    assert over_seeds([runs[0].results[:2], runs[1].results[2:]], RELIABILITY) is None


def test_settings_are_told_apart_and_seeds_are_not(make_runs: Any) -> None:
    other = make_runs(skills={"good": 0.5}, settings={"config": {"lr": 0.5, "seed": 7}, "seed": 7})["vqa"]
    groups = grouped([*seeded(make_runs), *other])
    assert [(group.name, group.seeds) for group in groups] == [
        ("unedited", [0]),
        ("good, lr 0.1", [0, 1, 2]),
        ("good, lr 0.5", [7]),
    ]


def test_of_two_runs_of_one_seed_none_is_a_seed_of_the_other(make_runs: Any) -> None:
    runs = seeded(make_runs)
    again = replace(runs[1], name="good, again")
    assert [len(group.runs) for group in grouped([*runs, again])] == [1] * 5


def test_methods_are_compared_seed_by_seed(make_runs: Any) -> None:
    first = seeded(make_runs)
    second = [replace(run, header=_called(run, "other")) for run in first[1:]]
    alone = make_runs(skills={"alone": 0.5})["vqa"]
    runs = [*first, *second, *alone]
    known = [(one.method, one.seed) for one in (run.header.settings for run in runs)]
    told = {(*known[i], *known[j]) for i, j in comparable(runs)}
    assert ("other", 1, "good", 1) in told
    assert ("other", 1, "good", 2) not in told
    assert ("good", 1, "good", 0) not in told
    assert ("alone", 0, "good", 2) in told
    assert ("good", 2, "unedited", 0) in told


def _called(run: Run, method: str) -> Any:
    return replace(run.header, settings=replace(run.header.settings, method=method))


def test_every_file_has_them_in_one_row(make_runs: Any, tmp_path: Path) -> None:
    runs: Any = {"vqa": seeded(make_runs)}
    files = {path.name: path.read_text() for path in write_tables(runs, tmp_path)}
    shown = "| good | 3 | 75.0 ± 25.0 ["
    assert files["tables.md"].index(shown) < files["tables.md"].index("| good, seed 0 |")
    assert r"good & \textbf{75.0}{\scriptsize\,$\pm$\,25.0} &" in files["tables.tex"]
    assert r"good, seed 0 & \textbf" not in files["tables.tex"]
    rows = list(csv.DictReader(files["seeds.csv"].splitlines()))
    (one,) = [row for row in rows if (row["kind"], row["metric"]) == ("reliability", "exact_match")]
    assert (one["method"], one["seeds"], one["mean"], one["deviation"], one["edits"]) == (
        *("good", "0 1 2", "0.75", "0.25", "8"),
    )


def test_papers_have_deviations_where_there_is_room_to_read_them(make_runs: Any, tmp_path: Path) -> None:
    runs: Any = {task: seeded(make_runs, task=task) for task in ("vqa", "caption")}
    write_tables(runs, tmp_path)
    together, alone = (tmp_path / "tables.tex").read_text().split(r"\end{table")[:2]
    assert (r"\pm" in together, "several seeds, their mean." in together) == (False, True)
    assert (r"\pm" in alone, "their mean and standard deviation." in alone) == (True, True)


def test_their_table_tells_on_how_many_edits(make_runs: Any) -> None:
    runs = seeded(make_runs)
    assert seed_tables("vqa", runs)[0].note.endswith("in percent. On 8 edits.")
    runs[-1] = replace(runs[-1], results=runs[-1].results[:5])
    assert seed_tables("vqa", runs)[0].note.endswith("in percent. On 8 edits; good on 5 to 8.")


def test_without_seeds_nothing_is_said_of_them(make_runs: Any, tmp_path: Path) -> None:
    runs = make_runs()
    assert seed_tables("vqa", runs["vqa"]) == []
    files = {path.name: path.read_text() for path in write_tables(runs, tmp_path)}
    assert "seeds.csv" not in files
    assert not any("over seeds" in text for text in files.values())


def test_the_screen_has_a_row_a_setting(make_runs: Any) -> None:
    titles = [one.table.title for one in tables({"vqa": seeded(make_runs)})]
    assert titles[:2] == [f"Visual questions, over seeds, {one} protocol" for one in ("legacy", "wild")]
    assert "Visual questions, legacy protocol" not in titles


def test_a_page_shows_the_mean_first_and_unfolds_each_seed(make_runs: Any) -> None:
    text = render({"vqa": seeded(make_runs)}).decode()
    assert text.index("75.0 ± 25.0") < text.index("Each seed by itself") < text.index("<b>good, seed 0</b>")
    assert "Over seeds" in [one.strip() for one in Reader(text.encode()).texts]


def test_the_best_mean_over_seeds_is_bold(make_runs: Any) -> None:
    poor = make_runs(skills={"poor": 0.5}, settings={"config": {"lr": 0.5}})["vqa"]
    page = str(over("vqa", [*seeded(make_runs), *poor]))
    assert '<td data-label="Rel"' in page
    assert page.count("<b>75.0 ± 25.0</b><span>") == page.count("75.0 ± 25.0") > 0
    assert "<b>50.0" not in page
    assert "<b>100.0" not in page  # The unedited model, which leaves all as it was, is no rival.


@pytest.mark.skipif(PDFLATEX is None, reason="needs pdflatex, with booktabs and graphicx")
def test_latex_takes_them(make_runs: Any, tmp_path: Path) -> None:
    write_tables({"vqa": seeded(make_runs)}, tmp_path)
    (tmp_path / "page.tex").write_text(PAGE % "twocolumn")
    command = [shutil.which("pdflatex") or "", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    assert "Overfull" not in (tmp_path / "page.log").read_text(errors="replace")


def test_streams_have_a_spread_too(make_runs: Any, tmp_path: Path) -> None:
    for seed, run in enumerate(seeded(make_runs, protocols=("legacy",))[1:]):
        folder = StreamFolder(tmp_path / f"seed-{seed}" / "vqa" / "streams" / "good")
        folder.folder.mkdir(parents=True)
        settings = replace(run.header.settings, stream=3 + seed)
        folder.write_header(replace(run.header, settings=settings))
        folder.add_online(placed(0, 0, 1.0))
        folder.add_checkpoint(checkpoint(0, 1, [seed / 2]))
    streams = find_streams([tmp_path])
    (table,) = stream_seed_tables(streams)
    (row,) = [dict(zip(table.header, row, strict=True)) for row in table.rows]
    assert (row["method"], row["edits"], row["seeds"]) == ("good", "1", "3")
    assert (row["Online"], row["Kept"], row["T-Loc"]) == ("100.0 ± 0.0", "50.0 ± 50.0", "-")
    told = [one for one in csv_rows(streams) if one[6] == "Kept"]
    assert told == [("vqa", "", "good", "0 1 2", "legacy", 1, "Kept", 0.5, 0.5)]


def two_models(make_runs: Any) -> list[Run]:
    """A method with three seeds on one model, and two methods on another, which has a dataset of its own."""
    other = {"model": "org/other", "model_digest": "9", "dataset": "theirs/dataset", "dataset_digest": "8"}
    runs = make_runs(skills={"unedited": 0.0, "good": 0.25, "poor": 0.5}, settings=other)["vqa"]
    return [*seeded(make_runs), *(replace(run, name=f"{run.name}, other") for run in runs)]


def test_models_and_methods_make_a_matrix(make_runs: Any, tmp_path: Path) -> None:
    runs = two_models(make_runs)
    table = model_tables("vqa", runs)[0]
    assert table.title == "Visual questions, legacy protocol: Rel by model"
    assert table.header == ("method", "model", "other")
    cells = [[cell.partition(" [")[0] for cell in row] for row in table.rows]
    assert cells == [
        ["unedited", "0.0", "0.0"],
        ["good", "75.0 ± 25.0", "25.0"],
        ["poor", "-", "50.0"],
    ]
    files = {path.name: path.read_text() for path in write_tables({"vqa": runs}, tmp_path)}
    assert "Rel by model" in files["tables.md"]
    assert "Rel by model" in files["tables.tex"]
    text = render({"vqa": runs}).decode()
    assert "Models and methods" in text
    assert 'title="good, model: 75.0 (95% interval' in text
    assert 'title="poor, model: not run"' in text


def test_one_model_is_no_matrix(make_runs: Any) -> None:
    assert matrix("vqa", seeded(make_runs)) is None
    assert "Models and methods" not in render({"vqa": seeded(make_runs)}).decode()


def test_a_model_on_two_datasets_has_a_column_for_each(make_runs: Any) -> None:
    third = {"model": "org/other", "model_digest": "9", "dataset": "mine/dataset", "dataset_digest": "7"}
    more = make_runs(skills={"good": 1.0}, settings=third)["vqa"]
    found = matrix("vqa", [*two_models(make_runs), *more])
    assert found is not None
    assert list(found.models) == ["model", "other, theirs", "other, mine"]
