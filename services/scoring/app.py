"""Scoring's composition root: the consumer that writes the store. The HTTP API is a process of its own."""

from typing import NamedTuple

from faststream.asgi import AsgiFastStream

from contracts.topics import APPLICATIONS_DECIDED, LOG_IDENTITY
from runtime.clock import Clock
from runtime.errors import FatalError
from runtime.log_identity import read_log_identity
from runtime.metrics import KERNEL_METRICS, Metric
from runtime.process import Shutdown, build_app
from runtime.resources import ProcessResources
from runtime.tracing import Tracing, open_tracing
from services.scoring.handlers import StoreWriter
from services.scoring.settings import ScoringSettings
from services.scoring.store.store import Store

CONSUMES = (APPLICATIONS_DECIDED,)
METRICS = (
    *KERNEL_METRICS,
    Metric("counter", "outcomes_total", "Outcomes by what the roll-up did with them.", ("result",)),
    Metric("histogram", "store_transaction_seconds", "Time of one transaction that the store took."),
)


class Scoring(NamedTuple):
    """A wired scoring consumer: the app to run and the resources that an operator or a test asks."""

    app: AsgiFastStream
    writer: StoreWriter
    shutdown: Shutdown


def build(settings: ScoringSettings, clock: Clock | None = None, tracing: Tracing | None = None) -> Scoring:
    """Wire the consumer; the store opens at once, the broker when the app starts.

    Raises:
        StoreError: the store cannot be opened.

    """
    shutdown = Shutdown()
    resources = ProcessResources.of(
        "scoring", settings, METRICS, shutdown.request, clock, tracing=tracing or open_tracing("scoring")
    )
    identity: list[str] = []
    store = Store(settings.store, password=settings.store_password, migrate=settings.migrate)
    writer = StoreWriter(store, resources, identity=lambda: identity[-1], partitions=settings.partitions)

    async def know_log() -> None:
        known = await read_log_identity(settings, LOG_IDENTITY)
        if known is None:
            raise FatalError(f"topic {LOG_IDENTITY} is empty: the log has no identity; run `paperless topics`")
        identity.append(known)

    app = build_app(
        writer,
        resources,
        topics=[topic.name for topic in CONSUMES],
        partitions=settings.partitions,
        ready=know_log,
    )
    return Scoring(app, writer, shutdown)


def create_app() -> AsgiFastStream:
    """Return the app (`faststream run services.scoring.app:create_app --factory`); settings from the environment."""
    return build(ScoringSettings()).app
