"""The command's table of contents, and how it ends where a user can mend what is wrong."""

import logging
import sys
from typing import ClassVar, NoReturn

import structlog
import typer

from paperless.cli.lazy import STYLE, LazyGroup
from runtime.command_line import EXIT_CODES, CommandError, run


class Commands(LazyGroup):
    """Every command, in the order of the help."""

    modules: ClassVar = {
        "demo": "paperless.cli.demo",
        "up": "paperless.cli.system",
        "status": "paperless.cli.system",
        "down": "paperless.cli.system",
        "submit": "paperless.cli.submit",
        "send": "paperless.cli.send",
        "load": "paperless.cli.load",
        "chaos": "paperless.cli.chaos",
        "verify": "paperless.cli.verification",
        "replay": "paperless.cli.replay",
        "dlq": "paperless.cli.dlq",
        "rates": "paperless.cli.tables",
        "why": "paperless.cli.tables",
        "report": "paperless.cli.report",
        "whatif": "paperless.cli.whatif",
        "corrections": "paperless.cli.corrections",
        "index": "paperless.cli.index",
        "publish": "paperless.cli.index",
        "fidelity": "paperless.cli.fidelity",
        "calibrate": "paperless.cli.calibrate",
        "topics": "paperless.cli.topics",
        "secrets": "paperless.cli.secrets",
        "preflight": "paperless.cli.preflight",
    }


app = typer.Typer(name="paperless", cls=Commands, epilog=EXIT_CODES, no_args_is_help=True, **STYLE)


@app.callback()
def paperless() -> None:
    """A running model of Vietnam's paperless intake: events in, data instead of paper, rates a recount confirms."""


def main() -> NoReturn:
    """Run the command and exit, see `runtime.command_line`."""
    run(command)


def command() -> None:
    """Run the command; leaves with `SystemExit`.

    Raises:
        CommandError: the command cannot do what it was asked; says why, and what to do.

    """
    # The client logs each failed attempt, and the loop each future that nobody waited for after it; what comes of it,
    # an error says once.
    for library in ("aiokafka", "asyncio"):
        logging.getLogger(library).addHandler(logging.NullHandler())
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    try:
        app()
    except Exception as error:
        from paperless.cli.expected_errors import EXPECTED  # noqa: PLC0415  imports every part of the program

        if not isinstance(error, EXPECTED):
            raise
        raise CommandError(str(error)) from error
