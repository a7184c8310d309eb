"""A whole build of a few drawings: from sources to a dataset, and run again."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import load_dataset

from mmedit_build.audit.report import audit, faults
from mmedit_build.build import Build, finish, rows_of, stages_of
from mmedit_build.console import quiet_loading, silent
from mmedit_build.engine.pace import read_pace
from mmedit_build.engine.shards import Shards, Tally
from mmedit_build.errors import UserError
from mmedit_build.mining import examples_to_mine
from mmedit_build.plan import plan
from mmedit_build.recipe import Draw, Recipe, Sizes
from mmedit_build.recipe.loading import load_recipe
from mmedit_build.review.answers import open_answers
from mmedit_build.review.asked import asked_of
from mmedit_build.rows import SPLITS, EditRow
from mmedit_build.stages import rounds
from mmedit_build.status import summaries
from mmedit_build.steps import STEPS, extend, pool_items, publish
from mmedit_build.summary import Summary
from mmedit_build.work import Work

PRECISION = "bfloat16" if torch.cuda.is_available() else "float32"


NEAR = {"far_right": 1, "near_wrong": 1, "far_wrong": 1}
"""Besides what the miniature's recipe asks for."""


def small() -> Recipe:
    """The miniature's recipe on fewer drawings, in small shards, so that there is much to interrupt."""
    whole = load_recipe()
    assert whole.mine.vqa
    assert whole.mine.caption
    mine = whole.mine.model_copy(
        update={
            "vqa": whole.mine.vqa.model_copy(update={"sizes": Sizes(train=12, test=6)}),
            "caption": whole.mine.caption.model_copy(update={"sizes": Sizes(train=4, test=2)}),
            "shard_rows": 64,
        }
    )
    return whole.model_copy(
        update={
            "draw": Draw(seed="small", train_images=40, val_images=60),
            "mine": mine,
            "rephrase": whole.rephrase.model_copy(update={"shard_rows": 4}),
            "imagine": whole.imagine.model_copy(update={"shard_rows": 2}),
            "attach": whole.attach.model_copy(update={"shard_rows": 100, **NEAR}),
        }
    )


def run_all(folder: Path) -> Build:
    quiet_loading()
    build = Build(small(), Work(folder), silent)
    with build.work.locked():
        for step in STEPS.values():
            step(build)
    return build


