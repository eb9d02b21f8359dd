"""Running a service process: its FastStream app behind uvicorn, with /health and /metrics, and honest exit codes."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs

import structlog
import uvicorn
from faststream.asgi import AsgiFastStream, AsgiResponse, get

from runtime.broker import open_broker
from runtime.consumer import PartitionConsumer
from runtime.errors import FatalError
from runtime.garbage_collector import tune_garbage_collector
from runtime.health import measure, positions, unready_reasons
from runtime.host_guard import HostGuard
from runtime.http_server import leave_the_exit_code_alone, server_config
from runtime.metrics import Metrics
from runtime.resources import ProcessResources
from runtime.settings import ServiceSettings

log = structlog.get_logger(__name__)

# EX_CONFIG of sysexits.h: a supervisor must not restart the process, the cause would still be there.
EXIT_FATAL = 78


class ServiceApp(AsgiFastStream):
    """A FastStream app behind a `HostGuard`; what is none of its routes goes to `api`, where there is one."""

    def __init__(self, *brokers: Any, allowed_hosts: str, api: Any, **options: Any) -> None:
        super().__init__(*brokers, **options)
        self._api, self._guard = api, HostGuard(super().__call__, allowed_hosts)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._guard(scope, receive, send)

    async def not_found(self, scope: Any, receive: Any, send: Any) -> None:
        answer = self._api if self._api and scope["type"] == "http" else super().not_found
        await answer(scope, receive, send)


def build_app(
    consumer: PartitionConsumer,
    resources: ProcessResources,
    *,
    topics: Iterable[str],
    partitions: int,
    details: Callable[[], dict[str, object]] = dict,
    api: Any = None,
    ready: Callable[[], Awaitable[None]] | None = None,
) -> AsgiFastStream:
    """Return the app of a service: producer first, consumer, ticker; on the way down drain before the client stops.

    Args:
        consumer: what the service does.
        resources: what its process works with.
        topics: all it consumes or produces; they must have `partitions` partitions each.
        partitions: the partition count of the log.
        details: what /health says beside the consumer's own state.
        api: an ASGI app for the other paths of the HTTP port.
        ready: a last check before anything is consumed; may raise `FatalError`.

    """
    broker = open_broker(resources.settings)
    consumer.attach(broker)
    names = list(topics)

    async def check() -> None:
        try:
            await resources.producer.check_topics(names, partitions)
            if ready is not None:
                await ready()
        except FatalError as error:
            consumer.fatal = str(error)
            await resources.producer.stop()
            raise

    return ServiceApp(
        broker,
        allowed_hosts=resources.settings.allowed_hosts,
        api=api,
        asgi_routes=[
            ("/health", _health(consumer, details)),
            ("/metrics", _metrics(consumer, resources.metrics)),
        ],
        logger=None,
        on_startup=[resources.producer.start, check],
        after_startup=[consumer.start, _tune],
        on_shutdown=[consumer.drain],
        after_shutdown=[resources.producer.stop, resources.tracing.stop],
    )


async def _tune() -> None:
    # A coroutine: FastStream would run a plain function in a thread, which would stay.
    tune_garbage_collector()


def _health(consumer: PartitionConsumer, details: Callable[[], dict[str, object]]) -> Any:
    @get
    async def health(_: object) -> AsgiResponse:
        reasons = unready_reasons(consumer)
        body = {
            "ready": not reasons,
            "reasons": reasons,
            "partitions": sorted(consumer.partitions),
            "open": consumer.open_records(),
            # What was decided and may still be lost on its way: nothing rests before the broker has it.
            "unsent": consumer.publisher.unsent,
            "lag": consumer.lag(),
            "positions": positions(consumer),
            "since_progress_s": round(consumer.clock.now() - consumer.progressed_at, 1),
            **details(),
        }
        status = 503 if reasons else 200
        return AsgiResponse(json.dumps(body).encode(), status, {"content-type": "application/json"})

    return health


def _metrics(consumer: PartitionConsumer, metrics: Metrics) -> Any:
    @get
    async def exposition(scope: Mapping[str, Any]) -> AsgiResponse:
        measure(consumer, metrics)
        # As the exporters of prometheus_client do: who asks every second for a few names need not be told all.
        names = parse_qs(scope["query_string"].decode("latin-1")).get("name[]", ())
        text = metrics.exposition(names)
        return AsgiResponse(text, 200, {"content-type": "text/plain; version=0.0.4; charset=utf-8"})

    return exposition


class Shutdown:
    """The way in which a consumer ends its process: it is made before the server, which `serve` puts in."""

    def __init__(self) -> None:
        self.server: uvicorn.Server | None = None

    def request(self) -> None:
        """Ask the server to shut down gracefully."""
        if self.server is not None:
            self.server.should_exit = True


class _LifespanWatch:
    """An app whose lifespan may fail after its start-up was reported: the server must not outlive it."""

    def __init__(self, app: Any, shutdown: Shutdown) -> None:
        self._app, self._shutdown = app, shutdown
        self.failed = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception:
            if scope["type"] == "lifespan":
                self.failed = True
                self._shutdown.request()
            raise


def serve(app: Any, settings: ServiceSettings, shutdown: Shutdown, consumer: PartitionConsumer) -> int:
    """Run an app until SIGTERM or SIGINT and return the exit code.

    0; 78 when the consumer stopped for a reason that the next start would meet again; 1 when it is to be started again.
    """
    log.info("starting", settings=settings.masked())
    watched = _LifespanWatch(app, shutdown)
    config = server_config(watched, host=settings.http_host, port=settings.http_port, lifespan="on")
    shutdown.server = uvicorn.Server(config)
    leave_the_exit_code_alone()
    # uvicorn exits by itself when the start fails; the exit code is ours to choose.
    with suppress(KeyboardInterrupt, SystemExit):
        asyncio.run(shutdown.server.serve())
    reason = consumer.fatal or consumer.broken
    if reason is not None:
        print(f"error: {reason}", file=sys.stderr)  # noqa: T201  the last line an operator sees
        return EXIT_FATAL if consumer.fatal else 1
    log.info("stopped")
    return 0 if shutdown.server.started and not watched.failed else 1
