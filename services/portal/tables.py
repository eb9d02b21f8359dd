"""Tables of the scoring API, asked for once for all who watch while the store has not moved."""

import asyncio
from typing import Final

from services.portal.parts import Answer, Part

KEPT: Final = 64


class Tables:
    """Asks the scoring API, and keeps its answers while `version` stays.

    Attributes:
        version: how far the store was when it was last asked; None where nobody knows, and nothing is kept. An answer
            that was asked for after a version was seen holds at least that version.

    """

    def __init__(self, scoring: Part) -> None:
        self._scoring = scoring
        self._kept: dict[tuple[str, str, str], tuple[int, asyncio.Task[Answer]]] = {}
        self.version: int | None = None

    async def get(self, path: str, query: str = "", accept: str = "application/json") -> Answer:
        """Return the scoring API's answer; see `Part.ask` for errors."""
        # A month is published by an operator, wherever the store stands.
        if self.version is None or path.startswith("/publications"):
            return await self._ask(path, query, accept)
        key = (path, query, accept)
        kept = self._kept.get(key)
        if kept is None or kept[0] != self.version or _failed(kept[1]):
            if len(self._kept) >= KEPT:
                self._kept.clear()
            kept = self._kept[key] = (self.version, asyncio.create_task(self._ask(path, query, accept)))
        # Another one waits for the same answer: who goes away must not end it.
        return await asyncio.shield(kept[1])

    async def _ask(self, path: str, query: str, accept: str) -> Answer:
        return await self._scoring.ask("GET", path, query=query, accept=accept)


def _failed(task: asyncio.Task[Answer]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
