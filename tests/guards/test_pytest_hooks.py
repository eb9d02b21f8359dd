"""The hooks of tests/conftest.py do what they say, in one process and in several."""

import os
import re
import subprocess
import sys

import pytest

from tests.support.source import ROOT

CONFTEST = """
from tests.conftest import pytest_addoption, pytest_collection_modifyitems, pytest_configure
"""
LIMIT_S = 10.0
# Time passes without waiting: pytest times a test by this clock.
AGEING = """
import pytest, _pytest.timing as timing

def ages(seconds):
    real = timing.perf_counter
    timing.perf_counter = lambda: real() + seconds

def test_quick(): pass
def test_unmarked(): ages({seconds})
@pytest.mark.slow(reason="it is")
def test_marked(): ages({seconds})
"""
IN_CONTAINERS = """
import pytest

@pytest.fixture(scope="session")
def kafka(): pass

@pytest.mark.container
@pytest.mark.parametrize("number", range(9))
def test_shared(kafka, number): pass

@pytest.mark.container
@pytest.mark.parametrize("number", range(9))
def test_own(number): pass

def test_that_anybody_may_run(): pass
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n  slow\n  container\n  system\n")

    def run(tests: str, *options: object, modules: tuple[str, ...] = ("it",)) -> subprocess.CompletedProcess[str]:
        for module in modules:
            (tmp_path / f"test_{module}.py").write_text(tests)
        command = [sys.executable, "-m", "pytest", "-p", "xdist", "--rootdir", tmp_path, *map(str, options), tmp_path]
        own = {"PYTEST_ADDOPTS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}
        env = {**os.environ, **own}
        return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=50, check=False)

    return run


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (LIMIT_S + 1, pytest.ExitCode.OK),
        (5 * LIMIT_S - 1, pytest.ExitCode.OK),
        (5 * LIMIT_S + 1, pytest.ExitCode.TESTS_FAILED),
    ],
)
def test_a_slow_test_that_is_not_marked_is_named_and_fails_the_run_over_five_times_the_limit(
    run, seconds, code, workers
):
    ran = run(AGEING.format(seconds=seconds), "--numprocesses", workers, "--slow-limit", LIMIT_S)
    assert ran.returncode == code, ran.stdout + ran.stderr
    assert "3 passed" in ran.stdout
    [line] = [line for line in ran.stdout.splitlines() if "::test_unmarked" in line]
    assert line.split()[:3] == ["warning:", str(seconds), "s"]
    assert ("fails the run: over 50 s" in line) == (code != pytest.ExitCode.OK)
    assert "::test_marked" not in ran.stdout


def test_who_shares_a_container_or_a_module_with_some_is_on_one_worker(run):
    loads = ("--dist=loadgroup", "--no-loadscope-reorder", "--verbose")
    ran = run(IN_CONTAINERS, "--numprocesses", 3, *loads, modules=("one", "other"))
    assert ran.returncode == 0, ran.stdout + ran.stderr

    def workers(test: str) -> list[str]:
        return re.findall(rf"\[(gw\d)\].*PASSED.*{test}\[", ran.stdout)

    assert (len(workers("shared")), len(set(workers("shared")))) == (18, 1)
    for module in ("one", "other"):
        own = workers(rf"test_{module}\.py::test_own")
        assert (len(own), len(set(own))) == (9, 1)
