"""What a later stage needs is looked at before the first one begins, and all faults are told at once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from mmedit_build.build import Build, finish
from mmedit_build.choosing import check_chosen, choice, overwriting
from mmedit_build.cli import app
from mmedit_build.console import silent
from mmedit_build.engine.shards import Tally
from mmedit_build.errors import UserError, sentence
from mmedit_build.preflight import check_ready, pending
from mmedit_build.recipe import Recipe
from mmedit_build.recipe.loading import bundled, load_recipe
from mmedit_build.steps import extend, publish
from mmedit_build.work import STAGES, Work
from tests.mmedit_build.conftest import MakeEdit

KEY = "MMEDIT_TEST_KEY_THAT_IS_NOT_SET"


def changed(place: str, value: Any) -> Recipe:
    """The miniature's recipe with another value in one place."""
    content: Any = load_recipe().model_dump(mode="json")
    *steps, last = place.split(".")
    section = content
    for step in steps:
        section = section[int(step)] if step.isdecimal() else section[step]
    section[int(last) if last.isdecimal() else last] = value
    return Recipe.model_validate(content)


def fault(recipe: Recipe, folder: Path, first: str = "mine") -> str:
    with pytest.raises(UserError) as raised:
        check_ready(Build(recipe, Work(folder / "work"), silent), first)
    assert not (folder / "work").exists()
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("name", [name for name in bundled() if load_recipe(name).draw is None])
def test_a_recipe_for_real_data_tells_the_files_that_are_not_there(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = fault(load_recipe(name), tmp_path)
    assert "There is no file data/vqa/v2_OpenEnded_mscoco_val2014_questions.json" in told
    assert "There is no file data/coco/annotations/captions_val2014.json" in told
    assert sentence(UserError(told)) == told, "Of many faults none is cut."


def test_the_miniature_lacks_nothing(tmp_path: Path) -> None:
    check_ready(Build(load_recipe(), Work(tmp_path / "work"), silent), "mine")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        ("base.model", "nobody/knows", "Cannot load a model from 'nobody/knows'"),
        ("base.device", "cuda:99", "'cuda:99' is not available"),
        ("sources.vqa.0.images", "{sources}/pictures", "nothing that `draw` makes"),
        ("sources.captions.0.annotations", "data/captions.json", "There is no file data/captions.json"),
        ("rephrase.model.model", "nobody/knows", "Cannot load a chat model from 'nobody/knows'"),
        ("rephrase.prompt", "rephrases", "There is no prompt 'rephrases'"),
        ("rephrase.model", {"kind": "endpoint", "model": "m", "key_variable": KEY}, KEY),
        ("rephrase.judge", {"kind": "endpoint", "model": "m", "base_url": "ftp://x"}, "must look like http"),
        ("rephrase.similarity", {"model": "nobody/knows"}, "Cannot load an embedding model"),
        ("imagine.model.model", "nobody/knows", "Cannot load an image generator"),
        ("imagine.scheduler", "NoScheduler", "is no scheduler that fits"),
        ("imagine.positive", "{what}", "cannot be filled in"),
        ("imagine.resemblance.model", "miniature/chat", "a model of type 'llama'"),
        ("imagine.quiz.second", {"kind": "local", "model": "miniature/chat"}, "of type 'llama'"),
        ("attach.text.0", {"path": "own/nq.json"}, "There is no file own/nq.json"),
        ("attach.neighbors.model", "own/clip", "own/clip"),
        ("attach.image.0.questions", "own/okvqa.json", "There is no file own/okvqa.json"),
        ("extend.model.model", "nobody/knows", "Cannot load a chat model from 'nobody/knows'"),
        ("extend.prompt", "extent", "did you mean 'extend'"),
        ("publish.repository", "nameless", "give it as user/name"),
    ],
)
@pytest.mark.parametrize("first", ["mine", "rephrase"])
def test_what_a_later_stage_lacks_is_told_before_the_first(
    place: str, value: Any, told: str, first: str, tmp_path: Path
) -> None:
    if first == "mine" or not place.startswith("sources"):
        assert told in fault(changed(place, value), tmp_path, first)


