from __future__ import annotations

import json
from pathlib import Path

import pytest

from editors import load_editor
from evaluation.experiment import Method, choose
from evaluation.suited import bundled, suited
from mmedit_build.errors import UserError


@pytest.fixture
def blip2(tmp_path: Path) -> str:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "blip-2"}))
    return str(tmp_path)


def test_the_miniature_has_options_of_its_own() -> None:
    found = suited({"ike": Method(), "mend": Method()}, "miniature/mllm", None)
    assert found["ike"].options["encoder"] == "base"
    assert found["mend"] == Method()


def test_a_model_of_a_known_type_gets_what_was_published_for_it(blip2: str) -> None:
    found = suited(choose("all", {}), blip2, None)
    assert found["mend"].options["rank"] == 1920
    assert found["ft-vision"].options["part"] == "qformer.*"
    for name, method in found.items():
        load_editor(name, method.options)


def test_what_the_user_says_comes_first_option_by_option(blip2: str) -> None:
    mine = {"quick": Method(editor="mend", options={"steps": 3}), "ft": Method(options={"lr": 1.0})}
    found = suited(mine, blip2, None)
    assert found["quick"].editor == "mend"
    assert (found["quick"].options["steps"], found["quick"].options["rank"]) == (3, 1920)
    assert (found["ft"].options["lr"], found["ft"].options["steps"]) == (1.0, 15)
    assert mine["ft"].options == {"lr": 1.0}


def test_other_types_keep_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "opt"}))
    assert suited({"ft": Method()}, str(tmp_path), None) == {"ft": Method()}


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config\.json"):
        suited({"ft": Method()}, str(tmp_path), None)


def test_each_bundled_experiment_is_for_another_model() -> None:
    models = [experiment.model for experiment in bundled().values()]
    assert len(models) == len(set(models)) >= 2
