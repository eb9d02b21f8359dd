"""The command's table of contents, and how its errors end: one sentence on standard error, an exit code."""

import logging
import os
import sys

import typer
from aiokafka.errors import KafkaError
from rich.console import Console

from domain import DomainError
from paperless.cli import demo, load, secrets, send, system, tables, topics, verification
from paperless.cli.options import EXIT_INTERRUPTED
from paperless.http_client import CertificateError
from paperless.local.errors import LocalSystemError
from paperless.operations.access_control import AccessControlError
from paperless.operations.secrets import SecretError
from paperless.operations.topics import TopicsError
from paperless.population.scenario import ScenarioError
from paperless.traffic.load.result import LoadError
from paperless.traffic.manifest import ManifestError
from paperless.traffic.survey import LogError
from paperless.verification.scoring_client import ScoringApiError
from paperless.verification.verify import VerifyError
from services.vneid_mock.plan_files import PlanError

EXIT_ERROR = 2
# What a user can cause or mend; anything else is our own bug and shows its traceback.
EXPECTED = (
    AccessControlError,
    CertificateError,
    DomainError,
    KafkaError,
    LoadError,
    LocalSystemError,
    LogError,
    ManifestError,
    PlanError,
    ScenarioError,
    ScoringApiError,
    SecretError,
    TopicsError,
    VerifyError,
)

app = typer.Typer(
    name="paperless",
    help="A running model of Vietnam's paperless intake: events in, data instead of paper, rates a recount confirms.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command()(demo.demo)
app.command()(system.up)
app.command()(system.down)
app.command()(send.send)
app.add_typer(load.app, name="load")
app.command()(verification.verify)
app.command()(tables.rates)
app.command()(tables.why)
app.command()(topics.topics)
app.command()(secrets.secrets)


def main() -> None:
    """Run the command; 0 fine, 1 the verdict is not ok, 2 an error that the message explains, 130 Ctrl-C."""
    # The client logs each failed attempt; what comes of it, an error says once.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    try:
        app()
    except EXPECTED as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"error: {error}", markup=False)
        sys.exit(EXIT_ERROR)
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output went away (`| head`); the interpreter must not complain about it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_ERROR)
