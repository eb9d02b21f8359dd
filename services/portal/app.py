"""The portal's composition root: an HTTP API over a producer and a reader of the log, and the page for people."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.resources import files
from typing import Any, NamedTuple

import orjson
import structlog
import uvicorn
from fastapi import FastAPI

from contracts.submissions import SubmissionCheck
from contracts.topics import APPLICATIONS_SUBMITTED
from domain import load_domain
from runtime.broker import RestartableProducer, open_producer
from runtime.errors import FatalError
from runtime.host_guard import HostGuard
from runtime.http_api import HOST_REFUSALS, create_api, guarded, problems
from runtime.http_guard import token_digests
from runtime.http_server import serve_api
from runtime.logs import configure
from runtime.measured import HTTP_METRICS, Measured
from runtime.metrics import Metric, Metrics
from runtime.settings import read_settings
from runtime.tracing import open_tracing
from services.portal.applications import TOPICS, Applications
from services.portal.desk import Desk
from services.portal.live import Live
from services.portal.log import Log
from services.portal.models import Reason
from services.portal.outbox import Outbox
from services.portal.pages import Pages, Streams
from services.portal.parts import Part, PartsOfSystem
from services.portal.passing import install_page, page_files, page_routes, pages_of_apis
from services.portal.problems import install
from services.portal.rate import FilingRate
from services.portal.recent import Reader
from services.portal.routes import asking_routes, filing_routes, operations
from services.portal.settings import PortalSettings

log = structlog.get_logger(__name__)

PRODUCES = (APPLICATIONS_SUBMITTED,)
METRICS = (
    *HTTP_METRICS,
    Metric("counter", "filings_total", "Applications taken: filed, or repeated, which writes nothing.", ("result",)),
)
EXIT_USAGE, EXIT_FATAL = 2, 78


class Parts(NamedTuple):
    """What the portal works with; `why_unready` says what /health does."""

    desk: Desk
    reader: Reader
    why_unready: Callable[[], list[str]] = list
    lifespan: Any = None
    stopping: Callable[[], bool] = lambda: False
    system: PartsOfSystem | None = None


def create_app(settings: PortalSettings, parts: Parts, metrics: Metrics, applications: Applications) -> FastAPI:
    """Return the portal; nothing connects before it starts.

    Raises:
        FatalError: others could reach it without a token.

    """
    tokens = token_digests("PORTAL", settings.http_host, settings.tokens, open_to_all=settings.open)
    page = page_files()
    app = create_api(
        tokens=tokens,
        # A browser that opens a page sends no token; the page asks for it, and sends it with every question.
        unguarded=page,
        per_minute=settings.per_minute,
        title="Paperless intake: portal",
        version="1",
        summary="The front door: file an application, and follow it to its outcome.",
        description="Times are wall time in UTC; `due_at` and `decided_at` are event time, +07:00.",
        lifespan=parts.lifespan,
    )
    install(app)
    pages = Pages(applications)
    streams = Streams(pages, settings.streams, parts.stopping)
    filed = partial(_count, metrics)
    app.include_router(filing_routes(parts.desk, SubmissionCheck.of(load_domain()), filed), **guarded(tokens))
    app.include_router(asking_routes(pages, streams), **guarded(tokens))
    app.include_router(operations(parts.why_unready, metrics), responses=problems(*HOST_REFUSALS))
    system = parts.system or PartsOfSystem.nowhere()
    app.include_router(pages_of_apis(system, shown=not tokens))
    app.include_router(page_routes(system, Live(system, settings.watchers, parts.stopping)))
    install_page(app, page)
    app.add_middleware(FilingRate, per_minute=settings.filings_per_minute)
    app.add_middleware(HostGuard, allowed_hosts=settings.allowed_hosts)
    app.add_middleware(Measured, metrics=metrics)
    return app


def _count(metrics: Metrics, result: str) -> None:
    metrics.count("filings_total", result=result)


def parts_of(settings: PortalSettings) -> PartsOfSystem:
    """Return whom the page asks, as the settings name them."""
    within_s = settings.part_within_s
    named = dict(pair.partition("=")[::2] for pair in settings.services.split())
    return PartsOfSystem(
        Part("the scoring API", settings.scoring_api, token=settings.scoring_api_token, within_s=within_s),
        Part("the VNeID mock", settings.mock, token=settings.mock_token, within_s=within_s),
        Part("the planner", settings.planner_url, within_s=within_s),
        tuple(Part(name, url, within_s=within_s) for name, url in named.items()),
    )


def load_reasons() -> dict[str, Reason]:
    """Return names and source of each rule of intake, by its slug; `make generate` writes them."""
    texts = orjson.loads((files("services.portal") / "reasons.json").read_bytes())
    return {slug: Reason(reason=slug, **text) for slug, text in texts.items()}


class Portal:
    """One process of the portal: app, connections, and the reason for which it stops by itself, if there is one."""

    def __init__(self, settings: PortalSettings) -> None:
        self.settings, self.fatal = settings, ""
        self.metrics = Metrics("portal", METRICS)
        self._server: uvicorn.Server | None = None
        self._log = Log(
            settings,
            client_id=settings.client_id,
            topics=TOPICS,
            partitions=settings.partitions,
            within_s=settings.read_within_s,
        )
        self._producer = RestartableProducer(
            lambda: open_producer(settings, client_id=settings.client_id, idempotent=settings.idempotent_producer)
        )
        applications = Applications(
            self._log,
            partitions=settings.partitions,
            recent=settings.recent,
            most=settings.most,
            reasons=load_reasons(),
        )
        self._tracing = open_tracing("portal")
        desk = Desk(applications, Outbox(self._producer, settings.filed_within_s), self._tracing)
        self._system = parts_of(settings)
        parts = Parts(desk, self._log, self._why_unready, self._running, self._stopping, self._system)
        self.app = create_app(settings, parts, self.metrics, applications)

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT and return the exit code."""
        log.info("starting", settings=self.settings.model_dump(mode="json"))
        server = serve_api(
            self.app,
            self.settings.http_host,
            self.settings.http_port,
            listening=lambda address: log.info("serving", address=address),
            connections=self.settings.connections,
            made=self._made,
        )
        if self.fatal:
            _say(self.fatal)
            return EXIT_FATAL
        log.info("stopped")
        return 0 if server.started else 1

    def _made(self, server: uvicorn.Server) -> None:
        self._server = server

    def _stopping(self) -> bool:
        return self._server is not None and self._server.should_exit

    def _why_unready(self) -> list[str]:
        trouble = self.fatal or self._log.trouble
        return [trouble] if trouble else []

    @asynccontextmanager
    async def _running(self, _: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            await self._system.close()
            await self._producer.stop()
            await self._log.close()
            self._tracing.stop()

    async def _watch(self) -> None:
        try:
            await self._log.watch(self._producer.start)
        except FatalError as error:
            self.fatal = str(error)
        except Exception as error:
            self.fatal = f"the portal no longer looks after its broker: {error!r}"
            log.exception("a fault of ours")
        if self._server is not None:
            self._server.should_exit = True


def main() -> int:
    """Serve the portal by the settings of the environment; return the exit code."""
    try:
        settings = read_settings(PortalSettings)
        configure("portal", settings.log_level)
        return Portal(settings).run()
    except FatalError as error:
        _say(str(error))
        return EXIT_FATAL
    except OSError as error:
        _say(f"PORTAL_HTTP_PORT {settings.http_port}: {error.strerror}; choose another, or 0 for a free one")
        return EXIT_USAGE


def _say(reason: str) -> None:
    print(f"error: {reason}", file=sys.stderr)  # noqa: T201  the last line an operator sees
