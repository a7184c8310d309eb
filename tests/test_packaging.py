"""What an installed mmedit must contain, checked on a wheel that is built from this tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

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
    code = "from setuptools.build_meta import build_wheel; build_wheel('dist')"
    done = subprocess.run([sys.executable, "-c", code], cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = (copy / "dist").glob("*.whl")
    target = tmp_path_factory.mktemp("site")
    zipfile.ZipFile(wheel).extractall(target)
    return target


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
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(site)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


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
