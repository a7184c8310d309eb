"""What the two commands share: quick help, and one sentence for a user's mistake."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import pytest
import typer

HEAVY = ("torch", "transformers", "diffusers", "datasets", "pyarrow", "numpy", "openai", "PIL")
CLIS = {"mmedit-build": "mmedit_build.cli", "mmedit-eval": "evaluation.cli"}


def run(module: str, *arguments: str, after: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command line as its console script does, then `after` when it has exited."""
    code = (
        f"import sys; from {module} import main\n"
        f"try: main()\nexcept SystemExit as left: code = left.code\n{after}\nsys.exit(code)"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("module", CLIS.values())
def test_help_loads_no_heavy_library(module: str) -> None:
    after = f"loaded = set({HEAVY!r}) & set(sys.modules)\nassert not loaded, loaded"
    done = run(module, "--help", after=after)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


@pytest.mark.parametrize("arguments", [["list"], ["list", "mend"], ["list", "serac", "--json"]])
def test_lists_load_no_library_of_models(arguments: list[str]) -> None:
    after = f"loaded = (set({HEAVY!r}) - {{'numpy'}}) & set(sys.modules)\nassert not loaded, loaded"
    done = run("evaluation.cli", *arguments, after=after)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "modules", ["mmedit_build.steps, mmedit_build.plan", "evaluation.report.page, evaluation.viewing.app"]
)
def test_what_asks_no_model_loads_no_library_of_models(modules: str) -> None:
    """Publishing, plans and reports: such libraries take seconds, and more memory than a million rows."""
    code = (
        f"import sys, {modules}\nloaded = {{'torch', 'transformers'}} & set(sys.modules)\nassert not loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("module", CLIS.values())
def test_no_help_is_in_brackets_which_are_taken_for_markup(module: str) -> None:
    group = typer.main.get_command(importlib.import_module(module).app)
    commands = [group, *group.commands.values()]  # type: ignore[attr-defined]
    texts = [getattr(parameter, "help", None) or "" for command in commands for parameter in command.params]
    assert len(texts) > 40
    assert [text for text in texts if "[" in text] == []


@pytest.mark.parametrize("module", CLIS.values())
def test_help_is_quick(module: str) -> None:
    def worked() -> float:
        """Of the processor, by children that have ended: other processes make them wait, not work."""
        used = getrusage(RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    def seconds() -> float:
        before = worked()
        run(module, "--help")
        return worked() - before

    # The best of a few, as others spoil the processor's caches; the promise is one second.
    assert min(seconds() for _ in range(3)) < 1.0


@pytest.mark.parametrize(
    ("module", "arguments"),
    [("mmedit_build.cli", ["miniature", "--help"]), ("evaluation.cli", ["base", "--help"])],
)
def test_each_command_has_help(module: str, arguments: list[str]) -> None:
    assert run(module, *arguments).returncode == 0


@pytest.mark.parametrize("command", CLIS)
def test_console_scripts_are_installed(command: str) -> None:
    script = Path(sys.executable).parent / command
    done = subprocess.run([script, "--help"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert command in done.stdout


def test_a_mistake_is_one_sentence_without_a_traceback() -> None:
    done = run("evaluation.cli", "base", "--model", "miniature/mlm")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: There is no bundled checkpoint 'miniature/mlm'")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_an_unknown_option_is_refused() -> None:
    assert run("mmedit_build.cli", "miniature", "--oot", "x").returncode == 2


@pytest.mark.parametrize("module", CLIS.values())
def test_the_version_is_told_without_a_heavy_library(module: str) -> None:
    after = f"loaded = set({HEAVY!r}) & set(sys.modules)\nassert not loaded, loaded"
    done = run(module, "--version", after=after)
    assert (done.returncode, done.stdout) == (0, f"mmedit {version('mmedit')}\n"), done.stderr


@pytest.mark.parametrize(
    ("command", "words", "offered"),
    [
        ("mmedit-eval", "mmedit-eval --method ft-", ["ft-dataset", "ft-l", "ft-vision"]),
        ("mmedit-eval", "mmedit-eval --method ft,mem", ["ft,memit"]),
        ("mmedit-eval", "mmedit-eval rep", ["report"]),
        ("mmedit-build", "mmedit-build run miniature", ["miniature", "miniature-qwen"]),
    ],
)
def test_shells_complete_commands_methods_and_recipes(command: str, words: str, offered: list[str]) -> None:
    asked = {
        f"_{command.upper().replace('-', '_')}_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    script = Path(sys.executable).parent / command
    done = subprocess.run(
        [script], env=os.environ | asked, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.split() == offered


@pytest.mark.parametrize(
    ("module", "arguments", "sentence"),
    [
        ("evaluation.cli", ["--methd", "ft"], "has no option --methd; did you mean --method?"),
        # Nothing is near it, least of all what installs completion.
        ("evaluation.cli", ["--nooption"], "has no option --nooption. "),
        ("evaluation.cli", ["list", "--jsn"], "list has no option --jsn; did you mean --json?"),
        ("mmedit_build.cli", ["recipe", "new", "a", "--mdel"], "recipe new has no option --mdel; did you"),
        ("mmedit_build.cli", ["run", "-x"], "run has no option -x. "),
    ],
)
def test_an_option_that_is_none_is_one_sentence(module: str, arguments: list[str], sentence: str) -> None:
    done = run(module, *arguments)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ")
    assert sentence in line
    assert "--help` shows those that it has." in line
    assert "completion" not in line


@pytest.mark.parametrize(
    ("module", "arguments", "sentence"),
    [
        ("mmedit_build.cli", ["rn"], ": No such command 'rn'. Did you mean 'run'? `"),
        ("mmedit_build.cli", ["run", "a", "b"], "run: Got unexpected extra argument"),
        ("evaluation.cli", ["--limit", "x"], "'--limit': "),
        ("evaluation.cli", ["--method"], "requires an argument. `"),
    ],
)
def test_whatever_else_is_mistyped_is_one_sentence(module: str, arguments: list[str], sentence: str) -> None:
    done = run(module, *arguments)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ")
    assert sentence in line
    assert line.endswith("--help` shows what there is.")


def test_a_command_that_is_told_nothing_shows_its_help() -> None:
    done = run("mmedit_build.cli")
    assert "Usage: " in done.stdout + done.stderr
    assert "Error: " not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["import", "a"], "import needs --work; "),
        (["recipe", "new"], "recipe new needs FILE; "),
        (["review"], "review needs WORK; "),
    ],
)
def test_what_a_command_lacks_is_one_sentence(arguments: list[str], sentence: str) -> None:
    done = run("mmedit_build.cli", *arguments)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert sentence in line
