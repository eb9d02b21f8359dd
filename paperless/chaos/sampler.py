"""Looks at the running system twice a second: what waits, and which parts are not ready."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from paperless.chaos.recovery import Sample
from paperless.http_client import async_http_client
from paperless.traffic.load.recorder import Recorder
from paperless.verification.members import ask_members, unowned

EVERY_S: Final = 0.5
# A part that is frozen answers nothing.
_ANSWER_WITHIN_S: Final = 1.0


class Sampler:
    """Takes samples until it is cancelled.

    Args:
        consumers: returns the health URLs of all consumers, by name.
        others: those of the other parts.
        partitions: of the log.
        recorder: of the load.
        clock: seconds since the load began.
        show: called with each sample.

    """

    def __init__(
        self,
        consumers: Callable[[], Mapping[str, str]],
        others: Mapping[str, str],
        partitions: int,
        *,
        recorder: Recorder,
        clock: Callable[[], float],
        show: Callable[[Sample], None],
    ) -> None:
        self._consumers, self._others, self._partitions = consumers, others, partitions
        self._recorder, self._clock, self._show = recorder, clock, show
        self.samples: list[Sample] = []

    async def take_all(self) -> None:
        """Take a sample every half second, and as soon as all have answered where that takes longer."""
        urls = [*self._consumers().values(), *self._others.values()]
        async with async_http_client(timeout_s=_ANSWER_WITHIN_S, urls=urls) as client:
            while True:
                began = self._clock()
                consumers, others = await asyncio.gather(
                    ask_members(client, self._consumers()), ask_members(client, self._others)
                )
                counts = self._recorder.snapshot()
                sample = Sample(
                    at_s=round(began, 2),
                    sent=counts.sent,
                    decided=counts.decided,
                    stored=counts.stored,
                    open=self._recorder.backlog,
                    lag=lag_of(consumers, self._partitions),
                    unready=unready_of({**consumers, **others}),
                )
                self.samples.append(sample)
                self._show(sample)
                await asyncio.sleep(max(began + EVERY_S - self._clock(), 0.0))


def lag_of(consumers: Mapping[str, Mapping[str, Any]], partitions: int) -> int | None:
    """Return the records that consumers have not taken; None while nobody knows it of some partitions."""
    lags: list[int] = [lag for body in consumers.values() for lag in body["lag"].values()]
    answering = {_service(name) for name, body in consumers.items() if "partitions" in body}
    silent = {_service(name) for name in consumers} - answering
    if silent or unowned(consumers, partitions) or any(lag < 0 for lag in lags):
        return None
    return sum(lags)


def unready_of(health: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the names of the parts that are not ready, of a scaled one as soon as a member of it is not."""
    return tuple(dict.fromkeys(name.partition("@")[0] for name, body in health.items() if not body.get("ready")))


def _service(member: str) -> str:
    """Return `intake` for `intake_2` and for `intake@172.18.0.5`."""
    return member.partition("@")[0].rstrip("_0123456789")
