"""The arrows between the packages, and cores that know no clock and no chance."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guards.source import ROOT, modules, name_of, tree_of

PURE = (
    *("services/intake/core.py", "services/intake/rules.py"),
    *(f"services/vneid_mock/{name}.py" for name in ("registry", "faults", "personas", "core")),
    *("services/scoring/rollup.py", "services/scoring/pattern.py"),
    *(f"simulation/{name}.py" for name in ("population", "arrivals", "oracle", "checkers")),
)
# These read the packaged data files, or write derived ones; no clock there either.
FILES_ALLOWED = ("domain/loading.py", "domain/tables.py", "contracts/generate.py")
CLOCK_AND_CHANCE = {"time", "random", "secrets", "uuid", "asyncio", "threading", "socket", "subprocess"}
INPUT_AND_OUTPUT = {"os", "io", "pathlib", "shutil", "sqlite3", "aiokafka", "faststream", "httpx", "runtime", "logging"}
CLOCK_CALLS = {"now", "today", "utcnow"}
ALLOWED_PACKAGES = {"contracts", "domain", "orjson", "pydantic", "pydantic_core"}


def pure_modules() -> list[Path]:
    whole = [path for path in modules("domain", "contracts") if "tools" not in path.parts]
    return [*(path for path in whole if name_of(path) not in FILES_ALLOWED), *(ROOT / name for name in PURE)]


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def clock_calls(tree: ast.Module) -> list[str]:
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [ast.unparse(call) for call in calls if isinstance(call, ast.Attribute) and call.attr in CLOCK_CALLS]


def test_the_import_contracts_are_kept():
    program = Path(sys.executable).with_name("lint-imports")
    found = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=50)
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_import_contracts_name_the_packages():
    layers = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"][0]
    assert layers["layers"] == ["benchmarks", "simulation", "services", "runtime", "contracts", "domain"]


@pytest.mark.parametrize("path", pure_modules(), ids=name_of)
def test_a_core_knows_no_clock_and_no_chance(path):
    tops = {name.partition(".")[0] for name in imported(tree_of(path))}
    assert tops & CLOCK_AND_CHANCE == set()
    assert clock_calls(tree_of(path)) == []


@pytest.mark.parametrize("path", [ROOT / name for name in PURE], ids=name_of)
def test_a_core_reads_and_writes_nothing(path):
    tops = {name.partition(".")[0] for name in imported(tree_of(path))}
    assert tops & INPUT_AND_OUTPUT == set()
    own = {"services", "simulation"}
    assert tops - set(sys.stdlib_module_names) <= ALLOWED_PACKAGES | own


def test_a_service_never_imports_another():
    for path in modules("services"):
        service = path.relative_to(ROOT).parts[1]
        others = {
            name for name in imported(tree_of(path)) if name.startswith("services.") and name.split(".")[1] != service
        }
        # No services: what several of them use and the runtime does without.
        assert others <= {"services.tracing", "services.http_guard"}, name_of(path)


def test_no_module_imports_relatively():
    for path in modules():
        nodes = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.ImportFrom)]
        assert all(node.level == 0 for node in nodes), name_of(path)
