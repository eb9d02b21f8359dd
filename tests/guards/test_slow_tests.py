"""The guard of tests that take too long finds them, in whichever process they ran."""

import os
import subprocess
import sys

import pytest

from tests.support.source import ROOT

LIMIT_S = 10.0
# Time passes without waiting: pytest times a test by this clock.
TESTS = f"""
import pytest, _pytest.timing as timing

def ages(seconds):
    real = timing.perf_counter
    timing.perf_counter = lambda: real() + seconds

def test_quick(): pass
def test_unmarked(): ages({LIMIT_S + 1})
@pytest.mark.slow(reason="it is")
def test_marked(): ages({LIMIT_S + 1})
"""
CONFTEST = f"""
from tests.support.slow_tests import SlowTests

def pytest_configure(config):
    config.addinivalue_line("markers", "slow")
    config.pluginmanager.register(SlowTests({LIMIT_S}))
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_a_slow_test_that_is_not_marked_fails_the_run_and_is_named(tmp_path, workers):
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    command = [sys.executable, "-m", "pytest", "-p", "xdist", "-n", str(workers), "--rootdir", tmp_path, tmp_path]
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ran = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=50, check=False)
    assert ran.returncode == pytest.ExitCode.TESTS_FAILED, ran.stdout + ran.stderr
    assert "3 passed" in ran.stdout
    [line] = [line for line in ran.stdout.splitlines() if line.rstrip().endswith("::test_unmarked")]
    assert line.split()[:2] == [str(LIMIT_S + 1), "s"]
    assert "::test_marked" not in ran.stdout
