"""Budgets that keep the code readable: when one breaks, split or delete, do not raise it."""

import ast
import re
from pathlib import Path
from statistics import median, quantiles

from tests.support.source import ROOT, length_of, logical_lines, modules, name_of, tree_of

# What has to be read before the guarantee is believed, and taken along when the kernel is lifted out.
KERNEL = (
    "consumer.py",
    "log_positions.py",
    "messages.py",
    "partition_state.py",
    "processor.py",
    "publisher.py",
    "subscription.py",
)


def functions() -> list[tuple[int, str]]:
    """Return the length in lines, docstring left out, and the place of every function of the product."""
    return [
        (length_of(node), f"{name_of(path)}:{node.lineno} {node.name}")
        for path in modules()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def lines(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())


def test_most_functions_fit_in_a_glance():
    lengths = [length for length, _ in functions()]
    assert median(lengths) <= 8
    assert quantiles(lengths, n=10)[-1] <= 25


def test_no_function_needs_scrolling():
    assert [place for length, place in functions() if length > 50] == []


def test_modules_stay_small():
    sizes = {name_of(path): lines(path) for path in modules() if path.name != "__init__.py"}
    assert {name: size for name, size in sizes.items() if size > 400} == {}
    assert median(sizes.values()) <= 110


def test_the_kernel_stays_explainable():
    assert sum(logical_lines(ROOT / "runtime" / name) for name in KERNEL) <= 720


def test_tests_seldom_patch():
    """A patch ties a test to the inside of what it tests; the doors are arguments."""
    text = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("*.py"))
    patches = len(re.findall(r"\.setattr\(|\.setitem\(|mock\.patch|^\s*@patch", text, re.MULTILINE))
    tests = len(re.findall(r"^\s*(?:async )?def test_", text, re.MULTILINE))
    assert patches / tests <= 0.05


def test_the_readme_fits_on_a_few_screens():
    assert lines(ROOT / "README.md") <= 150