def contents(work: Work) -> dict[str, bytes]:
    """All that a build ends with."""
    rows = {name: (work.stage(name) / "rows.jsonl").read_bytes() for name in STEPS if name != "publish"}
    files = {str(path.relative_to(work.dataset)): path for path in work.dataset.rglob("*") if path.is_file()}
    return rows | {name: path.read_bytes() for name, path in files.items()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Build:
    return run_all(tmp_path_factory.mktemp("built"))


def test_the_dataset_loads_and_its_images_decode(built: Build) -> None:
    for task in ("vqa", "caption"):
        data = load_dataset(str(built.work.dataset), task)
        for split in SPLITS:
            assert len(data[split]) > 0
            row = data[split][0]
            assert row["image"].size == row["image_rephrase"].size == (64, 64)
            assert row["text_locality"]
            assert row["image_locality"]
    pool = load_dataset(str(built.work.dataset), "image_locality")
    known = {row["id"] for split in SPLITS for row in pool[split]}
    assert {item["id"] for split in SPLITS for row in data[split] for item in row["image_locality"]} <= known


def test_the_audit_finds_none_of_the_faults_that_must_not_be(built: Build) -> None:
    assert faults(audit(str(built.work.folder))) == []
    assert faults(audit(str(built.work.dataset))) == []
    assert (built.work.folder / "audit.html").is_file()


def test_what_lies_near_stands_in_the_dataset_with_its_cosines(built: Build) -> None:
    edits = [one for one in rows_of(built.work, "attach") if one.task == "vqa" and one.locality]
    found = {item.relation for edit in edits for item in edit.locality.image}  # type: ignore[union-attr]
    assert {"similar_question", "near_right", "far_right"} < found
    rows = load_dataset(str(built.work.dataset), "vqa", split="test")
    assert all({item["relation"] for item in row["gain"]} == {"near_wrong", "far_wrong"} for row in rows)
    assert all(-1 <= item["image_cosine"] <= 1 for row in rows for item in row["image_locality"])
    for edit in edits:
        assert edit.locality
        assert edit.locality.nearness.keys() == {
            item.id for item in (*edit.locality.text, *edit.locality.image, *edit.locality.gain)
        }


def test_counts_add_up_from_stage_to_stage(built: Build) -> None:
    found = {one.stage: one for one in summaries(built.work)}
    assert list(found) == ["mine", "rephrase", "imagine", "probe", "blind", "attach", "extend"]
    for one in found.values():
        assert one.entered == one.kept + sum(one.rejected.values()) + sum(one.failed.values())
        assert one.finished
    assert found["mine"].kept == found["rephrase"].entered
    assert found["rephrase"].kept == found["imagine"].entered
    assert found["imagine"].kept == found["attach"].entered
    assert found["attach"].kept == len(rows_of(built.work, "attach"))
    finished = rows_of(built.work, "extend")
    assert [edit.id for edit in finished] == [edit.id for edit in rows_of(built.work, "attach")]
    assert found["extend"].kept == sum(edit.portability is not None for edit in finished)
    assert found["extend"].entered == sum(edit.task == "vqa" and edit.split == "test" for edit in finished)


def test_every_row_tells_where_it_comes_from(built: Build) -> None:
    for edit in rows_of(built.work, "attach"):
        assert edit.rephrase
        assert edit.imagined
        assert edit.base == "miniature/mllm"
        assert edit.rephrase.prompt.partition("#")[0] in ("rephrase", "caption")
        assert built.work.path(edit.imagined.image).is_file()
        assert edit.scores


def test_a_stage_is_said_to_be_finished_once_its_rows_are_there(tmp_path: Path) -> None:
    work = Work(tmp_path)
    (work.stage("mine") / "rows.jsonl" / "in the way").mkdir(parents=True)
    with pytest.raises(UserError, match=r"rows\.jsonl"):
        finish(work, "mine", Tally(), [])
    assert summaries(work) == []
    shutil.rmtree(work.stage("mine") / "rows.jsonl")
    finish(work, "mine", Tally(), [])
    assert [one.finished for one in summaries(work)] == [True]


def test_the_manifest_tells_how_the_base_model_was_asked(built: Build) -> None:
    assert built.recipe.base.dtype == "auto"  # type: ignore[union-attr]
    base = json.loads((built.work.dataset / "manifest.json").read_text())["recipe"]["base"]
    assert (base["dtype"], base["template"], base["image_processor"]) == (PRECISION, "checkpoint", {})


def test_a_second_run_changes_nothing(built: Build) -> None:
    before = contents(built.work)
    images = sorted(path.stat().st_mtime_ns for path in built.work.images.rglob("*.png"))
    run_all(built.work.folder)
    assert contents(built.work) == before
    assert sorted(path.stat().st_mtime_ns for path in built.work.images.rglob("*.png")) == images


def test_what_rows_took_is_known_of_each_stage(built: Build) -> None:
    for stage in ("mine", "rephrase", "imagine", "probe"):
        pace = read_pace(built.work.stage(stage))
        assert pace is not None
        assert pace.rows == sum(len(path.read_bytes().splitlines()) for path in _shards(built, stage))
        assert pace.seconds > 0


def _shards(built: Build, stage: str) -> list[Path]:
    return list((built.work.stage(stage) / "shards").iterdir())


def test_a_plan_says_what_is_done_and_writes_nothing(built: Build, tmp_path: Path) -> None:
    assert "is finished" in plan(built, ["mine"])[0]
    assert "0 rephrases" in plan(built, ["rephrase"])[0]
    paints, *asks = plan(built, ["imagine"])
    assert "up to 0 images" in paints
    assert [re.sub(r" about.*", "", line) for line in asks] == [
        f"imagine: asks miniature/{model} 0 questions" for model in ("mllm", "qwen")
    ]
    pools, blind, near = plan(built, ["attach"])
    dealt = re.search(r" locality questions, of which .* are done, and deals them to (\d+) edits\.$", pools)
    assert dealt
    assert len(rows_of(built.work, "attach")) <= int(dealt[1]) <= 24
    assert re.search(r"asks (\d+) questions of edits without their images, of which \1 are done", blind)
    assert near == "attach: looks for neighbors of the edits with miniature/clip."
    fresh = Build(small(), Work(tmp_path / "fresh"), silent)
    assert "draws 100 images" in plan(fresh, ["mine"])[0]
    assert plan(fresh, ["imagine"])[0].startswith(
        "imagine: at most, by the sizes of the recipe: paints up to "
    )
    whole = plan(fresh, [*stages_of(fresh.recipe), "publish"])
    assert re.search(r"all: at most [\d,]+ images painted", whole[-2])
    assert "how long mine, rephrase, imagine, attach, extend will take" in whole[-1]
    assert not (tmp_path / "fresh").exists()


def test_no_more_of_the_pools_is_asked_than_the_edits_need(
    built: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "LEAST", 4)
    for stage in ("mine", "rephrase", "imagine", "sources", "images"):
        shutil.copytree(built.work.stage(stage), tmp_path / stage)
    build = replace(built, work=Work(tmp_path))
    all_of_them = len(pool_items(build))
    assert re.search(
        rf" \d+ of {all_of_them} .*, more of them while edits go short", plan(build, ["attach"])[0]
    )
    summary = STEPS["attach"](build)
    probed = Summary.read(build.work.stage("probe"))
    assert probed is not None
    assert probed.entered < all_of_them
    edits = rows_of(build.work, "attach")
    assert len(edits) == summary.kept == len(rows_of(built.work, "attach"))  # type: ignore[union-attr]
    far = [
        item.id for edit in edits if edit.locality for item in edit.locality.image if item.relation == "far"
    ]
    assert len(set(far)) == len(far) == len(edits)
    before = (build.work.stage("attach") / "rows.jsonl").read_bytes()
    STEPS["attach"](build)
    assert (build.work.stage("attach") / "rows.jsonl").read_bytes() == before


def test_a_stage_asks_for_the_one_before_it(tmp_path: Path) -> None:
    build = Build(small(), Work(tmp_path), silent)
    with pytest.raises(UserError, match="mine is not finished"):
        STEPS["rephrase"](build)


def test_another_recipe_is_refused_in_the_same_folder(built: Build) -> None:
    other = built.recipe.model_copy(
        update={"rephrase": built.recipe.rephrase.model_copy(update={"temperature": 0.5})}
    )
    with pytest.raises(UserError, match=r"rephrase\.temperature was 0\.6 and is now 0\.5"):
        STEPS["rephrase"](Build(other, built.work, silent))


def test_rows_that_have_changed_since_are_not_published(built: Build, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(built.work.folder, folder)
    rows = folder / "mine" / "rows.jsonl"
    rows.write_bytes(b"".join(rows.read_bytes().splitlines(keepends=True)[1:]))
    again = replace(built, work=Work(folder))
    with pytest.raises(UserError, match=r"rows of mine .* have changed since rephrase was made"):
        publish(again)
    # Mining again gives the rows back.
    STEPS["mine"](again)
    publish(again)


@pytest.mark.parametrize(("task", "other"), [("vqa", "caption"), ("caption", "vqa")])
def test_one_task_alone_can_be_mined(built: Build, tmp_path: Path, task: str, other: str) -> None:
    mine = built.recipe.mine.model_copy(update={other: None})
    build = replace(
        built, recipe=built.recipe.model_copy(update={"mine": mine}), work=Work(tmp_path), limit=30
    )
    shutil.copytree(built.work.sources, tmp_path / "sources")
    STEPS["mine"](build)
    assert {edit.task for edit in rows_of(build.work, "mine")} == {task}


def test_edits_beyond_a_limit_are_not_extended_and_not_lost(built: Build, tmp_path: Path) -> None:
    shutil.copytree(built.work.folder, tmp_path / "copy")
    few = replace(built, work=Work(tmp_path / "copy"), limit=1)
    assert extend(few).entered == 1
    before, after = rows_of(few.work, "attach"), rows_of(few.work, "extend")
    assert [edit.id for edit in after] == [edit.id for edit in before]


def test_questions_and_caption_of_an_image_are_asked_together(built: Build) -> None:
    images = [row.image for row in examples_to_mine(built)]
    changes = sum(one != other for one, other in pairwise(images))
    assert changes == len(set(images)) - 1
    assert len(images) == 400


def test_all_about_the_images_of_edits_is_asked(built: Build) -> None:
    shards = Shards(built.work.stage("mine"), EditRow)
    asked = {one.id for path in shards.files() for one in shards.skim(path)}
    images = {row.image for row in rows_of(built.work, "mine")}
    about = [row.id for row in examples_to_mine(built) if row.image in images]
    assert set(about) <= asked


def test_a_painted_image_that_was_damaged_is_told_and_painted_again(built: Build, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(built.work.folder, folder)
    again = replace(built, work=Work(folder))
    for path in again.work.images.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(UserError, match=r"damaged; delete .*imagine and give the same command again"):
        STEPS["imagine"](again)
    shutil.rmtree(again.work.stage("imagine"))
    for step in STEPS.values():
        step(again)
    assert contents(again.work) == contents(built.work)


def test_what_people_refused_is_not_published_and_comes_back_when_they_take_it_back(
    built: Build, tmp_path: Path
) -> None:
    work = Work(tmp_path / "copy")
    shutil.copytree(built.work.folder, work.folder)
    build, whole = Build(built.recipe, work, silent), contents(work)
    edits = list(build.finished())
    with open_answers(work, "ada") as answers:
        for edit in edits:
            for asked in asked_of(edit):
                refused = edit == edits[0] and asked.question == "painting"
                answers.give(asked, "no" if refused else "yes")
    assert f"publish: leaves out what people refused: 1 of {len(edits)} edits." in plan(build, ["publish"])
    assert (
        f"publish: {len(edits) - 1} edits (1 that people refused are left out)" in publish(build).sentence()
    )
    manifest = json.loads((work.dataset / "manifest.json").read_text())
    assert manifest["stages"]["review"]["rejected"] == {"review: painting": 1}
    assert (manifest["review"]["people"], manifest["review"]["rows"]) == (1, len(edits))
    ids = {row["id"] for task in manifest["rows"] if task in ("vqa", "caption") for row in _all(work, task)}
    assert ids == {edit.id for edit in edits[1:]}
    with open_answers(work, "ada") as answers:
        while answers.undo():
            """Until nothing is said any more."""
    publish(build)
    assert contents(work) == whole


def _all(work: Work, task: str) -> list[Any]:
    tables = load_dataset(str(work.dataset), task, cache_dir=str(work.folder.parent / "cache"))
    return [row for table in tables.values() for row in table.remove_columns(["image", "image_rephrase"])]


def test_a_build_with_a_fault_is_not_published(built: Build, tmp_path: Path) -> None:
    work = Work(tmp_path)
    lines = (built.work.stage("attach") / "rows.jsonl").read_text().splitlines()
    row = json.loads(next(line for line in lines if json.loads(line)["task"] == "vqa"))
    row["rephrase"]["text"] = row["question"]
    row["image"] = str(built.work.path(row["image"]).absolute())
    (tmp_path / "extend").mkdir()
    (tmp_path / "extend" / "rows.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(UserError, match=r"audit\.html"):
        publish(Build(built.recipe, work, silent))