def test_a_base_model_of_another_type(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    recipe = changed("base.model", str(tmp_path))
    assert "a model of type 'bert', which" in fault(recipe, tmp_path)


def test_pools_of_another_layout(tmp_path: Path) -> None:
    facts = tmp_path / "nq.json"
    facts.write_text(json.dumps([{"question": "who?", "answer": "Ada"}]))
    recipe = changed("attach.text.0", {"path": str(facts)})
    assert f"{facts} is not a Natural Questions file" in fault(recipe, tmp_path)
    pool = {"questions": str(facts), "annotations": str(facts), "images": str(tmp_path)}
    assert f"{facts} is not a VQAv2 questions file" in fault(changed("attach.image.0", pool), tmp_path)


def test_a_dataset_that_lacks_the_split(tmp_path: Path) -> None:
    rows = [{"question": "who?", "answer": ["Ada"]}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "train-00000.parquet")
    source = {"kind": "hub", "dataset": str(tmp_path), "split": "validation"}
    assert "its splits are train" in fault(changed("attach.text.0", source), tmp_path)
    source["split"] = "train[:1]"
    check_ready(Build(changed("attach.text.0", source), Work(tmp_path / "work"), silent), "attach")
    missing = source | {"dataset": str(tmp_path / "nowhere")}
    assert "Cannot load the dataset" in fault(changed("attach.text.0", missing), tmp_path)


def test_all_faults_are_one_sentence_for_every_command_and_its_plan(tmp_path: Path) -> None:
    content: Any = load_recipe().model_dump(mode="json")
    content["imagine"]["model"]["model"] = "nobody/knows"
    content["attach"]["text"] = [{"path": "own/nq.json"}]
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    for command in (["run"], ["run", "--dry-run"], ["mine"], ["imagine", "--dry-run"]):
        result = CliRunner().invoke(app, [*command, str(path), "--work", str(tmp_path / "work")])
        assert isinstance(result.exception, UserError)
        said = str(result.exception)
        assert said.startswith(
            "Nothing was begun, as 2 things are not as they must be: (1) Cannot load an image"
        )
        assert "(2) There is no file own/nq.json" in said
        assert "\n" not in said
    assert not (tmp_path / "work").exists()
    # Publishing needs nothing of that.
    result = CliRunner().invoke(app, ["publish", "--dry-run", str(path), "--work", str(tmp_path / "work")])
    assert result.exit_code == 0, result.output


@pytest.fixture
def finished(tmp_path: Path, make_edit: MakeEdit) -> Build:
    build = Build(load_recipe(), Work(tmp_path / "work"), silent)
    edits = [make_edit(1)]
    for stage in STAGES:
        chosen = choice(build, stage) if stage in ("mine", "attach") else None
        finish(build.work, stage, Tally().add(edits), edits, chosen_by=chosen)
    return build


def test_what_stands_needs_nothing_any_more(finished: Build, make_edit: MakeEdit) -> None:
    assert pending(finished, "mine") == ["publish"]
    assert pending(finished, "imagine") == ["publish"]
    (finished.work.stage("imagine") / "rows.jsonl").unlink()
    assert pending(finished, "mine") == ["imagine", "attach", "extend", "publish"]
    edits = [make_edit(2)]
    finish(finished.work, "mine", Tally().add(edits), edits, chosen_by=choice(finished, "mine"))
    assert pending(finished, "mine") == ["rephrase", "imagine", "attach", "extend", "publish"]


def test_what_is_chosen_anew_or_tried_again_needs_all(finished: Build) -> None:
    everything = [*STAGES, "publish"]
    assert pending(replace(finished, limit=5), "mine") == everything
    assert pending(replace(finished, retry_failed=True), "mine") == everything
    sizes = {"train": 10, "test": 75}
    assert pending(replace(finished, recipe=changed("mine.vqa.sizes", sizes)), "mine") == everything
    assert pending(replace(finished, recipe=changed("attach.same_image", 2)), "attach") == everything[3:]


def test_rows_that_were_chosen_otherwise_are_not_published(finished: Build) -> None:
    check_chosen(replace(finished, limit=5))
    other = replace(finished, recipe=changed("attach.same_image", 2))
    told = r"The rows of attach .* \(same_image was 1 and is now 2\); run `mmedit-build attach` again"
    for act in (check_chosen, extend, publish):
        with pytest.raises(UserError, match=told):
            act(other)


def test_before_a_dataset_is_replaced_it_is_said(finished: Build, tmp_path: Path) -> None:
    recipe = changed("mine.vqa.sizes", {"train": 10, "test": 75})
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    arguments = ["--dry-run", str(path), "--work", str(finished.work.folder)]
    told = "Edits are chosen anew (sizes.vqa.train was 225 and is now 10)"
    assert told not in CliRunner().invoke(app, ["run", *arguments]).output, "there is no dataset yet"
    finished.work.dataset.mkdir()
    dataset = finished.work.dataset
    said = CliRunner().invoke(app, ["mine", *arguments]).output
    assert said.startswith(f"{told}, and `publish` will overwrite {dataset}.\n")
    for other in (["rephrase", *arguments], ["mine", "--dry-run", "--work", str(finished.work.folder)]):
        assert "chosen anew" not in CliRunner().invoke(app, other).output


def test_a_run_says_so_too(finished: Build) -> None:
    finished.work.dataset.mkdir()
    other = replace(finished, limit=3)
    assert overwriting(finished, (*STAGES, "publish")) is None
    assert overwriting(other, (*STAGES, "publish")) == (
        f"Edits are chosen anew (limit was null and is now 3), and this overwrites {finished.work.dataset}."
    )
