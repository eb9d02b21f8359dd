"""Running the project's own commands, as a user does."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


class CommandError(RuntimeError):
    """A command did not end with 0; the message has the command and its last words."""


def run_command(command: Sequence[str], env: Mapping[str, str] | None = None, within_s: float = 3_600) -> str:
    """Run a command from the project's root and return its output.

    Raises:
        CommandError: it failed, or did not end in time.

    """
    try:
        done = subprocess.run(  # noqa: S603  our own commands
            command,
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=within_s,
        )
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{' '.join(command)} did not end within {within_s:g} s") from error
    if done.returncode:
        last = f"{done.stdout[-2_000:]}\n{done.stderr[-2_000:]}"
        raise CommandError(f"{' '.join(command)} ended with {done.returncode}:\n{last}")
    return done.stdout


def paperless(*arguments: str) -> list[str]:
    """Return the command line of `paperless`, of the interpreter that runs this."""
    return [str(Path(sys.executable).with_name("paperless")), *arguments]


def module(name: str, *arguments: str) -> list[str]:
    """Return the command line of a module of ours."""
    return [sys.executable, "-m", name, *arguments]


def result_of(path: Path) -> Any:
    """Return what a command wrote with --json."""
    return json.loads(path.read_text("utf-8"))
