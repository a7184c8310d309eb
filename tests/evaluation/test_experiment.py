from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from editors import EDITORS
from evaluation.experiment import SANITY, Experiment, Method, choose, make_experiment
from mmedit_build.errors import UserError


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
        ("[1]", {}, "not a YAML mapping"),
        ("a: [", {}, "give a YAML file"),
        ("", {"task": "vga"}, "no task 'vga'; did you mean 'vqa'"),
        ("", {"protocols": ["wield"]}, "no protocol 'wield'; did you mean 'wild'"),
        ("methods: {ft: {optons: {}}}", {}, r"gives methods\.ft\.optons a wrong value"),
    ],
)
def test_mistakes_are_named(text: str, changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text or "{}")
    with pytest.raises(UserError, match=told):
        make_experiment(file, changes)


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
