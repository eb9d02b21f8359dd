"""The planner's composition root: an HTTP API over the what-if model, for the page and for whoever plans."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import orjson
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain import DomainError
from paperless.planner.jobs import Working
from paperless.planner.planner import Planner, Told, loader
from paperless.planner.playing import PlayError, played
from paperless.planner.questions import Question, question_of
from paperless.planner.settings import PlannerSettings
from paperless.whatif.levers import LeverError
from runtime.errors import FatalError
from runtime.host_guard import HostGuard
from runtime.http_guard import token_digests
from runtime.http_server import serve_api
from runtime.logs import configure
from runtime.metrics import Metrics
from runtime.problems import problem
from runtime.settings import read_settings

log = structlog.get_logger(__name__)

CONNECTIONS: Final = 100
EXIT_USAGE, EXIT_FATAL = 2, 78
Asked = Callable[[Question], Awaitable[Told | Working]]


def create_app(planner: Planner, allowed_hosts: str = "") -> Starlette:
    """Return the API: its questions, to each of which 202 says that it is being worked on."""
    metrics = Metrics("planner", ())

    async def levers(_: Request) -> Response:
        return _json(await planner.levers())

    async def health(_: Request) -> Response:
        return _json({"ready": True, "reasons": []})

    async def exposition(_: Request) -> Response:
        return Response(metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @asynccontextmanager
    async def running(_: Starlette) -> AsyncIterator[None]:
        yield
        planner.close()

    app = Starlette(
        routes=[
            Route("/health", health),
            Route("/metrics", exposition),
            Route("/levers", levers),
            Route("/answer", _route(planner.answer)),
            Route("/target", _route(planner.target)),
            Route("/uncertainty", _route(planner.uncertainty)),
            # It starts processes: nothing that follows links may do that.
            Route("/play", _route(planner.play), methods=["POST"]),
        ],
        lifespan=running,
    )
    app.add_middleware(HostGuard, allowed_hosts=allowed_hosts)
    return app


def _route(asked: Asked) -> Callable[[Request], Awaitable[Response]]:
    async def route(request: Request) -> Response:
        path = request.url.path
        try:
            told = await asked(question_of(request.query_params, request.query_params.getlist("lever")))
        except (LeverError, DomainError) as error:
            return problem(422, str(error), instance=path)
        except ModuleNotFoundError as error:
            return problem(503, f'{error.name} is not installed; pip install "paperless[whatif]"', instance=path)
        except PlayError as error:
            return problem(503, str(error), instance=path)
        if isinstance(told, Working):
            return _json({"since_s": round(told.since_s, 1)}, 202)
        return _json(told)

    return route


def _json(value: Told, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")


def serve(settings: PlannerSettings) -> int:
    """Serve until SIGTERM or SIGINT and return the exit code.

    Raises:
        FatalError: others could reach it, and nobody said that they may.
        OSError: the port is taken.

    """
    token_digests("PLANNER", settings.http_host, None, open_to_all=settings.open)
    planner = Planner(loader(Path(settings.cache) if settings.cache else None), played if settings.play else None)
    app = create_app(planner, settings.allowed_hosts)
    server = serve_api(
        app,
        settings.http_host,
        settings.http_port,
        listening=lambda address: log.info("serving", address=address),
        connections=CONNECTIONS,
    )
    return 0 if server.started else 1


def main() -> int:
    """Serve the planner by the settings of the environment; return the exit code."""
    try:
        settings = read_settings(PlannerSettings)
        configure("planner", settings.log_level)
        return serve(settings)
    except FatalError as error:
        return _refused(str(error), EXIT_FATAL)
    except OSError as error:
        text = f"PLANNER_HTTP_PORT {settings.http_port}: {error.strerror}; choose another, or 0 for a free one"
        return _refused(text, EXIT_USAGE)


def _refused(message: str, code: int) -> int:
    sys.stderr.write(f"error: {message}\n")
    return code
