"""A client's contact with its brokers: kept, and seen from what it has asked, without asking more.

A connection that is broken is closed at once; one to a broker that hangs, or that a network cuts off, stays open for
the request timeout, and only its oldest question tells.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Never

from runtime.broker import KNOWN_BROKERS_CHECKED_S, keep_bootstrapped

LOOK_EVERY_S = 0.5
# How long no broker may answer: the consumer's own questions, which the broker holds back for a while, come on top.
SILENT_S = 1.5
BROKER_UNREACHABLE = "broker unreachable"


class BrokerContact:
    """Looks at a client twice a second; counts looks, not time: a process that is late has not lost its broker."""

    def __init__(self, *, held_back_s: float = 0.0) -> None:
        self._patience = round((SILENT_S + held_back_s) / LOOK_EVERY_S)
        self._silent = 0
        self._asked: dict[Any, object] = {}
        self.task: asyncio.Future[Any] | None = None

    @property
    def lost(self) -> bool:
        """Whether no broker has answered for so long."""
        return self._silent > self._patience

    def start(self, client: Any) -> None:
        """Look after an aiokafka client until `task` is cancelled: watch it, and keep it from knowing no broker."""
        self.task = asyncio.create_task(self._look_after(client))

    async def _look_after(self, client: Any) -> None:
        # In a task of its own: of a gathering that is cancelled and awaited by nobody, asyncio complains at any time.
        await asyncio.gather(self.watch(client), keep_bootstrapped(client, KNOWN_BROKERS_CHECKED_S))

    async def watch(self, client: Any) -> Never:
        """Look at an aiokafka client for ever."""
        while True:
            # aiokafka has no other view of its connections.
            self.look(client._conns)  # noqa: SLF001
            await asyncio.sleep(LOOK_EVERY_S)

    def look(self, connections: Mapping[Any, Any]) -> None:
        """Look at the connections once: one that is open and has nothing to answer, or has answered, is contact."""
        asked = {key: _oldest_question(each) for key, each in connections.items() if each.connected()}
        answering = [key for key, oldest in asked.items() if oldest is None or self._asked.get(key) is not oldest]
        self._asked = asked
        self._silent = 0 if answering else self._silent + 1


def _oldest_question(connection: Any) -> object:
    waiting = connection._requests  # noqa: SLF001  as above
    return waiting[0][2] if waiting else None


def given_up(consumer: Any) -> BaseException | None:
    """Return the error by which work of an aiokafka consumer's own has ended: it begins none of it again.

    An answer that it does not expect is enough, from a coordinator that moves: then its positions, its heartbeats or
    its fetches stand still for ever, and all it does is raise.
    """
    coordinator, fetcher = getattr(consumer, "_coordinator", None), getattr(consumer, "_fetcher", None)
    work = [
        getattr(coordinator, "_coordination_task", None),
        getattr(coordinator, "_heartbeat_task", None),
        getattr(coordinator, "_commit_refresh_task", None),
        getattr(fetcher, "_fetch_task", None),
    ]
    ended = [task for task in work if task is not None and task.done() and not task.cancelled()]
    return next(filter(None, (task.exception() for task in ended)), None)


def is_member(consumer: Any) -> bool:
    """Tell whether an aiokafka consumer has a generation: without, brokers take commits while the group is empty."""
    coordinator = getattr(consumer, "_coordinator", None)
    return getattr(coordinator, "generation", 0) >= 0
