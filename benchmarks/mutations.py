"""A mutation run: bugs of one line are put into the code, one at a time, and tests have to notice each.

    python -m benchmarks.mutations --count 60 editors evaluation

A bug is tried on a copy of the repository: first by the tests that belong to its file, then by those that
import it, or what imports it. What came of it is kept in --out, and the same command goes on where it
stopped; a larger --count adds to it. All tests have to pass before. Bugs that nobody could notice stand in
equivalent.txt and are not tried.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.mutants import Mutant, mutants

ROOT = Path(__file__).parent.parent
COPIED = ("benchmarks", "editors", "evaluation", "mmedit_build", "prompts", "recipes", "tests")
EQUIVALENT = Path(__file__).with_name("equivalent.txt")
CAUGHT, SURVIVED = "caught", "survived"
FAILED = {1, 2}
"""What pytest returns for tests that fail, and for those that cannot even be collected."""
HANGS = "does not end"
OF_ALL_EDITORS = ("tests/editors/test_contract.py", "tests/editors/test_seeds.py")
"""Tests that load editors by their names."""


def main(
    files: Annotated[list[str], typer.Argument(help="Files or folders that get bugs.")],
    count: Annotated[int, typer.Option(help="How many bugs are tried in all.")] = 60,
    seed: Annotated[int, typer.Option(help="Which ones.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder of what came of each.")] = Path("runs/mutations"),
    limit: Annotated[int, typer.Option(help="Seconds for the tests of one bug; longer is noticed.")] = 900,
) -> None:
    """Try bugs and tell which ones no test notices."""
    chosen = choose(files, count, seed)
    out.mkdir(parents=True, exist_ok=True)
    log = out / "mutants.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    known = {one["name"]: one for one in map(json.loads, lines)}
    with tempfile.TemporaryDirectory() as folder:
        copy = _copied(Path(folder))
        for number, mutant in enumerate(chosen, 1):
            if mutant.name not in known:
                by = tried(mutant, copy, limit)
                verdict = CAUGHT if by else SURVIVED
                known[mutant.name] = {**asdict(mutant), "name": mutant.name, "verdict": verdict, "by": by}
                with log.open("a") as file:
                    file.write(json.dumps(known[mutant.name]) + "\n")
            verdict = known[mutant.name]["verdict"]
            typer.echo(f"{number}/{len(chosen)} {verdict}: {mutant.kind}, {mutant.name} (line {mutant.line})")
    _tell(chosen, {name: str(one["verdict"]) for name, one in known.items()})


def choose(files: Sequence[str], count: int, seed: int) -> list[Mutant]:
    """As many bugs, of all kinds in turn, but for those of EQUIVALENT; more are the same ones and others."""
    by_kind: defaultdict[str, list[Mutant]] = defaultdict(list)
    for path in _sources(files):
        for mutant in mutants(path, (ROOT / path).read_text()):
            by_kind[mutant.kind].append(mutant)
    rng = random.Random(seed)
    for kind in sorted(by_kind):
        rng.shuffle(by_kind[kind])
    turns = [mutant for kind in by_kind for mutant in enumerate(by_kind[kind])]
    ordered = [mutant for _, mutant in sorted(turns, key=lambda turn: (turn[0], turn[1].kind))]
    listed = {" | ".join(line.split(" | ")[:2]) for line in EQUIVALENT.read_text().splitlines()}
    return [mutant for mutant in ordered if mutant.name not in listed][:count]


def _sources(files: Sequence[str]) -> Iterator[str]:
    for file in files:
        path = ROOT / file
        for found in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            yield str(found.relative_to(ROOT))


def _copied(folder: Path) -> Path:
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def tried(mutant: Mutant, copy: Path, limit: int) -> str:
    """The test that notices a bug; nothing if none does."""
    path = copy / mutant.path
    source = path.read_text()
    path.write_text(mutant.applied(source))
    try:
        found = (_failing(tests, copy, limit) for tests in belonging(mutant.path, copy))
        return next(filter(None, found), "")
    finally:
        path.write_text(source)


def belonging(path: str, root: Path) -> Iterator[list[str]]:
    """The test files that belong to a file, by name; then all others that import it, or what imports it."""
    folder, _, name = path.removesuffix(".py").rpartition("/")
    own = sorted(root.glob(f"tests/{folder}/test_{name}*.py"))
    direct = _module(path)
    near = {
        direct,
        *(
            _module(str(one.relative_to(root)))
            for one in _importing({direct}, root.glob(f"{folder.split('/')[0]}/**/*.py"))
        ),
    }
    others = [test for test in _importing(near, root.glob("tests/**/test_*.py")) if test not in own]
    others += [
        root / test for test in OF_ALL_EDITORS if path.startswith("editors/") and root / test not in others
    ]
    yield from ([str(test.relative_to(root)) for test in tests] for tests in (own, others) if tests)


def _module(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _importing(modules: Collection[str], files: Iterable[Path]) -> list[Path]:
    """The files that import one of the modules, or name it."""
    named = re.compile(
        "|".join(
            rf"\b(?:from|import) {re.escape(one)}(?: import|$)|\"{re.escape(one)}[:.]" for one in modules
        ),
        re.MULTILINE,
    )
    return [file for file in sorted(files) if named.search(file.read_text())]


def _failing(tests: Sequence[str], copy: Path, limit: int) -> str:
    """The first test that fails; nothing if all pass."""
    # Without a limit for each test: on a busy machine they would fail by it.
    options = ["-x", "-q", "--tb=no", "-p", "no:cacheprovider", "-o", "timeout=0"]
    command = [sys.executable, "-m", "pytest", *options, *tests]
    environment = os.environ | {
        "PYTHONPATH": str(copy),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HF_HUB_OFFLINE": "1",
    }
    try:
        done = subprocess.run(
            command, cwd=copy, env=environment, timeout=limit, capture_output=True, text=True, check=False
        )
    except subprocess.TimeoutExpired:
        return HANGS
    if done.returncode not in {0, *FAILED}:
        raise RuntimeError(f"{' '.join(command)} cannot be run: {done.stdout[-500:]}")
    told = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    return (told[1] if told else "collecting") if done.returncode in FAILED else ""


def _tell(chosen: Sequence[Mutant], verdicts: dict[str, str]) -> None:
    of_kind = Counter(one.kind for one in chosen)
    noticed = Counter(one.kind for one in chosen if verdicts[one.name] == CAUGHT)
    for kind in sorted(of_kind):
        typer.echo(f"{kind}: {noticed[kind]} of {of_kind[kind]}")
    share = 100 * noticed.total() / max(1, len(chosen))
    typer.echo(f"Noticed {noticed.total()} of {len(chosen)} ({share:.0f}%).")


if __name__ == "__main__":
    typer.run(main)
