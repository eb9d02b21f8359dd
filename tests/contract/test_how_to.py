"""The how-to pages: their commands do what they say, and what is too long to run has options that there are."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from paperless.cli.main import app
from tests.support.source import ROOT

PAGES = sorted((ROOT / "docs/how-to").glob("*.md"))
COMMANDS: Any = typer.main.get_command(app)


def blocks(page: Path, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_each_thing_of_ones_own_has_a_page():
    assert [page.stem for page in PAGES] == [
        "own-consumer", "own-fault", "own-kafka", "own-procedure", "own-province-data",
    ]  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_short(page: Path):
    assert len(page.read_text("utf-8").splitlines()) <= 80


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_bash_block_does_what_it_says(page: Path, tmp_path: Path):
    """In a folder that looks like a clone; each block goes on where the one before it ended."""
    for name in ("contracts", "domain"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    script = "\n".join(["set -eu", *blocks(page, "bash")])
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_is_not_run_has_commands_and_options_that_there_are(page: Path):
    lines = [line for block in blocks(page, "sh") for line in block.splitlines() if line.startswith("paperless ")]
    assert lines
    for line in lines:
        _, name, *words = shlex.split(line)
        known = {option for parameter in COMMANDS.get_command(None, name).params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line
