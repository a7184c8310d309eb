"""Imports go one way: evaluation -> editors -> mmedit_build, and mllm nearly stands on its own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Dotted names of all that a file imports, at any depth of its code."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node, path)
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _absolute(node: ast.ImportFrom, path: Path) -> str:
    if not node.level:
        return node.module or ""
    folder = path.relative_to(ROOT).parts[: -node.level]
    return ".".join([*folder, *([node.module] if node.module else [])])


def offenders(package: str, *forbidden: str, allowed: tuple[str, ...] = ()) -> list[str]:
    def within(name: str, packages: tuple[str, ...]) -> bool:
        return any(name == inner or name.startswith(f"{inner}.") for inner in packages)

    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources(package)
        for name in imported(path)
        if within(name, forbidden) and not within(name, allowed)
    ]


@pytest.mark.parametrize("package", ["mmedit_build", "editors", "evaluation", "mmedit_build/mllm"])
def test_there_is_something_to_check(package: str) -> None:
    assert sources(package)


def test_mmedit_build_imports_neither_editors_nor_evaluation() -> None:
    assert offenders("mmedit_build", "editors", "evaluation") == []


def test_editors_do_not_import_evaluation() -> None:
    assert offenders("editors", "evaluation") == []


def test_mllm_imports_of_ours_only_what_reads_checkpoints_and_images_and_errors() -> None:
    read = ("mmedit_build.checkpoints", "mmedit_build.image_files")
    allowed = ("mmedit_build.mllm", "mmedit_build.errors", *read)
    assert offenders("mmedit_build/mllm", "mmedit_build", "prompts", "recipes", allowed=allowed) == []


def test_checkpoints_import_nothing_of_ours_but_errors() -> None:
    allowed = ("mmedit_build.checkpoints", "mmedit_build.errors")
    ours = ("mmedit_build", "editors", "evaluation", "prompts", "recipes")
    assert offenders("mmedit_build/checkpoints", *ours, allowed=allowed) == []


def test_an_offender_is_found_at_any_depth_and_in_any_form(tmp_path: Path) -> None:
    path = tmp_path / "file.py"
    path.write_text("import a.b\ndef f():\n    from c import d, e\n    import g as h\n")
    assert sorted(imported(path)) == ["a.b", "c.d", "c.e", "g"]
    inside = ROOT / "mmedit_build" / "mllm" / "file.py"
    node = ast.parse("from ..stages import mine").body[0]
    assert isinstance(node, ast.ImportFrom)
    assert _absolute(node, inside) == "mmedit_build.stages"
