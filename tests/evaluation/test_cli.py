from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from editors import EDITORS
from evaluation.cli import app
from evaluation.tracing.records import Settings, begin
from mmedit_build.errors import UserError
from mmedit_build.miniature.sources import write_sources


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["base", "--device", "cpu", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_base_asks_the_bundled_model_about_the_miniature(tmp_path: Path) -> None:
    output = invoke("--out", str(tmp_path), "--limit", "60")
    rows = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert len(rows) == 60
    # The bundled model has learned the world: a tenth would be chance, its bar is 70%.
    assert sum(row["accuracy"] for row in rows) / 60 > 0.5
    assert f"Picture: {tmp_path / 'answers.png'}" in output
    assert "VQA accuracy (official)" in output
    with Image.open(tmp_path / "answers.png") as picture:
        assert picture.width > 500


def test_base_takes_the_files_of_the_user(tmp_path: Path) -> None:
    sources = write_sources(tmp_path / "mine", train_images=1, val_images=2)
    invoke(
        *("--questions", str(sources.vqa_questions("val2014"))),
        *("--annotations", str(sources.vqa_annotations("val2014"))),
        *("--images", str(sources.image_folder("val2014"))),
        *("--out", str(tmp_path / "out")),
    )
    assert len((tmp_path / "out" / "answers.jsonl").read_text().splitlines()) == 10
    assert not (tmp_path / "out" / "sources").exists()


def test_files_come_together_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="together"):
        invoke("--images", str(tmp_path))


def test_an_unknown_model_is_told_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'miniature/mllm'"):
        invoke("--model", "miniature/mlm", "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    sources = write_sources(tmp_path / "mine", train_images=1, val_images=1)
    (image,) = sources.image_folder("val2014").iterdir()
    image.write_bytes(b"not an image")
    with pytest.raises(UserError, match=image.name):
        invoke(
            *("--questions", str(sources.vqa_questions("val2014"))),
            *("--annotations", str(sources.vqa_annotations("val2014"))),
            *("--images", str(sources.image_folder("val2014"))),
            *("--out", str(tmp_path / "out")),
        )


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_methods_are_judged_and_reported(dataset: Path, tmp_path: Path) -> None:
    output = run(
        *("--method", "oracle", "--dataset", str(dataset), "--task", "vqa", "--limit", "2"),
        *("--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache"), "--device", "cpu"),
    )
    assert "Visual questions, wild protocol" in output
    assert f"Results: {tmp_path / 'out'}" in output
    lines = (tmp_path / "out" / "vqa" / "oracle" / "results.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["vqa/test/100", "vqa/test/101"]
    output = run("report", str(tmp_path / "out"))
    assert f"CSV: {tmp_path / 'out' / 'scores.csv'}" in output
    assert "| oracle | 100.0 [34.2, 100.0] |" in (tmp_path / "out" / "tables.md").read_text()


def test_a_protocol_can_be_left_out(dataset: Path, tmp_path: Path) -> None:
    output = run(
        *("--method", "oracle", "--dataset", str(dataset), "--task", "vqa", "--limit", "1"),
        *("--protocol", "legacy", "--device", "cpu"),
        *("--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")),
    )
    assert "legacy protocol" in output
    assert "wild protocol" not in output


def test_list_is_a_screen_of_methods() -> None:
    output = run("list")
    # By their families, in the order in which reports have them.
    places = [output.index(word) for word in ("fine-tuning", "memory", "meta-learning", "locate and edit")]
    assert places == sorted(places)
    assert [name for name in (*EDITORS, "unedited") if name not in output] == []
    assert len(output.splitlines()) < 45


@pytest.mark.parametrize(
    ("topic", "shown"),
    [
        ("mend", ["rates_lr", "Learning rate of these rates"]),
        (
            "models",
            [
                "miniature/mllm",
                "miniature/qwen",
                "any of type blip-2",
                "blip-2-opt.yaml",
                "blip-2-llama.yaml",
            ],
        ),
        ("scores", ["token accuracy", "CIDEr-D"]),
    ],
)
def test_list_shows_one_thing_alone(topic: str, shown: list[str]) -> None:
    output = run("list", topic)
    for word in ("rates_lr", "weight_decay", "miniature/mllm", "token accuracy"):
        assert (word in output) is (word in shown)
    assert all(word in output for word in shown)


def test_list_as_json() -> None:
    assert list(json.loads(run("list", "--json"))) == list(EDITORS)
    (one,) = json.loads(run("list", "rome", "--json")).values()
    assert one["family"] == "locate and edit"
    assert {"name": "layer", "default": 2} in [
        {key: option[key] for key in ("name", "default")} for option in one["options"]
    ]


def test_several_edits_at_once_have_a_folder_for_each_number(dataset: Path, tmp_path: Path) -> None:
    output = run(
        *("--method", "ft", "--dataset", str(dataset), "--task", "vqa", "--limit", "3", "--at-once", "1,2"),
        *("--protocol", "legacy", "--device", "cpu"),
        *("--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")),
    )
    assert "several edits at once" in output
    assert {path.name for path in (tmp_path / "out" / "vqa").iterdir()} == {"unedited", "ft", "ft@2"}


