"""The mock's composition root: settings in, FastStream app out."""

from typing import NamedTuple

from faststream.asgi import AsgiFastStream

from contracts.records import application_of
from contracts.topics import CORRECTIONS_REQUESTED, DOCUMENTS_PROVIDED, DOCUMENTS_REQUESTED, by_name
from domain import load_domain
from runtime.clock import Clock
from runtime.http_guard import token_digests
from runtime.metrics import KERNEL_METRICS, Metric
from runtime.partition_state import PendingOptions
from runtime.process import Shutdown, build_app
from runtime.processor import StreamProcessor
from runtime.resources import ProcessResources
from runtime.tracing import Tracing, open_tracing
from services.vneid_mock.control import PlanState, control_app
from services.vneid_mock.handlers import VneidHandlers
from services.vneid_mock.plan_files import load_plan
from services.vneid_mock.registry import Registry
from services.vneid_mock.settings import VneidSettings

CONSUMES = (DOCUMENTS_REQUESTED, CORRECTIONS_REQUESTED)
PRODUCES = (DOCUMENTS_PROVIDED,)
METRICS = (
    *KERNEL_METRICS,
    Metric("counter", "replies_total", "Replies by what became of them: sent, scheduled, silent.", ("kind",)),
    Metric("counter", "look_ups_total", "Look-ups by database and what it said.", ("database", "answer")),
    Metric(
        "counter",
        "corrections_total",
        "Corrections that owners were asked for, repeats included.",
        ("database", "answer"),
    ),
)


class VneidMock(NamedTuple):
    """A wired mock: the app to run and the resources that an operator or a test asks."""

    app: AsgiFastStream
    kernel: StreamProcessor
    shutdown: Shutdown
    plan: PlanState


def build(settings: VneidSettings, clock: Clock | None = None, tracing: Tracing | None = None) -> VneidMock:
    """Wire the mock; nothing connects before the app starts.

    Raises:
        PlanError: the named plan does not exist or its file is wrong.
        FatalError: others could reach the control API without a token.

    """
    tokens = token_digests(
        "VNEID_CONTROL", settings.http_host, settings.control_tokens, open_to_all=settings.control_open
    )
    plan = PlanState(load_plan(settings.plan), settings.seed)
    shutdown = Shutdown()
    resources = ProcessResources.of(
        "vneid_mock", settings, METRICS, shutdown.request, clock, tracing=tracing or open_tracing("vneid_mock")
    )
    handlers = VneidHandlers(
        Registry.of(load_domain()), plan, partitions=settings.partitions, tally=resources.metrics.tally
    )
    kernel = StreamProcessor(
        handlers,
        resources,
        topics=[topic.name for topic in CONSUMES],
        pending=PendingOptions(opens=DOCUMENTS_REQUESTED.name, max_open=settings.max_open),
        dead_letter_topic=lambda topic: by_name(topic).dead_letter("vneid_mock"),
        before_batch=handlers.look_ahead,
        name_of=application_of,
    )
    app = build_app(
        kernel,
        resources,
        topics=[topic.name for topic in (*CONSUMES, *PRODUCES)],
        partitions=settings.partitions,
        details=lambda: {"plan": plan.plan.name, "seed": plan.seed, "plan_changed_by_hand": plan.changed_by_hand},
        api=control_app(plan, tokens, settings.control_per_minute),
    )
    return VneidMock(app, kernel, shutdown, plan)


def create_app() -> AsgiFastStream:
    """Return the app (`faststream run services.vneid_mock.app:create_app --factory`); settings from the environment."""
    return build(VneidSettings()).app
