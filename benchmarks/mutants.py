"""Bugs of one line that could be put into a file: a sign, a comparison, a dropped term, an ignored seed."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

OPERATORS: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
}
COMPARISONS: dict[type[ast.cmpop], tuple[str, dict[str, str]]] = {
    ast.Lt: ("<", {"inverted": ">=", "strictness": "<="}),
    ast.LtE: ("<=", {"inverted": ">", "strictness": "<"}),
    ast.Gt: (">", {"inverted": "<=", "strictness": ">="}),
    ast.GtE: (">=", {"inverted": "<", "strictness": ">"}),
    ast.Eq: ("==", {"inverted": "!="}),
    ast.NotEq: ("!=", {"inverted": "=="}),
    ast.In: ("in", {"inverted": "not in"}),
    ast.NotIn: ("not in", {"inverted": "in"}),
}
AGGREGATES = {
    **{"mean": "sum", "sum": "mean", "max": "min", "min": "max", "argmax": "argmin"},
    **{"any": "all", "all": "any", "cumsum": "cumprod", "fmean": "sum"},
}
DROPPED = {
    **{"detach": "detach or clone", "clone": "detach or clone", "copy": "detach or clone"},
    **dict.fromkeys(("abs", "square", "sqrt", "exp", "log", "clamp", "softmax", "sigmoid"), "quantity"),
    **dict.fromkeys(("log_softmax", "norm", "squeeze", "strip", "lower", "flatten"), "quantity"),
}
"""Methods whose call is left out, and the kind of bug that this is."""
UNWRAPPED = {"reversed", "sorted", "abs"}
OTHERS = {
    **{"train": "validation", "validation": "train", "before": "after", "after": "before"},
    **{"text_rephrase": "image_rephrase", "image_rephrase": "text_rephrase"},
    **{"text_locality": "image_locality", "image_locality": "text_locality"},
    **{"inputs": "outputs", "outputs": "inputs", "prompt_length": "length"},
    **{"target": "prompt", "target_ids": "prompt_ids", "left": "right", "right": "left"},
}
"""Attributes and names of things that are easily mistaken for each other."""
WORDS = {
    **{"train": "test", "test": "train", "text": "image", "image": "text", "target": "all", "all": "target"},
    **{"legacy": "wild", "wild": "legacy", "far": "near", "near": "far"},
}
"""The same for words."""
HARMLESS = {"strict", "exist_ok", "parents", "ignore_errors", "missing_ok", "non_blocking", "markup"}
"""Options whose value no result depends on."""


@dataclass(frozen=True)
class Mutant:
    """A file with one other line."""

    path: str
    line: int
    kind: str
    before: str
    after: str

    @property
    def name(self) -> str:
        told = f"without {self.before.strip()}" if self.after.strip() == "pass" else self.after.strip()
        return f"{self.path} | {told}"

    def applied(self, source: str) -> str:
        lines = source.splitlines(keepends=True)
        lines[self.line - 1] = lines[self.line - 1].replace(self.before, self.after)
        return "".join(lines)


def mutants(path: str, source: str) -> list[Mutant]:
    """All bugs that could be put into the functions of a file, each once."""
    finder = _Finder(path, source)
    finder.visit(ast.parse(source))
    return [one for one in dict.fromkeys(finder.found) if one.before != one.after and _parses(one, source)]


def _parses(mutant: Mutant, source: str) -> bool:
    try:
        ast.parse(mutant.applied(source))
    except SyntaxError:
        return False
    return True


class _Finder(ast.NodeVisitor):
    """Goes through the bodies of functions; annotations, defaults and messages of errors are no behavior."""

    def __init__(self, path: str, source: str) -> None:
        self.found: list[Mutant] = []
        self._path = path
        # In bytes, as the tree counts columns in them.
        self._lines = [line.encode() for line in source.splitlines()]
        self._inside = 0

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, (ast.FunctionDef, ast.Lambda)):
            self._inside += 1
            for part in node.body if isinstance(node.body, list) else [node.body]:
                self.visit(part)
            self._inside -= 1
            return
        if isinstance(node, ast.Raise) or _is_docstring(node):
            return
        if self._inside and isinstance(node, (ast.expr, ast.stmt)) and node.lineno == node.end_lineno:
            for kind, text in _changed(node, self._text):
                self._add(node, kind, text)
        # Places inside of f-strings are not to be relied on.
        if not isinstance(node, ast.JoinedStr):
            for child in _children(node):
                self.visit(child)

    def _text(self, node: ast.expr | ast.stmt) -> str:
        if node.lineno != node.end_lineno:
            return ""
        return self._lines[node.lineno - 1][node.col_offset : node.end_col_offset].decode()

    def _add(self, node: ast.expr | ast.stmt, kind: str, text: str) -> None:
        line = self._lines[node.lineno - 1]
        other = line[: node.col_offset] + text.encode() + line[node.end_col_offset :]
        self.found.append(Mutant(self._path, node.lineno, kind, line.decode(), other.decode()))


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "decorator_list"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not (isinstance(child, ast.keyword) and child.arg in HARMLESS):
                yield child


Text = Callable[["ast.expr | ast.stmt"], str]
"""What stands in the source for a part of the tree; nothing if it is longer than a line."""


def _changed(node: ast.expr | ast.stmt, text: Text) -> Iterator[tuple[str, str]]:
    """What could stand in the place of a part of the tree, and of which kind the bug would be."""
    for rule in (_operators, _comparisons, _logic, _constants, _calls, _names, _left_out):
        yield from rule(node, text)


def _operators(node: ast.expr | ast.stmt, text: Text) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS and not _is_text(node):
        sign, other = OPERATORS[type(node.op)]
        one, two = text(node.left), text(node.right)
        between = text(node)[len(one) : len(text(node)) - len(two)]
        yield "sign", one + between.replace(sign, other) + two
        yield "dropped term", one
        if sign in "-/":
            yield "swapped operands", f"({two}) {sign} ({one})"
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "sign", text(node.operand)


def _is_text(node: ast.BinOp) -> bool:
    """Whether a sum joins texts or lists, which cannot be subtracted."""
    joined = (ast.JoinedStr, ast.List, ast.Tuple, ast.ListComp)
    sides = (node.left, node.right)
    return any(
        isinstance(side, joined) or (isinstance(side, ast.Constant) and isinstance(side.value, str))
        for side in sides
    )


def _comparisons(node: ast.expr | ast.stmt, text: Text) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in COMPARISONS:
        sign, others = COMPARISONS[type(node.ops[0])]
        one, two = text(node.left), text(node.comparators[0])
        between = text(node)[len(one) : len(text(node)) - len(two)]
        for kind, other in others.items():
            yield kind, one + between.replace(sign, other, 1) + two


def _logic(node: ast.expr | ast.stmt, text: Text) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.BoolOp):
        sign, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        yield "logic", text(node).replace(f" {sign} ", f" {other} ", 1)
        yield "dropped term", text(node.values[0])
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "logic", text(node.operand)
    if isinstance(node, ast.IfExp):
        yield "inverted", f"{text(node.orelse)} if {text(node.test)} else {text(node.body)}"


def _constants(node: ast.expr | ast.stmt, text: Text) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.JoinedStr):
        yield "seed", re.sub(r"\{[\w.]*seed\}", "0", text(node))
    if not isinstance(node, ast.Constant):
        return
    if isinstance(node.value, bool):
        yield "logic", str(not node.value)
    elif isinstance(node.value, int):
        yield "off by one", str(node.value + 1)
    elif isinstance(node.value, str) and node.value in WORDS:
        yield "wrong one", f'"{WORDS[node.value]}"'


def _calls(node: ast.expr | ast.stmt, text: Text) -> Iterator[tuple[str, str]]:
    if not isinstance(node, ast.Call):
        return
    called = node.func
    if isinstance(called, ast.Attribute):
        if called.attr in AGGREGATES:
            rest = text(node)[len(text(called)) :]
            yield "aggregation", f"{text(called.value)}.{AGGREGATES[called.attr]}{rest}"
        if called.attr in DROPPED and text(called.value) not in {"torch", "F", "np"}:
            yield DROPPED[called.attr], text(called.value)
    if isinstance(called, ast.Name) and len(node.args) == 1 and called.id in UNWRAPPED:
        yield "order", f"list({text(node.args[0])})"
    if len(node.args) >= 2 and all(isinstance(one, (ast.Name, ast.Attribute)) for one in node.args[:2]):
        one, two = (text(argument) for argument in node.args[:2])
        yield "swapped operands", text(node).replace(f"{one}, {two}", f"{two}, {one}", 1)


def _names(node: ast.expr | ast.stmt, text: Text) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        if node.attr == "seed":
            yield "seed", "0"
        if node.attr in OTHERS:
            yield "wrong one", f"{text(node.value)}.{OTHERS[node.attr]}"
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        if node.id == "seed":
            yield "seed", "0"
        if node.id in OTHERS:
            yield "wrong one", OTHERS[node.id]


def _left_out(node: ast.expr | ast.stmt, _: Text) -> Iterator[tuple[str, str]]:
    called = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    stored = isinstance(node, (ast.Assign, ast.AugAssign)) and not isinstance(_target(node), ast.Name)
    if called or stored or isinstance(node, ast.AugAssign):
        yield "left out", "pass"


def _target(node: ast.Assign | ast.AugAssign) -> ast.expr:
    return node.target if isinstance(node, ast.AugAssign) else node.targets[0]
