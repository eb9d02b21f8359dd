"""Waiting until nothing moves: as long as it takes while something gets on, and not long when nothing does."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from paperless.http_client import async_http_client
from paperless.language import texts
from paperless.verification.backlog import Backlog, BacklogWatch, moving
from paperless.verification.members import Health, ask_members
from runtime.settings import KafkaAccess

QUIET_POLLS = 3
POLL_S = 0.15
# How long nothing may get on: a batch, a look-up's patience and a broker's change of leader all take less.
STANDSTILL_S = 60.0


class VerifyError(RuntimeError):
    """The system cannot be verified: it does not come to rest, or a part does not answer. Says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A running system: the broker, the health URLs of its consumers by name, and the scoring API."""

    kafka: KafkaAccess
    health_urls: Mapping[str, str]
    api_url: str


async def wait_for_quiescence(
    target: Target,
    *,
    partitions: int,
    within_s: float = STANDSTILL_S,
    progress: Callable[[Backlog], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Health]:
    """Return the members' health once nothing moves: no lag on any topic, nothing open or scheduled, several times.

    However long it takes: `within_s` are the seconds within which something has to get on.

    Raises:
        VerifyError: nothing got on for `within_s` seconds, or somebody files without end.

    """
    watch, quiet = BacklogWatch(partitions), 0
    async with async_http_client(timeout_s=5, urls=target.health_urls.values()) as client:
        while True:
            health = await ask_members(client, target.health_urls)
            backlog = watch.see(health, clock())
            quiet = quiet + 1 if backlog.rests else 0
            if quiet == QUIET_POLLS:
                return health
            if not backlog.rests:
                _check(backlog, health, within_s)
            progress(backlog)
            await asyncio.sleep(POLL_S)


def _check(backlog: Backlog, health: Mapping[str, Health], within_s: float) -> None:
    left = "; ".join(map(texts("en").say, [*moving(health), *backlog.missing]))
    if backlog.filing_s > within_s:
        raise VerifyError(
            f"not at rest: somebody has been filing for {backlog.filing_s:.0f} s ({left}); end that, then verify again"
        )
    if backlog.still_s >= within_s:
        raise VerifyError(
            f"not at rest: nothing has moved for {within_s:.0f} s: {left}; look at the logs of who is named. What was"
            " sent is kept: once it moves again, `paperless verify` goes on from here"
        )
