"""The arrows between the packages, and cores that know no clock, no chance and no files."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.source import ROOT, modules, name_of, tree_of

CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
# These read the files that are packaged with them; no clock there either.
FILES_ALLOWED = (
    "domain/loading.py",
    "domain/tables.py",
    "paperless/language/texts.py",
    "paperless/population/scenario.py",
)
CLOCK_AND_CHANCE = {"time", "random", "secrets", "uuid", "asyncio", "threading", "socket", "subprocess"}
INPUT_AND_OUTPUT = {"os", "io", "pathlib", "shutil", "sqlite3", "aiokafka", "faststream", "httpx", "runtime", "logging"}
CLOCK_CALLS = {"now", "today", "utcnow"}
ALLOWED_PACKAGES = {
    "contracts",
    "domain",
    "msgspec",
    "numpy",
    "orjson",
    "paperless",
    "pydantic",
    "pydantic_core",
    "services",
}


def contract(name: str) -> dict[str, list[str]]:
    """Return the import contract whose name begins so."""
    return next(each for each in CONTRACTS if each["name"].startswith(f"{name}:"))


def pure_modules() -> list[Path]:
    """Return the files of the modules and packages that the linter's configuration calls pure."""
    places = [ROOT.joinpath(*name.split(".")) for name in contract("pure")["source_modules"]]
    return sorted(
        path for place in places for path in (place.rglob("*.py") if place.is_dir() else [place.with_suffix(".py")])
    )


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def clock_calls(tree: ast.Module) -> list[str]:
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [ast.unparse(call) for call in calls if isinstance(call, ast.Attribute) and call.attr in CLOCK_CALLS]


def test_every_package_stands_in_the_layers():
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages == {name for layer in contract("arrows")["layers"] for name in layer.split(" | ")}


@pytest.mark.parametrize("path", pure_modules(), ids=name_of)
def test_a_core_knows_no_clock_no_chance_and_no_files(path):
    tops = {name.partition(".")[0] for name in imported(tree_of(path))}
    assert tops & CLOCK_AND_CHANCE == set()
    assert clock_calls(tree_of(path)) == []
    if name_of(path) not in FILES_ALLOWED:
        assert tops & INPUT_AND_OUTPUT == set()
        assert tops - set(sys.stdlib_module_names) <= ALLOWED_PACKAGES


def test_no_module_imports_relatively():
    for path in modules():
        nodes = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.ImportFrom)]
        assert all(node.level == 0 for node in nodes), name_of(path)


def test_no_test_module_imports_another():
    for path in modules("tests"):
        taken = [name for name in imported(tree_of(path)) if name.rpartition(".")[2].startswith("test_")]
        assert taken == [], f"{name_of(path)}: move what both need to tests/support"
