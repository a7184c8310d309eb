"""Imports go one way, never in circles: evaluation -> editors -> mmedit_build; mllm nearly stands alone."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("mmedit_build", "editors", "evaluation", "benchmarks")


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


def circles(graph: Mapping[str, Collection[str]]) -> list[list[str]]:
    """Of each module that comes back to itself, the shortest way round; each circle once."""
    found: dict[tuple[str, ...], list[str]] = {}
    for module in graph:
        way = _way(graph, module, module)
        if way is not None:
            found.setdefault(tuple(sorted(way)), way)
    return list(found.values())


def _way(graph: Mapping[str, Collection[str]], start: str, end: str) -> list[str] | None:
    """The modules from one to the next that is imported, up to and without the end."""
    ways = {start: [start]}
    queue = [start]
    for module in queue:
        for following in graph[module]:
            if following == end:
                return ways[module]
            if following not in ways:
                ways[following] = [*ways[module], following]
                queue.append(following)
    return None


def modules(root: Path, packages: Sequence[str]) -> dict[str, list[str]]:
    """Each module of these packages, with those of them that it imports at any depth, for types too."""
    paths = [path for package in packages for path in sorted((root / package).rglob("*.py"))]
    named = {_name(path.relative_to(root)): path for path in paths}
    return {name: _ours(name, path, named) for name, path in named.items()}


def _ours(name: str, path: Path, named: Collection[str]) -> list[str]:
    whole = (full if full in named else full.rpartition(".")[0] for full in imported(path))
    return sorted({one for one in whole if one in named and one != name})


def _name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("package", ["mmedit_build", "editors", "evaluation", "mmedit_build/mllm"])
def test_there_is_something_to_check(package: str) -> None:
    assert sources(package)


def test_mmedit_build_imports_neither_editors_nor_evaluation() -> None:
    assert offenders("mmedit_build", "editors", "evaluation") == []


def test_editors_do_not_import_evaluation() -> None:
    assert offenders("editors", "evaluation") == []


def test_mllm_imports_of_ours_only_what_reads_and_keeps_files_plugins_and_errors() -> None:
    files = ("checkpoints", "image_files", "pictures", "files", "store")
    allowed = tuple(f"mmedit_build.{name}" for name in ("mllm", "errors", "plugins", *files))
    assert offenders("mmedit_build/mllm", "mmedit_build", "prompts", "recipes", allowed=allowed) == []


def test_checkpoints_import_nothing_of_ours_but_errors_and_storage() -> None:
    allowed = ("mmedit_build.checkpoints", "mmedit_build.errors", "mmedit_build.storage.copies")
    ours = ("mmedit_build", "editors", "evaluation", "prompts", "recipes")
    assert offenders("mmedit_build/checkpoints", *ours, allowed=allowed) == []


def rooms(*names: str) -> tuple[str, ...]:
    return tuple(f"evaluation.{name}" for name in names)


@pytest.mark.parametrize(
    ("room", "above"),
    [
        ("data", ("protocols", "results", "run", "drawing", "tracing", "report")),
        ("protocols", ("results", "run", "drawing", "tracing", "report")),
        ("results", ("run", "drawing", "tracing", "report")),
        ("run", ("drawing", "tracing", "report")),
        ("tracing", ("report",)),
    ],
)
def test_each_room_of_the_evaluation_imports_of_others_only_those_below(
    room: str, above: tuple[str, ...]
) -> None:
    assert sources(f"evaluation/{room}")
    assert offenders(f"evaluation/{room}", *rooms(*above)) == []


def test_drawing_imports_nothing_of_ours_but_mmedit_build() -> None:
    ours = ("editors", "evaluation", "prompts", "recipes")
    assert sources("evaluation/drawing")
    assert offenders("evaluation/drawing", *ours, allowed=rooms("drawing")) == []


def test_rooms_do_not_import_the_commands_that_use_them() -> None:
    commands = rooms("check_command", "cli", "judge_command", "listing", "found", "vqa", "vqa_command")
    for room in ("data", "protocols", "results", "run", "drawing", "tracing", "report"):
        assert offenders(f"evaluation/{room}", *commands) == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = modules(ROOT, PACKAGES)
    assert len(graph) > 200
    assert circles(graph) == []


def test_circles_are_found_wherever_the_imports_stand(tmp_path: Path) -> None:
    texts = {
        "__init__": "",
        "a": "from box import b\n",
        "b": "def f():\n    from box.c import x\n",
        "c": "if TYPE_CHECKING:\n    import box.a\n",
        "d": "import box.a\n",
    }
    (tmp_path / "box").mkdir()
    for name, text in texts.items():
        (tmp_path / "box" / f"{name}.py").write_text(text)
    graph = modules(tmp_path, ["box"])
    assert circles(graph) == [["box.a", "box.b", "box.c"]]
    assert circles({**graph, "box.c": []}) == []


def test_an_offender_is_found_at_any_depth_and_in_any_form(tmp_path: Path) -> None:
    path = tmp_path / "file.py"
    path.write_text("import a.b\ndef f():\n    from c import d, e\n    import g as h\n")
    assert sorted(imported(path)) == ["a.b", "c.d", "c.e", "g"]
    inside = ROOT / "mmedit_build" / "mllm" / "file.py"
    node = ast.parse("from ..stages import mine").body[0]
    assert isinstance(node, ast.ImportFrom)
    assert _absolute(node, inside) == "mmedit_build.stages"
