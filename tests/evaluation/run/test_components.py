from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from editors import EDITORS, load_editor
from evaluation.cli import app
from evaluation.results.records import read_header
from evaluation.run.components import by_part, method_and_part
from evaluation.run.experiment import PARTS, Method, choose, make_experiment
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM


def test_each_method_is_judged_on_each_part() -> None:
    quick = {"quick": Method(editor="mend", options={"steps": 3, "part": "language"}), "ft": Method()}
    made, left_out = by_part(quick, ("vision", "language"))
    assert list(made) == ["quick on vision", "quick on language", "ft on vision", "ft on language"]
    assert made["quick on vision"] == Method(editor="mend", options={"steps": 3, "part": "vision"})
    assert made["ft on vision"].options["part"] == "vision"
    assert made["ft on language"].options["part"] == "mlp.-1"
    assert left_out == []
    assert [method_and_part(name) for name in made] == [
        *(("quick", "vision"), ("quick", "language"), ("ft", "vision"), ("ft", "language")),
    ]


def test_of_all_methods_those_run_that_can_be_told_and_the_others_are_named() -> None:
    made, left_out = by_part(choose("all", {}), PARTS)
    applicable = ("ft", "ft-dataset", "ft-l", "ke", "mend")
    assert set(made) == {f"{name} on {part}" for name in applicable for part in PARTS}
    assert set(left_out) == set(EDITORS) - {*applicable, "oracle"}
    for name, method in made.items():
        assert load_editor(method.editor or name, method.options)


def test_the_options_are_parts_of_a_model(mllm: MLLM) -> None:
    for method in by_part({"ft": Method()}, PARTS)[0].values():
        assert mllm.part(method.options["part"])


@pytest.mark.parametrize("name", ["ft", "unedited", "my method on fire", " on vision", "mend on vision (2)"])
def test_other_names_are_of_no_part(name: str) -> None:
    assert method_and_part(name) is None


def test_parts_are_named_as_a_list_or_in_words(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("parts: [vision, connector]")
    assert make_experiment(file, {}).parts == ("vision", "connector")
    assert make_experiment(file, {"parts": "language, vision,language"}).parts == ("language", "vision")
    with pytest.raises(UserError, match="no part of a model 'conector'; did you mean 'connector'"):
        make_experiment(None, {"parts": "vision,conector"})


def test_methods_that_cannot_be_told_are_refused_where_there_is_no_other() -> None:
    with pytest.raises(UserError, match=r"ike, rome cannot be told .* are ft, ft-dataset, ft-l, ke, mend"):
        by_part({"ike": Method(), "rome": Method()}, PARTS)


def test_the_command_runs_each_part_and_reports_them(dataset: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("methods: {mend: {options: {steps: 2, batch_size: 2}}, ft: {options: {steps: 2}}}")
    shared = ["--config", str(file), "--method", "mend,ft,rome", "--dataset", str(dataset), "--task", "vqa"]
    shared += ["--device", "cpu", "--cache", str(tmp_path / "cache")]
    study = [*shared, "--part", "connector,language", "--limit", "2", "--out", str(tmp_path / "out")]
    runs = tmp_path / "out" / "vqa"

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    output = run(*study)
    assert "Left out, as they cannot be told which part to edit: rome." in output
    assert {folder.name for folder in runs.iterdir()} == {
        *("unedited", "mend on connector", "mend on language", "ft on connector", "ft on language"),
    }
    assert read_header(runs / "mend on connector").settings.config["part"] == "connector"
    assert "Vision, connector or language" in (tmp_path / "out" / "report.html").read_text()
    lines = (runs / "mend on connector" / "results.jsonl").read_bytes()
    run(*study)
    assert (runs / "mend on connector" / "results.jsonl").read_bytes() == lines
    # What was learned for the study is the same as what the method learns by itself.
    assert "Had learned in" in run("fit", *shared)
