"""A setting played through the real services, by the command that does it, in a process of its own."""

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from paperless.local.layout import environment, module_command
from paperless.local.processes import until_parent_ends
from paperless.planner.questions import Question

WITHIN_S: Final = 900
Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


class PlayError(Exception):
    """The setting could not be played; says why, in the command's words."""


def run_command(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Run a command of ours to its end, or to the end of this process."""
    return subprocess.run(  # noqa: S603  our own arguments, no shell
        until_parent_ends(command),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=WITHIN_S,
        env=environment(),
        check=False,
    )


def played(question: Question, run: Run = run_command) -> dict[str, Any]:
    """Return what `paperless whatif --play --json` says of a setting: D1 as predicted, and `played`; about a minute.

    Raises:
        PlayError: the system of its own did not start, or did not come to rest.

    """
    with TemporaryDirectory() as folder:
        try:
            done = run(command_of(question, Path(folder)))
        except subprocess.TimeoutExpired as error:
            raise PlayError(f"not played within {WITHIN_S} s") from error
    try:
        told = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise PlayError(last) from None
    return {"rates": told["rates"], **told["played"]}


def command_of(question: Question, folder: Path) -> tuple[str, ...]:
    """Return the command that plays a setting; its system keeps its state below the folder."""
    levers = [word for name, value in question.levers for word in ("--lever", f"{name}={value:g}")]
    where = ["--province", question.province] if question.province else []
    return module_command("paperless", "whatif", "--play", "--json", *levers, *where, "--cache", str(folder))
