"""A group whose commands are imported when they are asked for: importing them all takes more than a second."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup

from paperless.loading import loading
from runtime.command_line import interruptible

STYLE: Mapping[str, Any] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "rich_markup_mode": "markdown",
}


class LazyGroup(TyperGroup):
    """The commands of `modules`: each a module's `app`, else its function of the command's name."""

    modules: ClassVar[Mapping[str, str]]

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  of the base class
        return list(self.modules)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002  of the base class
        if cmd_name in self.modules and cmd_name not in self.commands:
            with loading():
                self.commands[cmd_name] = _imported(self.modules[cmd_name], cmd_name)
        return self.commands.get(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that runs next; from here on Ctrl-C finds something to clean up."""
        resolved = super().resolve_command(ctx, args)
        interruptible()
        return resolved


def _imported(module_name: str, name: str) -> Any:
    module = import_module(module_name)
    app = getattr(module, "app", None)
    if app is None:
        app = typer.Typer(**STYLE)
        app.command()(getattr(module, name))
    command = typer.main.get_command(app)
    command.name = name
    return command
