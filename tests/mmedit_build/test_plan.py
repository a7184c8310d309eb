"""What a plan says about served models: requests, tokens and cost, without sending anything."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from mmedit_build.build import Build, finish
from mmedit_build.choosing import sizes_of
from mmedit_build.console import silent
from mmedit_build.engine.pace import Pace, add_pace
from mmedit_build.engine.shards import Tally, write_rows
from mmedit_build.miniature.sources import write_sources
from mmedit_build.plan import plan
from mmedit_build.recipe import Draw, Endpoint, ExtendStage, HubFacts, Price
from mmedit_build.recipe.loading import load_recipe
from mmedit_build.stages.select import with_spare
from mmedit_build.steps import KNOWN
from mmedit_build.work import Work
from tests.mmedit_build.conftest import MakeEdit


@pytest.fixture
def build(tmp_path: Path, make_edit: MakeEdit) -> Build:
    """Ten mined questions, to be rephrased by a model that cannot be reached."""
    recipe = load_recipe()
    model = Endpoint(model="chat", base_url="http://127.0.0.1:9/v1", price=Price(input=1.0, output=2.0))
    rephrase = recipe.rephrase.model_copy(
        update={"model": model, "judge": None, "candidates": 3, "max_tokens": 50}
    )
    work = Work(tmp_path)
    edits = [make_edit(number, question=f"How many cats are there, {number}?") for number in range(1, 11)]
    finish(work, "mine", Tally().add(edits), edits)
    known = [make_edit(number, question="How many cats are there, 1?") for number in range(20, 22)]
    write_rows(work.stage("mine") / KNOWN, known)
    return Build(recipe.model_copy(update={"rephrase": rephrase}), work, silent)


def test_requests_tokens_and_cost_are_estimated(build: Build) -> None:
    first, cost, *more = plan(build, ["rephrase"])
    assert first == "rephrase: rephrases 10 prompts, of which 0 are done; asks chat for 30 rephrases."
    assert cost.startswith("rephrase: 30 requests of about ")
    assert "at most 1,500 out: about 0.0" in cost
    assert cost.endswith("USD or less.")
    assert not build.work.requests.exists()
    assert not any("whether they mean the same" in line for line in more), "judge: null"


def test_the_judge_and_the_base_model_are_counted(build: Build) -> None:
    model = build.recipe.rephrase.model
    rephrase = build.recipe.rephrase.model_copy(update={"judge": model})
    recipe = build.recipe.model_copy(update={"rephrase": rephrase, "base": model})
    _, _, judged, cost, seen, asked = plan(replace(build, recipe=recipe), ["rephrase"])[:6]
    assert "asks chat up to 60 times whether they mean the same" in judged
    assert "20 times if the first always pass" in judged
    assert cost.startswith("rephrase: 60 requests of about ")
    assert "asks chat up to 6 of them about other images" in seen
    assert asked.startswith("rephrase: 6 requests of about ")


def test_a_limit_is_heeded(build: Build) -> None:
    assert "asks chat for 6 rephrases" in plan(replace(build, limit=2), ["rephrase"])[0]


def test_without_a_price_there_is_no_cost(build: Build) -> None:
    model = build.recipe.rephrase.model.model_copy(update={"price": None})
    rephrase = build.recipe.rephrase.model_copy(update={"model": model})
    again = replace(build, recipe=build.recipe.model_copy(update={"rephrase": rephrase}))
    assert "no price is stated" in plan(again, ["rephrase"])[1]


def test_publishing_says_where_to(build: Build, make_edit: MakeEdit) -> None:
    edits = [make_edit(1)]
    for stage in ("attach", "extend"):
        finish(build.work, stage, Tally().add(edits), edits)
    config = build.recipe.publish.model_copy(update={"repository": "someone/set", "tag": "v1"})
    lines = plan(replace(build, recipe=build.recipe.model_copy(update={"publish": config})), ["publish"])
    assert "writes 1 edits, with their source images" in lines[0]
    assert "sends them to someone/set as v1 in one commit" in lines[1]


def test_going_one_step_further_is_estimated_as_far_as_it_can_be(build: Build, make_edit: MakeEdit) -> None:
    edits = [make_edit(number, question=f"How many cats are there, {number}?") for number in (1, 2, 3)]
    finish(build.work, "attach", Tally().add(edits), [*edits, make_edit(4, split="train")])
    model = build.recipe.rephrase.model
    recipe = build.recipe.model_copy(update={"extend": ExtendStage(model=model, max_tokens=100)})
    first, cost = plan(replace(build, recipe=recipe), ["extend"])[:2]
    told = "goes one step beyond 3 edits, of which 0 are done; asks chat for 12 questions."
    assert first == f"extend: {told}"
    assert "12 requests of about " in cost
    assert "at most 1,200 out: about 0.0" in cost
    served = recipe.model_copy(update={"base": model})
    assert plan(replace(build, recipe=served), ["extend"])[2].startswith(
        "extend: asks chat up to 36 questions"
    )


def test_later_stages_have_a_bound_before_there_are_rows_for_them(build: Build, tmp_path: Path) -> None:
    model = build.recipe.rephrase.model
    extend = ExtendStage(model=model, max_tokens=100)
    recipe = build.recipe.model_copy(update={"extend": extend})
    stages = ["rephrase", "imagine", "attach", "extend", "publish"]
    lines = plan(replace(build, recipe=recipe), stages)
    images = 10 * recipe.imagine.tries
    assert any(
        f"imagine: at most, by what mine came to: paints up to {images} images" in one for one in lines
    )
    assert any(line.startswith("extend: at most, by what mine came to: goes one step") for line in lines)
    assert any(line.startswith("publish: at most, by what mine came to: writes 10 edits") for line in lines)
    total = next(line for line in lines if line.startswith("all: at most "))
    # Three rephrases and four steps for each of ten edits.
    assert total.startswith("all: at most 70 requests, about ")
    assert f" USD; {images} images painted." in total
    fresh = replace(build, recipe=recipe, work=Work(tmp_path / "fresh"))
    sizes = [of.train + of.test for of in with_spare(sizes_of(recipe), recipe.mine.spare).values()]
    lines = plan(fresh, stages)
    assert f"by the sizes of the recipe: rephrases {sum(sizes):,} prompts" in lines[0]
    assert not (tmp_path / "fresh").exists()


def test_hours_are_those_that_rows_took_before(build: Build) -> None:
    last = plan(build, ["rephrase"])[-1]
    assert last.startswith("all: how long rephrase will take is not known yet: the command with `--limit 20`")
    add_pace(build.work.stage("rephrase"), Pace(3, 900.0))
    add_pace(build.work.stage("rephrase"), Pace(1, 2700.0))
    *_, line, total = plan(build, ["rephrase"])
    assert line == (
        "rephrase: takes one worker about 2 hours and 30 minutes for 10 rows, at the 900 s of each of the 4 "
        "that are done."
    )
    assert total.endswith("; about 2 hours and 30 minutes of one worker.")
    (build.work.stage("rephrase") / "pace.json").write_text("{")
    assert "is not known yet" in plan(build, ["rephrase"])[-1]


def test_what_is_paid_is_bounded_where_failures_are_asked_again(build: Build, tmp_path: Path) -> None:
    """Each of ten drawings' questions may be a failure, which is asked a second time."""
    write_sources(tmp_path / "mine" / "sources", train_images=3, val_images=3)
    base = build.recipe.rephrase.model
    recipe = build.recipe.model_copy(update={"base": base, "draw": None})
    lines = plan(replace(build, recipe=recipe, work=Work(tmp_path / "mine")), ["mine"])
    (most,) = [line for line in lines if line.startswith("mine: at most: ")]
    (again,) = [line for line in lines if re.match(r"mine: \d+ requests", line)]
    assert most.removeprefix("mine: at most: ") == again.removeprefix("mine: ")
    number = int(again.split()[1])
    assert f"all: at most {2 * number} requests" in lines[-2]


