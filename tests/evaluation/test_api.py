"""Editing and evaluating from Python."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from editors.api import edit
from editors.base import Edit
from evaluation.api import Results, evaluate, train_edits
from evaluation.cli import app
from evaluation.data.cases import Case
from evaluation.data.probes import edit_of
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM


@pytest.fixture
def wish(cases: list[Case], mllm: MLLM) -> Edit:
    return edit_of(cases[0], mllm, "family")


def test_a_model_is_edited_inside_the_block_and_no_longer(mllm: MLLM, wish: Edit) -> None:
    before = mllm.generate([wish.query])
    with edit(mllm, wish, options={"steps": 60, "lr": 1e-3}) as model:
        assert model.generate([wish.query]) == [wish.target]
    assert mllm.generate([wish.query]) == before != [wish.target]


def test_a_method_that_learns_learns_first(mllm: MLLM, wish: Edit, dataset: Path, tmp_path: Path) -> None:
    train = train_edits(mllm, str(dataset))
    options = {"steps": 2, "batch_size": 2}
    for _ in range(2):
        with edit(mllm, [wish], "mend", options=options, train=train, cache=tmp_path) as model:
            assert model.generate([wish.query])
    assert len(list((tmp_path / "fitted").glob("mend-*.safetensors"))) == 1
    with pytest.raises(UserError, match="mend learns from other edits"), edit(mllm, wish, "mend"):
        pass


@pytest.fixture
def results(dataset: Path, tmp_path: Path) -> Results:
    return evaluate(
        "ft,oracle", dataset=str(dataset), task="vqa", out=tmp_path / "out", cache=tmp_path, device="cpu"
    )


def test_results_come_as_objects_and_as_frames(results: Results, tmp_path: Path) -> None:
    assert [run.name for run in results.runs["vqa"]] == ["unedited", "ft", "oracle"]
    scores = results.scores()
    right = scores[
        (scores.method == "oracle") & (scores.kind == "reliability") & (scores.question_type == "all")
    ]
    assert set(right[right.protocol == "legacy"]["mean"]) == {1.0}
    probes = results.probes()
    assert len(probes) == sum(len(one.probes) for run in results.runs["vqa"] for one in run.results)
    asked = probes[(probes.run == "oracle") & (probes.kind == "reliability")]
    assert list(asked["after"]) == list(asked["target"])
    assert set(asked["legacy_exact_match"]) == {1.0}
    again = Results.read(str(tmp_path / "out")).probes()
    assert again.equals(probes)


def test_the_command_writes_the_same_table(results: Results, tmp_path: Path) -> None:
    file = tmp_path / "all.parquet"
    done = CliRunner().invoke(app, ["export", str(tmp_path / "out"), "--out", str(file)])
    assert done.exit_code == 0, done.output
    assert pq.read_table(file).to_pandas().equals(results.probes())


def test_a_method_that_cannot_run_is_told(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no method 'no-such'"):
        evaluate("no-such", dataset=str(dataset), out=tmp_path / "out")
