"""Recipes and experiment files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from evaluation.run.experiment import make_experiment
from evaluation.run.loading import load_editors
from evaluation.run.suited import suited
from mmedit_build.build import Build, stages_of
from mmedit_build.console import silent
from mmedit_build.miniature.sources import Sources
from mmedit_build.plan import plan
from mmedit_build.recipe.loading import bundled, load_recipe
from mmedit_build.store import check_writable
from mmedit_build.work import Work
from tests.fuzz.conftest import Fuzz
from tests.fuzz.damage import content, on_file
from tests.fuzz.engine import Case, Reader
from tests.fuzz.trees import LONG, damage_json

RECIPE, EXPERIMENT = "recipe.yaml", "experiment.yaml"
BOMB = "a: &a [x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
TEXTS = {
    "a date that is none": "x: 2001-99-99",
    "a bomb of references": BOMB,
    "a reference to itself": "a: &a [*a]",
    "an object of Python": "x: !!python/object/apply:os.system ['touch PWNED']",
    "another tag": "x: !unknown {a: b}",
    "tabs": "name:\n\t- x",
    "two documents": "a: 1\n---\nb: 2",
    "a key that is a list": "? [a, b]\n: x",
    "a key that is a mapping": "? {a: b}\n: x",
    "a key that is null": "null: x",
    "a merge of nothing": "<<: 7",
    "deep brackets": "x: " + "[" * 3000,
    "deep brackets, closed": "x: " + "[" * 3000 + "]" * 3000,
    "a huge number": f"x: {'9' * 5000}",
    "a huge exponent": "x: 1e999999999",
    "sexagesimal": "x: 190:20:30" + ":59" * 5000,
    "binary that is none": "x: !!binary '%%%'",
    "a set": "x: !!set {a, b}",
}


def on_yaml(name: str) -> list[Case]:
    """What is always tried on a YAML file."""
    texts = [
        Case(f"{name} holds {what}", content(name, text.encode()), "refused") for what, text in TEXTS.items()
    ]
    return [*on_file(name), *texts]


def _changed(file: str, **changes: Any) -> Callable[[Path], None]:
    """Other values in a file; a name with two underscores goes into a section."""

    def change(folder: Path) -> None:
        tree = json.loads((folder / file).read_bytes())
        for place, value in changes.items():
            section, _, key = place.rpartition("__")
            (tree[section] if section else tree)[key] = value
        (folder / file).write_text(json.dumps(tree))

    return change


def _twice(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        tree = json.loads((folder / name).read_bytes())
        (folder / name).write_text(yaml.safe_dump(tree) + "seed: 1\nseed: 2\n")

    return change


PATHS = ("~nosuchuser/x.json", "a\0b", "\ud800", LONG, "/dev/zero", "..", "")


def _recipe() -> dict[str, Any]:
    """The miniature's, with its sources drawn already and a served judge."""
    tree: dict[str, Any] = yaml.safe_load((files("recipes") / "miniature.yaml").read_text(encoding="utf-8"))
    del tree["draw"]
    judge = {"kind": "endpoint", "model": "m", "base_url": "http://localhost:1/v1", "max_cost": 1.0}
    tree["rephrase"]["judge"] = judge | {"price": {"input": 1.0, "output": 2.0}}
    return tree


def test_recipes(drawn: Sources, tmp_path: Path, fuzz_one: Fuzz) -> None:
    seed = tmp_path / "seed"
    shutil.copytree(drawn.folder, seed / "work" / "sources")
    tree = _recipe()
    (seed / RECIPE).write_text(json.dumps(tree))
    picked = [*on_yaml(RECIPE), Case("a key stands twice", _twice(RECIPE), "refused")]
    picked += [
        Case(f"name is {name!r:.30}", _changed(RECIPE, name=name), "refused")
        for name in ("../x", "a/b", "", "a" * 400, "A", "a\n", "é")
    ]
    picked += [
        Case(
            f"{key} is {value!r:.30}",
            _changed(
                RECIPE,
                **{f"sources__{key}": [{**tree["sources"][key][0], "annotations": value, "images": value}]},
            ),
        )
        for key in ("vqa", "captions")
        for value in PATHS
    ]
    picked += [
        Case(f"steps is {value!r}", _changed(RECIPE, imagine__steps=value))
        for value in (10**30, 0, -1, 1.5, True)
    ]

    def read(folder: Path) -> None:
        build = Build(load_recipe(str(folder / RECIPE)), Work(folder / "work"), silent)
        plan(build, (*stages_of(build.recipe), "publish"))

    fuzz_one(Reader(seed, read, picked, lambda rng, folder: damage_json(folder, [RECIPE], rng)))


@pytest.mark.parametrize(
    "name", ["no such recipe", "a\0b", "\ud800", LONG, "a" * 300 + ".yaml", "", ".", "~nosuchuser/x.yaml"]
)
def test_names_of_recipes(name: str) -> None:
    from mmedit_build.errors import UserError
    from tests.fuzz.limits import limited

    assert name not in bundled()
    with limited(), pytest.raises(UserError):
        load_recipe(name)


NAMES = (
    "../../outside",
    "a/b",
    "/tmp/absolute",
    "",
    " ",
    ".",
    "..",
    "[/]",
    "[red]x",
    "<img src=x onerror=alert(1)>",
    "x\ny",
    "a" * 300,
    "unedited",
    "ft@10",
    "\\input{/etc/passwd}",
    "\0",
    "\ud800",
    "-x",
    "=cmd|x",
    "all",
    "a,b",
)
"""None of these may become the name of a folder, of a table's row, or of a bar."""


def test_experiments(tmp_path: Path, fuzz_one: Fuzz) -> None:
    seed = tmp_path / "seed"
    seed.mkdir()
    tree = {
        "model": "miniature/mllm",
        "dataset": "runs/miniature/dataset",
        "out": "out",
        "cache": "cache",
        "methods": {
            "short": {"editor": "ft", "options": {"steps": 3, "lr": 0.1}},
            "rome": {"options": {"layer": 1}},
        },
        "task": "vqa",
        "protocols": ["legacy"],
        "seed": 3,
        "at_once": [1, 2],
    }
    (seed / EXPERIMENT).write_text(json.dumps(tree))
    picked = [*on_yaml(EXPERIMENT), Case("a key stands twice", _twice(EXPERIMENT), "refused")]
    picked += [
        Case(f"a method is {name!r:.30}", _changed(EXPERIMENT, methods={name: {"editor": "ft"}}), "refused")
        for name in NAMES
    ]
    options = ({"steps": 10**30}, {"steps": -1}, {"lr": float("nan")}, {"lr": "x"}, {"layer": 10**10})
    picked += [
        Case(f"options are {one!r:.30}", _changed(EXPERIMENT, methods={"ft": {"options": one}}), "refused")
        for one in options
    ]
    picked += [Case(f"out is {path!r:.30}", _changed(EXPERIMENT, out=path)) for path in PATHS]

    def read(folder: Path) -> None:
        experiment = make_experiment(folder / EXPERIMENT, {})
        methods = suited(experiment.methods, experiment.model, experiment.revision)
        load_editors(experiment.model_copy(update={"methods": methods}))
        check_writable(folder / experiment.out)

    fuzz_one(Reader(seed, read, picked, lambda rng, folder: damage_json(folder, [EXPERIMENT], rng)))
