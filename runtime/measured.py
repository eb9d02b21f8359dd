"""Counts and times the requests of an HTTP API; streams count when they begin."""

import time
from typing import Any

from runtime.metrics import Metric, Metrics

# What every HTTP API declares, beside its own.
HTTP_METRICS = (
    Metric("counter", "requests_total", "Requests answered.", ("route", "status")),
    Metric("histogram", "request_seconds", "Time to the first byte of the answer, reading included."),
)


class Measured:
    """ASGI middleware.

    Args:
        app: what is measured.
        metrics: that have the `HTTP_METRICS`.

    """

    def __init__(self, app: Any, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        began = time.perf_counter()

        async def measure(message: Any) -> None:
            if message["type"] == "http.response.start":
                # The route, not the path: an address made up by a caller must not become a label.
                route = getattr(scope.get("route"), "path", "unmatched")
                self._metrics.count("requests_total", route=route, status=str(message["status"]))
                self._metrics.observe("request_seconds", time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, measure if scope["type"] == "http" else send)
