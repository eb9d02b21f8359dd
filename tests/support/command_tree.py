"""Every command below a group of commands, also of groups that import theirs on demand."""

from collections.abc import Iterator
from typing import Any

import typer


def commands_of(app: typer.Typer) -> Iterator[tuple[list[str], Any]]:
    """Yield the words after the program's name (none, `["load", "compare"]`) and Click's command, parents first."""
    yield from _from(typer.main.get_command(app), [])


def _from(command: Any, words: list[str]) -> Iterator[tuple[list[str], Any]]:
    yield words, command
    with typer.Context(command) as context:
        for name in command.list_commands(context) if hasattr(command, "list_commands") else ():
            yield from _from(command.get_command(context, name), [*words, name])
