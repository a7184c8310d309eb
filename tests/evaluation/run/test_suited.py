from __future__ import annotations

import json
from pathlib import Path

import pytest

from editors import load_editor
from evaluation.run.experiment import Method, choose
from evaluation.run.suited import bundled, suited
from mmedit_build.errors import UserError


def typed(folder: Path, kind: str, language: str | None) -> str:
    """A checkpoint that has no more than its types."""
    config: dict[str, object] = {"model_type": kind}
    if language is not None:
        config["text_config"] = {"model_type": language}
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


@pytest.fixture
def blip2(tmp_path: Path) -> str:
    return typed(tmp_path, "blip-2", "opt")


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


PUBLISHED: dict[str, dict[str, object]] = {
    "ft": {"steps": 15, "lr": 2e-4},
    "ft-dataset": {"part": "layer.-1", "optimizer": "asgd", "lr": 1e-5, "steps": 20000},
    "ike": {"variant": "easyedit"},
    "lora": {"optimizer": "sgd", "lr": 0.1, "lr_factor": 0.9, "steps": 5, "rank": 8, "alpha": 32.0},
    "ke": {"steps": 30000, "validate_every": 5000, "rephrases": False, "smoothing": 0.0, "penalty": "l2"},
    "mend": {"steps": 15000, "accumulate": 2, "lr": 1e-6, "edit_lr": 1e-4},
    "serac": {"steps": 50000, "lr": 1e-5, "objective": "mixture", "mixing": "soft", "negatives": ("text",)},
    "scopeedit": {"rank": 128, "alpha": 256.0, "shared": 24, "eta": 0.05, "shared_eta": 0.5, "groups": 7},
    "rome": {"steps": 20, "lr": 0.5, "clamp": 4.0, "kl": 0.0625, "decay": 0.5, "prefix_count": 20},
    "memit": {"weight": 15000.0, "steps": 25, "clamp": 0.75, "prefix_count": 5, "prefix_tokens": 9},
    "kn": {"threshold": 0.2, "steps": 20, "relative": True, "old_weight": 1.0, "new_weight": 8.0},
    "calinet": {"steps": 5000, "stop_below": None, "slots": 64},
    "t-patcher": {"memory": 40000, "steps": 2000, "validate_every": 25, "validate_from": 100},
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_was_published_is_what_blip2_gets(blip2: str, name: str) -> None:
    config = load_editor(name, suited({name: Method()}, blip2, None)[name].options).config.model_dump()
    assert {option: config[option] for option in PUBLISHED[name]} == PUBLISHED[name]
    # No training is stopped early.
    assert "patience" not in config or config["patience"] >= config["steps"]


@pytest.mark.parametrize(
    ("kind", "language", "lr", "steps"),
    [
        ("blip-2", "opt", 2e-4, 15),
        ("blip-2", "llama", 1e-4, 15),
        ("llava", "llama", 1e-4, 10),
        # Older checkpoints have no config of the language model, newer ones give it a type of its own.
        ("qwen2_5_vl", None, 1e-4, 10),
        ("qwen2_5_vl", "qwen2_5_vl_text", 1e-4, 10),
    ],
)
def test_a_model_gets_the_options_of_its_language_model_too(
    tmp_path: Path, kind: str, language: str | None, lr: float, steps: int
) -> None:
    options = suited({"ft": Method()}, typed(tmp_path, kind, language), None)["ft"].options
    assert (options["lr"], options["steps"]) == (lr, steps)


def test_with_another_language_model_it_keeps_the_defaults(tmp_path: Path) -> None:
    assert suited({"ft": Method()}, typed(tmp_path, "llava", "mistral"), None) == {"ft": Method()}


def test_what_the_user_says_comes_first_option_by_option(blip2: str) -> None:
    mine = {"quick": Method(editor="mend", options={"steps": 3}), "ft": Method(options={"lr": 1.0})}
    found = suited(mine, blip2, None)
    assert found["quick"].editor == "mend"
    assert (found["quick"].options["steps"], found["quick"].options["rank"]) == (3, 1920)
    assert (found["ft"].options["lr"], found["ft"].options["steps"]) == (1.0, 15)
    assert mine["ft"].options == {"lr": 1.0}


def test_other_types_keep_the_defaults(tmp_path: Path) -> None:
    assert suited({"ft": Method()}, typed(tmp_path, "opt", None), None) == {"ft": Method()}


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config\.json"):
        suited({"ft": Method()}, str(tmp_path), None)


def test_each_bundled_experiment_is_for_another_model() -> None:
    models = [experiment.model for experiment in bundled().values()]
    assert len(models) == len(set(models)) >= 2
