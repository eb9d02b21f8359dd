"""A system that a tool starts for itself, and stops again."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runtime.command_line import CommandError


def paperless(*words: str) -> None:
    """Run a command of the project.

    Raises:
        CommandError: it fails; with what it said.

    """
    done = subprocess.run([sys.executable, "-m", "paperless", *words], capture_output=True, text=True, check=False)  # noqa: S603  our own command
    if done.returncode:
        raise CommandError(f"paperless {words[0]}: {done.stderr or done.stdout}")


@contextmanager
def system() -> Iterator[Path]:
    """Run a system, and yield its state directory."""
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "run"
        paperless("up", "--state", str(state))
        try:
            yield state
        finally:
            paperless("down", "--state", str(state))


def seen(state: Path) -> dict[str, Any]:
    """Return what the supervisor wrote last, at most a second ago."""
    found: dict[str, Any] = json.loads((state / "state.json").read_text("utf-8"))
    return found
