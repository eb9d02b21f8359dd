"""One round of questions to all parts of the system, for the live page."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import orjson

from services.portal.figures import FLOW_METRICS, Flow, compact_table, flow_of
from services.portal.parts import Part, PartAwayError, PartsOfSystem
from services.portal.tables import Tables

# The rates are a table over all cells. While outcomes come they are asked for again after so many times what the last
# answer took, so that watching takes a small share of a busy machine; what else a round says is asked for every time.
REST: Final = 40
MAX_REST_S: Final = 30.0
# A service that is busy writes these few metrics and not the hundreds that it has.
_FLOW_QUERY: Final = urlencode([("name[]", name) for name in FLOW_METRICS])


class Seen(NamedTuple):
    """What one round saw, but for the time; a tick is sent where it differs from the last."""

    offsets: int = -1
    """Outcomes that the store has read, over all partitions; -1: unknown."""
    rows: Sequence[list[Any]] = ()
    country: float | None = None
    flow: Flow = Flow()
    plan: Mapping[str, Any] = MappingProxyType({})
    """The fault plan in force; empty: unknown."""
    changed_by_hand: int = 0
    trouble: tuple[str, ...] = ()


class Rounds:
    """Asks the parts, and knows which version of the rates it has."""

    def __init__(self, parts: PartsOfSystem, tables: Tables) -> None:
        self._parts, self._tables = parts, tables
        self._rated, self._rate_again = -1, 0.0

    async def look(self, before: Seen) -> Seen:
        """Return what all parts answer; figures of one that is away stay as they were before."""
        (offsets, rows, country, table), (plan, changed), flow = await asyncio.gather(
            self._scores(before), self._plan(), self._flow()
        )
        trouble = tuple(each for each in (table, "" if plan else self._parts.mock.name) if each)
        return Seen(offsets, rows, country, flow, plan, changed, trouble)

    async def _scores(self, before: Seen) -> tuple[int, Sequence[list[Any]], float | None, str]:
        try:
            health = await _json(self._parts.scoring, "/health")
            offsets = self._tables.version = sum(health["next_offsets"].values())
            # What stands still may be asked for at once: the last figures of a day are not waited for.
            resting = offsets != before.offsets and time.monotonic() < self._rate_again
            if before.rows and (offsets == self._rated or resting):
                return offsets, before.rows, before.country, ""
            table = await self._rates(offsets)
        except PartAwayError:
            return before.offsets, before.rows, before.country, self._parts.scoring.name
        country = table["country_d1"]
        return offsets, compact_table(table), country and country["value"], ""

    async def _rates(self, offsets: int) -> Any:
        began = time.monotonic()
        # In the words of the page, which asks for the same.
        answer = await self._tables.get("/rates", "authority=province")
        if answer.status != HTTPStatus.OK:
            raise PartAwayError(self._parts.scoring.name, f"answers {answer.status}")
        now = time.monotonic()
        self._rated, self._rate_again = offsets, now + min(REST * (now - began), MAX_REST_S)
        return orjson.loads(answer.body)

    async def _plan(self) -> tuple[Mapping[str, Any], int]:
        try:
            state = await _json(self._parts.mock, "/plan")
        except PartAwayError:
            return {}, 0
        return state["plan"], int(state["changed_by_hand"])

    async def _flow(self) -> Flow:
        asked = [(part, url) for part in self._parts.services for url in await part.members()]
        answers = await asyncio.gather(*(_exposition(part, url) for part, url in asked))
        away = [part.name for (part, _), text in zip(asked, answers, strict=True) if text is None]
        return flow_of([text for text in answers if text is not None], away)


async def _json(part: Part, path: str) -> Any:
    answer = await part.ask("GET", path)
    if answer.status != HTTPStatus.OK:
        raise PartAwayError(part.name, f"answers {answer.status}")
    return orjson.loads(answer.body)


async def _exposition(part: Part, url: str) -> str | None:
    try:
        answer = await part.ask("GET", f"{url}/metrics", query=_FLOW_QUERY, accept="text/plain")
    except PartAwayError:
        return None
    return answer.body.decode("utf-8", "replace") if answer.status == HTTPStatus.OK else None
