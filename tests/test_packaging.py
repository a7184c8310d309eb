"""What an installed mmedit must contain, checked on a wheel that is built from this tree."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.plugging import documented_package, own_benchmark, own_model

ROOT = Path(__file__).parent.parent
TOP = ("editors", "evaluation", "mmedit_build", "prompts", "recipes")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PINS = [
    line.partition("==")[::2]
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


def files(folder: Path) -> list[Path]:
    """Files below a folder of the repository, without what Python and the linters leave behind."""
    inside = [path.relative_to(ROOT) for path in folder.rglob("*") if path.is_file()]
    return sorted(path for path in inside if not any(part[0] in "._" for part in path.parts[:-1]))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the contents of the wheel, built from a copy so that the tree stays clean."""
    copy = tmp_path_factory.mktemp("copy")
    for name in TOP:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    target = tmp_path_factory.mktemp("site")
    install(copy, target)
    return target


def install(project: Path, target: Path) -> None:
    """Unpack the wheel of a project into a folder, which is what installers do with it."""
    code = "from setuptools.build_meta import build_wheel; build_wheel('dist')"
    run([sys.executable, "-c", code], project)
    (wheel,) = (project / "dist").glob("*.whl")
    zipfile.ZipFile(wheel).extractall(target)


def run(command: list[str], folder: Path, **environment: str) -> str:
    """What a command prints that ends well."""
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_list_of_packages_is_that_of_the_folders() -> None:
    folders = {init.parent.relative_to(ROOT) for name in TOP for init in (ROOT / name).rglob("__init__.py")}
    listed = PROJECT["tool"]["setuptools"]["packages"]
    assert sorted(".".join(folder.parts) for folder in folders) == sorted(listed)


def test_the_wheel_holds_every_file_of_the_packages(site: Path) -> None:
    missing = [str(path) for name in TOP for path in files(ROOT / name) if not (site / path).is_file()]
    assert missing == []


def test_an_installed_copy_finds_its_data_from_any_folder(site: Path, tmp_path: Path) -> None:
    # A folder of the user that is called like one of ours must not stand in its place.
    (tmp_path / "recipes").mkdir()
    code = """
import importlib.resources, pathlib, sys
from mmedit_build.checkpoints import BUNDLED, locate
for name in BUNDLED:
    assert locate(name).startswith(sys.argv[1]), locate(name)
for name in ("prompts", "recipes"):
    folder = importlib.resources.files(name)
    assert str(folder).startswith(sys.argv[1]), folder
    assert [item for item in folder.iterdir() if item.name.endswith((".md", ".txt", ".yaml"))]
"""
    run([sys.executable, "-c", code, str(site)], tmp_path, PYTHONPATH=str(site))


def test_what_another_package_adds_is_used_where_both_are_installed(site: Path, tmp_path: Path) -> None:
    others, folder = tmp_path / "others", tmp_path / "folder"
    documented_package(tmp_path / "project")
    install(tmp_path / "project", others)
    folder.mkdir()
    own_model(site, folder / "my_vl")
    own_benchmark(folder)
    where = "'--dataset', 'edits.json', '--images', '.', '--cache', 'cache', '--device', 'cpu'"
    code = f"""
import sys
from typer.testing import CliRunner
import my_package, mmedit_build
from evaluation.cli import app as evaluate
from mmedit_build.cli import app as build
for place, package in zip(sys.argv[1:], (mmedit_build, my_package)):
    assert package.__file__.startswith(place), package.__file__
def told(app, *arguments):
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output
assert 'louder' in told(evaluate, 'list')
assert 'MyVL' in told(evaluate, 'list', '--model', 'my_vl')
assert 'undo is exact' in told(evaluate, 'check', 'louder', '--limit', '1', {where})
assert 'louder' in told(evaluate, '--method', 'louder', '--model', 'my_vl', '--out', 'out', {where})
told(build, 'mine', 'mine.yaml', '--work', 'work', '--limit', '2')
"""
    path = os.pathsep.join(map(str, (site, others)))
    run([sys.executable, "-c", code, str(site), str(others)], folder, PYTHONPATH=path, HF_HUB_OFFLINE="1")
    header = json.loads((folder / "out" / "vqa" / "louder" / "run.json").read_text())
    assert (header["settings"]["model"], header["scored"]) == ("my_vl", 2)
    (line, *_) = (folder / "out" / "vqa" / "louder" / "results.jsonl").read_text().splitlines()
    assert json.loads(line)["probes"][0]["prompt"] == "Question: What is this? Answer:"
    assert "louder" in (folder / "out" / "report.html").read_text()
    (row, *_) = (folder / "work" / "mine" / "rows.jsonl").read_text().splitlines()
    assert json.loads(row)["id"].startswith("vqa/gqa/07")


def test_constraints_are_exact_sorted_and_without_local_versions() -> None:
    assert ("torch", "2.13.0") in PINS
    assert [name for name, version in PINS if not version or "+" in version] == []
    assert [name for name, _ in PINS] == sorted((name for name, _ in PINS), key=normal)


def test_each_dependency_is_pinned() -> None:
    project = PROJECT["project"]
    extras = [name for group in project["optional-dependencies"].values() for name in group]
    pinned = {normal(name) for name, _ in PINS}
    wanted = {normal(row.partition(">=")[0].partition("[")[0]) for row in project["dependencies"] + extras}
    assert wanted - pinned == set()


def normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
