"""What the README promises, tried: its Python runs, its commands and files exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import evaluation.cli
import mmedit_build.cli

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
APPS = {"mmedit-build": mmedit_build.cli.app, "mmedit-eval": evaluation.cli.app}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    lines = "".join(blocks("sh")).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip()]


def test_the_python_example_runs(tmp_path: Path) -> None:
    (example,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "['red']\n"


@pytest.mark.parametrize("line", [line for line in commands() if line.startswith("mmedit-")])
def test_each_command_and_its_options_exist(line: str) -> None:
    program, name, *arguments = shlex.split(line)
    group = typer.main.get_command(APPS[program])
    # The options of mmedit-eval itself come without the name of a command.
    command = group if name.startswith("--") else group.get_command(None, name)  # type: ignore[attr-defined]
    assert command is not None
    known = {option for parameter in command.params for option in parameter.opts}
    assert {argument for argument in arguments if argument.startswith("--")} <= known


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
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