def test_fit_tells_when_there_is_nothing_to_learn(dataset: Path, tmp_path: Path) -> None:
    output = run("fit", "--method", "ft", "--dataset", str(dataset), "--cache", str(tmp_path))
    assert "ft: nothing to learn." in output


def test_fit_learns_for_the_seed_that_is_given(dataset: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("methods: {rome: {options: {samples: 2, prefix_count: 0}}}")
    some = ["fit", "--config", str(file), "--dataset", str(dataset), "--task", "vqa", "--device", "cpu"]
    some += ["--cache", str(tmp_path / "cache")]
    assert ["Had" in run(*some, *seed) for seed in ([], ["--seed", "1"], ["--seed", "0"])] == [
        False,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--method", "sera"], "no method 'sera'; did you mean"),
        (["--method", "ft", "--task", "vga"], "no task 'vga'; did you mean 'vqa'"),
        (["--method", "ft", "--protocol", "legacy,wide"], "no protocol 'wide'; did you mean 'wild'"),
        (["--method", "ft", "--dataset", "/none"], "/none does not exist"),
        (["--limit", "3"], "Name a method with --method"),
        (["--method", " , "], "Name a method with --method"),
        (["--method", "all,sera"], "no method 'sera'; did you mean"),
        (["--method", "ft", "base"], "Give --method after the command base"),
        (["--seed", "1", "list"], "Give --seed after the command list"),
        (["list", "mned"], "There is no method 'mned'; did you mean 'mend'?"),
        (["fit"], "Name a method with --method"),
        (["report", ""], "'' cannot be a name or a path"),
        (["report", ".", "--out", "n" * 256], "too long"),
        (["--method", "ft", "--out", ""], "'' cannot be a name or a path"),
        (["--method", "ft", "--cache", "n" * 256], "too long"),
        (["--method", "ft", "--config", "n" * 256], "too long"),
        (["trace", "--out", "n" * 256], "too long"),
        (["base", "--out", "n" * 256], "too long"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(arguments: list[str], told: str) -> None:
    with pytest.raises(UserError, match=told):
        CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_what_can_be_done_is_reported_before_a_failure_is_told(dataset: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"methods: {{oracle: {{}}, ike: {{options: {{encoder: {tmp_path}/none}}}}}}")
    arguments = ["--config", str(file), "--dataset", str(dataset), "--task", "vqa", "--limit", "2"]
    arguments += ["--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache"), "--device", "cpu"]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, UserError)
    assert str(result.exception).startswith("All is done but ike for vqa: ")
    assert f"Page: {tmp_path / 'out' / 'report.html'}" in result.stdout
    assert "| oracle | 100.0 [34.2, 100.0] |" in (tmp_path / "out" / "tables.md").read_text()


def test_a_report_covers_all_that_stands_in_its_folder(dataset: Path, tmp_path: Path) -> None:
    out, cache = tmp_path / "out", tmp_path / "cache"
    some = ["--dataset", str(dataset), "--task", "vqa", "--device", "cpu", "--out", str(out)]
    some += ["--cache", str(cache), "--protocol", "legacy"]
    settings = Settings(
        model="m",
        model_digest="1",
        dataset="d",
        dataset_digest="2",
        layers=2,
        window=1,
        noise=3.0,
        samples=1,
        seed=0,
        guess="content",
        subjects={},
    )
    begin(out / "traced", settings)
    run("--method", "oracle", "--limit", "2", *some)
    output = run("--method", "ft", "--limit", "2", "--at-once", "1,2", *some)
    page = (out / "report.html").read_text()
    assert "Causal tracing" in page
    papers = {"unedited": "Unedited", "oracle": "Oracle", "ft": "FT", "ft@2": "FT@2"}
    for name, called in papers.items():
        assert f"| {name} |" in (out / "tables.md").read_text()
        assert f"\n{called} &" in (out / "tables.tex").read_text()
        assert f"vqa,{name}," in (out / "scores.csv").read_text()
        assert f"<b>{name}</b>" in page
        assert name in output
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    file = tmp_path / "mine.yaml"
    file.write_text("methods: {ft: {options: {steps: 1}}}")
    with pytest.raises(UserError, match=r"config\.steps was .* and is now 1"):
        run("--config", str(file), "--limit", "3", *some)
    with pytest.raises(UserError, match="at once"):
        run("--method", "oracle", "--at-once", "2", "--limit", "4", *some)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("name", "told"), [("", "it is empty"), ("nowhere", "There is no folder 'nowhere'; give folders")]
)
def test_a_folder_that_is_not_there_has_no_report(name: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=told):
        run("report", str(tmp_path), name)


def test_a_wrong_model_is_told_with_the_nearest(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'miniature/mllm'"):
        run(
            *("--method", "ft", "--model", "miniature/mlm", "--dataset", str(dataset)),
            *("--out", str(tmp_path / "out")),
        )


def test_a_folder_that_takes_no_results_is_told_before_questions_are_read(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    missing = str(tmp_path / "none.json")
    with pytest.raises(UserError, match="not a folder"):
        invoke(
            *("--questions", missing, "--annotations", missing, "--images", missing),
            *("--model", str(tmp_path), "--out", str(tmp_path / "out")),
        )
    assert (tmp_path / "out").read_text() == "mine"
