"""Intake's composition root: settings in, FastStream app out."""

from typing import NamedTuple

from faststream.asgi import AsgiFastStream

from contracts.records import application_of
from contracts.topics import (
    APPLICATIONS_DECIDED,
    APPLICATIONS_SUBMITTED,
    CORRECTIONS_REQUESTED,
    DOCUMENTS_PROVIDED,
    DOCUMENTS_REQUESTED,
    by_name,
)
from domain import load_domain
from runtime.clock import Clock
from runtime.errors import FatalError
from runtime.metrics import KERNEL_METRICS, Metric
from runtime.partition_state import PendingOptions
from runtime.process import Shutdown, build_app
from runtime.processor import StreamProcessor
from runtime.resources import ProcessResources
from runtime.tracing import Tracing, open_tracing
from services.intake.core import RuleBook
from services.intake.handlers import IntakeHandlers
from services.intake.settings import IntakeSettings

CONSUMES = (APPLICATIONS_SUBMITTED, DOCUMENTS_PROVIDED)
PRODUCES = (DOCUMENTS_REQUESTED, APPLICATIONS_DECIDED, CORRECTIONS_REQUESTED)
METRICS = (
    *KERNEL_METRICS,
    Metric("counter", "outcomes_total", "Outcomes emitted, repeats included.", ("outcome",)),
    Metric("counter", "outcomes_presumed_total", "Outcomes emitted with an incomplete set of answers."),
    Metric("counter", "submissions_moved_total", "Submissions published again under their own key and partition."),
    Metric("counter", "applications_asked_again_total", "Requests after an application's first, by cause.", ("cause",)),
)


class Intake(NamedTuple):
    """A wired intake: the app to run and the resources that an operator or a test asks."""

    app: AsgiFastStream
    kernel: StreamProcessor
    shutdown: Shutdown


def build(settings: IntakeSettings, clock: Clock | None = None, tracing: Tracing | None = None) -> Intake:
    """Wire intake; nothing connects before the app starts.

    Raises:
        FatalError: others could forge the contexts that decisions are made from.

    """
    if settings.forgeable:
        raise FatalError(
            f"INTAKE_SIGNING_KEY: the default is known to everybody, and others reach {settings.kafka_servers}; set it"
            " to 16 to 64 random characters, the same for every member, or name a file with INTAKE_SIGNING_KEY_FILE"
        )
    shutdown = Shutdown()
    resources = ProcessResources.of(
        "intake", settings, METRICS, shutdown.request, clock, tracing=tracing or open_tracing("intake")
    )
    handlers = IntakeHandlers(
        RuleBook.of(load_domain(), settings.attempts),
        key=settings.signing_key.get_secret_value().encode(),
        partitions=settings.partitions,
        patience_s=settings.patience_s,
        tally=resources.metrics.tally,
    )
    kernel = StreamProcessor(
        handlers,
        resources,
        topics=[topic.name for topic in CONSUMES],
        pending=PendingOptions(
            opens=APPLICATIONS_SUBMITTED.name,
            answered_on=DOCUMENTS_PROVIDED.name,
            max_open=settings.max_open,
            max_span=settings.max_span,
            retry_share=settings.retry_share,
            stretch_s=settings.patience_s,
        ),
        dead_letter_topic=lambda topic: by_name(topic).dead_letter("intake"),
        before_batch=handlers.look_ahead,
        name_of=application_of,
    )
    app = build_app(
        kernel,
        resources,
        topics=[topic.name for topic in (*CONSUMES, *PRODUCES)],
        partitions=settings.partitions,
        details=lambda: {"attempts": settings.attempts},
    )
    return Intake(app, kernel, shutdown)


def create_app() -> AsgiFastStream:
    """Return the app (`faststream run services.intake.app:create_app --factory`); settings from the environment."""
    return build(IntakeSettings()).app
