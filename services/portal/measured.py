"""Counts and times requests; streams count when they begin."""

import time
from typing import Any

from runtime.metrics import Metrics


class Measured:
    """ASGI middleware."""

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
