"""How often one caller may file."""

from typing import Any

from runtime.http_guard import CallerRate
from runtime.problems import problem


class FilingRate:
    """ASGI middleware that answers a POST beyond a caller's rate with 429 in the app's stead."""

    def __init__(self, app: Any, per_minute: int) -> None:
        self._app, self._rate = app, CallerRate(per_minute)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            caller = str(scope["client"] and scope["client"][0])
            wait_s = await self._rate.wait_s(caller)
            if wait_s is not None:
                text = f"over {self._rate.per_minute} applications a minute; file again later"
                refusal = problem(429, text, {"retry-after": str(wait_s)}, instance=scope["path"])
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)
