"""What README and docs promise, tried: Python runs, recipes load, commands and files exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

import evaluation.cli
import mmedit_build.cli
from mmedit_build.recipe.loading import load_recipe

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text()
PAGES = [README, *(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))]
APPS = {"mmedit-build": mmedit_build.cli.app, "mmedit-eval": evaluation.cli.app}


def blocks(language: str, page: str = README) -> list[str]:
    """Those in lists, too, which are indented."""
    return re.findall(rf"^ *```{language}\n(.*?)^ *```$", page, re.MULTILINE | re.DOTALL)


def commands(page: str = README) -> list[str]:
    lines = "".join(blocks("sh", page)).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip()]


def test_the_python_example_runs(tmp_path: Path) -> None:
    (example,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "['red']\n"


def calls(program: str) -> list[list[str]]:
    """What follows a program's name in commands of the pages, some of which another program starts."""
    lines = [shlex.split(line, comments=True) for page in PAGES for line in commands(page)]
    return [words[words.index(program) + 1 :] for words in lines if program in words]


def options(arguments: list[str]) -> set[str]:
    return {argument for argument in arguments if argument.startswith("--")}


@pytest.mark.parametrize(
    ("program", "arguments"), [(program, arguments) for program in APPS for arguments in calls(program)]
)
def test_each_command_and_its_options_exist(program: str, arguments: list[str]) -> None:
    command: Any = typer.main.get_command(APPS[program])
    rest = list(arguments)
    # The options of mmedit-eval itself come without the name of a command; others have commands of their own.
    while hasattr(command, "get_command") and not rest[0].startswith("--"):
        command = command.get_command(None, rest.pop(0))
        assert command is not None
    assert options(rest) <= {name for one in command.params for name in (*one.opts, *one.secondary_opts)}


@pytest.mark.parametrize("arguments", [one for one in calls("-m") if options(one)])
def test_each_module_and_its_options_exist(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", arguments[0], "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert options(arguments) <= set(re.findall(r"--[a-z-]+", done.stdout))


def test_no_page_is_left_out() -> None:
    """Of a page whose blocks are written otherwise, no command would be tried."""
    assert sum(len(calls(program)) for program in (*APPS, "-m")) > 70
    assert {name for page in PAGES for name in re.findall(r"^ *```(\w*)", page, re.MULTILINE)} == {
        *("", "sh", "python", "yaml", "json", "text", "toml"),
    }


def test_the_recipe_of_the_tutorial_is_one(tmp_path: Path) -> None:
    (text,) = blocks("yaml", TUTORIAL)
    (tmp_path / "mine.yaml").write_text(text)
    recipe = load_recipe(str(tmp_path / "mine.yaml"))
    assert recipe.mine.vqa is not None
    assert (recipe.mine.vqa.sizes.train, recipe.mine.vqa.sizes.test) == (800, 200)
    # Edits are mined with as many to spare as the page reckons with.
    assert recipe.mine.spare == 0.5


def test_make_demo_runs_the_commands_of_the_readme() -> None:
    done = subprocess.run(
        ["make", "--dry-run", "demo"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    made = [shlex.split(line) for line in done.stdout.replace("\\\n", " ").splitlines() if "mmedit-" in line]
    written = [shlex.split(line) for line in commands() if line.startswith("mmedit-")]
    assert [[Path(words[0]).name, *words[1:]] for words in made] == written


def test_each_target_of_make_exists() -> None:
    targets = set(re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE))
    assert {"demo", "test", "check"} <= targets
    makefile = (ROOT / "Makefile").read_text()
    assert [name for name in targets if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []


def test_each_path_of_the_tree_exists() -> None:
    (tree,) = blocks("text")
    folder = Path()
    for line in tree.splitlines():
        name = line.split()[0]
        path = Path(name) if not line.startswith(" ") else folder / name
        folder = path if not line.startswith(" ") else folder
        assert (ROOT / path).exists(), path


def test_each_link_to_a_file_works() -> None:
    links = [link for link in re.findall(r"(?:\]\(|src=\")([^)\"]+)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
