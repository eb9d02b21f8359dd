"""What contributors are given calls what the project runs: one list of linters, one way through CI."""

import re
from typing import Any

import pytest
import yaml

from tests.support.source import PACKAGES, ROOT

MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
WORKFLOW: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
[JOB] = WORKFLOW["jobs"].values()


def recipe(target: str) -> list[str]:
    """Return the commands of a target, the tools of .venv by their path."""
    [lines] = re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    return [line.strip().replace("$(BIN)", ".venv/bin") for line in lines.splitlines()]


def test_a_commit_is_held_to_what_make_lint_runs():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
    assert [hook["entry"] for hook in hooks] == [line for line in recipe("lint") if "pytest" not in line]
    assert {repository["repo"] for repository in config["repos"]} == {"local"}
    assert {hook["language"] for hook in hooks} == {"system"}


def test_the_hosted_run_is_the_projects_own():
    runs = [step["run"] for step in JOB["steps"] if "run" in step]
    assert runs == [".ci/run"]
    assert (ROOT / ".ci/run").stat().st_mode & 0o111
    assert JOB["timeout-minutes"] <= 60


def test_actions_are_pinned_and_may_write_nothing():
    used = [step["uses"] for step in JOB["steps"] if "uses" in step]
    assert [action for action in used if not re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", action)] == []
    assert WORKFLOW["permissions"] == {"contents": "read"}


def test_the_hosted_run_has_the_oldest_python_that_is_promised():
    promised = re.findall(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text("utf-8"))
    assert JOB["strategy"]["matrix"]["python"][:1] == promised
    assert f"python:{JOB['strategy']['matrix']['python'][-1]}-slim" in (ROOT / "Dockerfile").read_text("utf-8")


@pytest.mark.parametrize("package", sorted({*PACKAGES} - {"examples"}))
def test_a_shipped_package_says_that_it_is_typed(package):
    assert (ROOT / package / "py.typed").exists()
    assert f'"{package}"' in (ROOT / "pyproject.toml").read_text("utf-8").partition("targets.wheel]")[2]
