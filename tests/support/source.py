"""The product's own source, as the guards read it."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("benchmarks", "contracts", "domain", "examples", "runtime", "services", "paperless")


@cache
def modules(*packages: str) -> tuple[Path, ...]:
    """Return the Python files of these packages (all of the product's when none is named), by path."""
    return tuple(path for package in packages or PACKAGES for path in sorted((ROOT / package).rglob("*.py")))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                yield first.value


def strings(path: Path) -> Iterator[ast.Constant]:
    """Yield the text literals of a module, docstrings left out."""
    tree = tree_of(path)
    skipped = set(map(id, docstrings(tree)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node


def logical_lines(path: Path) -> int:
    """Return the number of statements, docstrings left out: what a line was before the formatter broke it."""
    tree = tree_of(path)
    statements = sum(isinstance(node, ast.stmt) for node in ast.walk(tree))
    return statements - len(list(docstrings(tree)))


def length_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return a function's lines without its docstring."""
    own = next(docstrings(ast.Module([function], [])), None)
    described = (own.end_lineno or own.lineno) - own.lineno + 1 if own else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - described
