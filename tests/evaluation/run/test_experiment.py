from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from editors import EDITORS
from evaluation.run.experiment import SANITY, Experiment, Method, choose, make_experiment
from mmedit_build.errors import UserError
from mmedit_build.recipe import Endpoint, Price


def test_the_defaults_are_the_miniature() -> None:
    experiment = make_experiment(None, {"model": None, "limit": None})
    assert experiment == Experiment()
    assert (experiment.model, experiment.dataset) == ("miniature/mllm", "runs/miniature/dataset")
    assert experiment.protocols == ("legacy", "wild")


def test_a_file_is_changed_by_what_the_command_says(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("model: mine\nlimit: 5\nmethods:\n  ft-6: {editor: ft, options: {part: layer.6}}\n")
    experiment = make_experiment(file, {"limit": 3, "task": "vqa", "seed": None})
    assert (experiment.model, experiment.limit, experiment.task) == ("mine", 3, "vqa")
    assert experiment.methods == {"ft-6": Method(editor="ft", options={"part": "layer.6"})}


@pytest.mark.parametrize(
    ("text", "changes", "told"),
    [
        ("modl: x", {}, "no key of an experiment 'modl'; did you mean 'model'"),
        ("limit: 0", {}, r"mine\.yaml gives limit a wrong value"),
        ("stream: [1, 0]", {}, r"mine\.yaml gives stream\.1 a wrong value: Input should be greater"),
        ("[1]", {}, "not a YAML mapping"),
        ("a: [", {}, "as YAML .*; correct it there"),
        ("seed: 1\nseed: 2", {}, "seed stands 2 times in the section that begins in line 1"),
        ("seed: 2001-99-99", {}, "as YAML .*month must be in"),
        ("seed: " + "9" * 5000, {}, "as YAML .*integer string conversion"),
        ("out: " + "[" * 3000, {}, "as YAML .*recursion"),
        ("limit: 1" + "0" * 30, {}, "gives limit a wrong value: .*less than or equal to 1000000000"),
        ("template: 'USER: {image} {prompt}'", {"prompts": "raw"}, "leave out the template .USER"),
        ("seed: 1", {"seeds": "0,1"}, "--seed for one seed, or --seeds for several"),
        ("", {"seeds": "0,one"}, r"The command gives seeds a wrong value: 'one' is no whole number"),
        ("", {"seeds": "0,1,0"}, r"gives seeds a wrong value: 0 is named twice"),
        ("seeds: [1, 1]", {}, r"mine\.yaml gives seeds a wrong value: 1 is named twice"),
        ("limit: 1", {"at_once": "1,0"}, r"The command gives at_once a wrong value: Input should be greater"),
        ("", {"task": "vga"}, "no task 'vga'; did you mean 'vqa'"),
        ("", {"protocols": ["wield"]}, "no protocol 'wield'; did you mean 'wild'"),
        ("methods: {ft: {optons: {}}}", {}, r"gives methods\.ft\.optons a wrong value"),
        ("methods: {unedited: {editor: ft}}", {}, "unedited cannot be the name of a method"),
        ("methods: {all: {editor: ft}}", {}, "all cannot be the name of a method"),
        ("methods: {ft: {options: {1: 2}}}", {}, r"gives methods\.ft\.options\.1\.\[key\] a wrong value"),
    ],
)
def test_mistakes_are_named(text: str, changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text or "{}")
    with pytest.raises(UserError, match=told) as caught:
        make_experiment(file, changes)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "name", ["../../outside", "/tmp/outside", "", "[/]", "a b", "ft@10", ".hidden", "n" * 61, "n" * 900, "\n"]
)
def test_names_of_methods_are_names(name: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(json.dumps({"methods": {name: {"editor": "ft"}}}))
    with pytest.raises(UserError, match=r"calls a method '.*; give it a name of letters, digits") as caught:
        make_experiment(file, {})
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize("name", ["ft", "FT-6_b.2", "4", "n" * 60])
def test_ordinary_names_of_methods_are_taken(name: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(json.dumps({"methods": {name: {"editor": "ft"}}}))
    assert list(make_experiment(file, {}).methods) == [name]


@pytest.mark.parametrize("key", ["out", "cache", "images", "dataset", "model", "revision"])
@pytest.mark.parametrize("value", ["", "a\\0b", "\\ud800", "n" * 256])
def test_names_that_nothing_can_have_are_told(key: str, value: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f'{key}: "{value}"')
    with pytest.raises(UserError, match="cannot be a name or a path"):
        make_experiment(file, {})


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Cannot read the experiment"):
        make_experiment(tmp_path / "none.yaml", {})


def test_all_is_every_editor_but_those_that_test_the_evaluation() -> None:
    assert list(choose("all", {})) == [name for name in EDITORS if name not in SANITY]
    assert set(SANITY) <= set(EDITORS)


def test_methods_are_chosen_by_name_in_the_order_given() -> None:
    mine = {"mine": Method(editor="ft"), "ft": Method(options={"lr": 1.0})}
    assert list(choose("oracle, mine,ft,mine", mine).items()) == [
        *(("oracle", Method()), ("mine", mine["mine"]), ("ft", mine["ft"])),
    ]
    assert choose("all", mine)["ft"] == mine["ft"]
    assert list(choose("oracle,all", {})) == ["oracle", *choose("all", {})]
    assert choose(" , ", mine) == {}
    with pytest.raises(UserError, match="no method 'oracel'; did you mean 'oracle'"):
        choose("ft,oracel", {})


@pytest.mark.parametrize("section", [Experiment, Method])
def test_every_field_is_documented(section: type[Experiment | Method]) -> None:
    assert [name for name, field in section.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(
    ("changes", "rendering"),
    [
        ({}, "checkpoint"),
        ({"prompts": "raw"}, "raw"),
        ({"prompts": "raw", "template": "raw"}, "raw"),
        ({"template": "{image}Q: {prompt}"}, "{image}Q: {prompt}"),
    ],
)
def test_raw_prompts_are_rendered_raw(changes: dict[str, Any], rendering: str) -> None:
    experiment = make_experiment(None, changes)
    assert (experiment.rendering, experiment.dtype) == (rendering, "auto")


@pytest.mark.parametrize(
    ("given", "model", "address"),
    [
        ("sage", "sage", "https://api.openai.com/v1"),
        ("Qwen/Qwen3-8B@http://localhost:8000/v1", "Qwen/Qwen3-8B", "http://localhost:8000/v1"),
        ("sage@v2@https://example.org/v1", "sage@v2", "https://example.org/v1"),
    ],
)
def test_a_judge_is_named_with_its_address(given: str, model: str, address: str) -> None:
    judge = make_experiment(None, {"judge": given}).judge
    assert judge == Endpoint(model=model, base_url=address)


def test_a_judge_has_a_section_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(
        "judge: {kind: endpoint, model: sage, max_cost: 2, price: {input: 1, output: 2}}"
    )
    judge = make_experiment(tmp_path / "my.yaml", {}).judge
    assert judge == Endpoint(model="sage", max_cost=2, price=Price(input=1, output=2))


@pytest.mark.parametrize("given", ["http://localhost:8000/v1", "@http://localhost/v1", "ftp://a", ""])
def test_an_address_alone_is_no_judge(given: str) -> None:
    with pytest.raises(
        UserError, match="gives judge a wrong value: name the model before the address, as in"
    ):
        make_experiment(None, {"judge": given})