def served(build: Build, **changes: object) -> Build:
    """A build from the start, whose base model is served."""
    update = {"base": build.recipe.rephrase.model, **changes}
    work = Work(build.work.folder / "fresh")
    return replace(build, recipe=build.recipe.model_copy(update=update), work=work)


def test_before_anything_is_drawn_mining_and_locality_have_bounds(build: Build) -> None:
    draw = Draw(train_images=3, val_images=2)
    fresh = served(build, draw=draw)
    lines = plan(fresh, ["mine", "attach"])
    # Ten questions and five captions, each of which is asked again.
    assert "at most 10 questions and 5 captions, all that they say they have" in lines[0]
    assert lines[1].startswith("mine: at most: 15 requests of about ")
    assert lines[3].startswith("mine: 15 requests of about ")
    (pools,) = [line for line in lines if "locality questions" in line]
    facts = int(re.search(r"at most (\d+) about facts and 2 about images", pools)[1])  # type: ignore[index]
    blind = 15
    assert any(line.startswith(f"attach: at most: {facts + 2} requests of about ") for line in lines)
    assert any(line.startswith(f"all: at most {2 * 15 + facts + 2 + blind} requests, ") for line in lines)
    assert not fresh.work.folder.exists()
    write_sources(fresh.work.sources, **draw.model_dump())
    assert "at most 10 questions and 5 captions" in plan(fresh, ["mine"])[0]


def test_where_sources_do_not_say_how_much_they_have_nobody_is_told_a_bound(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmedit_build.sources.declared.declared_rows", lambda _: None)
    source = HubFacts(kind="hub", dataset="org/facts")
    attach = build.recipe.attach.model_copy(update={"text": (source,)})
    lines = plan(served(build, attach=attach), ["mine", "attach"])
    (told,) = [line for line in lines if "locality questions" in line]
    assert "`--limit 20` in the place of --dry-run gets them" in told
    (total,) = [line for line in lines if line.startswith("all: at most ")]
    assert total.endswith(", besides what attach will ask.")
