"""The command's table of contents, and which of its errors a user can mend."""

import logging
import sys
from typing import NoReturn

import structlog
import typer
from aiokafka.errors import KafkaError

from domain import DomainError
from paperless.chaos.port import ChaosError
from paperless.cli import (
    calibrate,
    chaos,
    corrections,
    demo,
    dlq,
    fidelity,
    index,
    load,
    preflight,
    replay,
    report,
    secrets,
    send,
    submit,
    system,
    tables,
    topics,
    verification,
    whatif,
)
from paperless.cli.whatif_levers import CommandWithLevers
from paperless.dead_letters.errors import DeadLetterError
from paperless.http_client import CertificateError
from paperless.local.errors import LocalSystemError
from paperless.operations.access_control import AccessControlError
from paperless.operations.preflight import PreflightError
from paperless.operations.replay import ReplayError
from paperless.operations.secrets import SecretError
from paperless.operations.topics import TopicsError
from paperless.population.scenario import ScenarioError
from paperless.traffic.load.result import LoadError
from paperless.traffic.manifest import ManifestError
from paperless.traffic.personas import PersonaError
from paperless.traffic.portal_client import PortalError
from paperless.traffic.survey import LogError
from paperless.verification.scoring_client import ScoringApiError
from paperless.verification.verify import VerifyError
from paperless.whatif.levers import LeverError
from runtime.command_line import EXIT_CODES, CommandError, interruptible, run
from services.scoring.store.publication import PublicationError
from services.vneid_mock.plan_files import PlanError

# What a user can cause or mend; anything else is our own bug and shows its traceback.
EXPECTED = (
    AccessControlError,
    ChaosError,
    CertificateError,
    DeadLetterError,
    DomainError,
    KafkaError,
    LeverError,
    LoadError,
    LocalSystemError,
    LogError,
    ManifestError,
    PersonaError,
    PlanError,
    PortalError,
    PreflightError,
    PublicationError,
    ReplayError,
    ScenarioError,
    ScoringApiError,
    SecretError,
    TopicsError,
    VerifyError,
)

app = typer.Typer(
    name="paperless",
    help="A running model of Vietnam's paperless intake: events in, data instead of paper, rates a recount confirms.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command()(demo.demo)
app.command()(system.up)
app.command()(system.status)
app.command()(system.down)
app.command()(submit.submit)
app.command()(send.send)
app.add_typer(load.app, name="load")
app.command()(chaos.chaos)
app.command()(verification.verify)
app.command()(replay.replay)
app.add_typer(dlq.app, name="dlq", help="Dead letters: refused records listed, looked at, repaired, replayed, dropped.")
app.command()(tables.rates)
app.command()(tables.why)
app.command()(report.report)
app.command(cls=CommandWithLevers)(whatif.whatif)
app.command()(corrections.corrections)
app.command()(index.index)
app.command()(index.publish)
app.command()(fidelity.fidelity)
app.command()(calibrate.calibrate)
app.command()(topics.topics)
app.command()(secrets.secrets)
app.command()(preflight.preflight)


def main() -> NoReturn:
    """Run the command and exit, see `runtime.command_line`."""
    run(command)


def command() -> None:
    """Run the command; leaves with `SystemExit`.

    Raises:
        CommandError: the command cannot do what it was asked; says why, and what to do.

    """
    interruptible()
    # The client logs each failed attempt, and the loop each future that nobody waited for after it; what comes of it,
    # an error says once.
    for library in ("aiokafka", "asyncio"):
        logging.getLogger(library).addHandler(logging.NullHandler())
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    try:
        app()
    except EXPECTED as error:
        raise CommandError(str(error)) from error
