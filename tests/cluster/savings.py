"""What a history leaves out, or does less often, because it costs much and changes nothing that is looked at."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from services.scoring.store.store import Store

# A member's ticker turns, and its clients try again, a little less often than in earnest: that is much of the cost.
TICK_S = 0.15
RETRY_BACKOFF_MS = 300


@cache
def empty_store() -> bytes:
    """Return the file of a store that has its tables: migrating is tested elsewhere."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scoring.db"
        Store(f"sqlite:///{path}").close()
        return path.read_bytes()


@contextmanager
def cheap() -> Iterator[None]:
    """Leave out the collector of garbage and the mock's HTTP side, and wait longer between two tries."""
    with (
        patch("runtime.process.tune_garbage_collector"),
        patch("services.vneid_mock.app.control_app"),
        patch("runtime.consumer.TICK_S", TICK_S),
        _longer_back_off(),
    ):
        yield


@contextmanager
def _longer_back_off() -> Iterator[None]:
    """Let clients try again less often than they do on their own."""
    with ExitStack() as stack:
        for client in (AIOKafkaProducer, AIOKafkaConsumer):
            stack.enter_context(patch.object(client, "__init__", _with_back_off(client.__init__)))
        yield


def _with_back_off(init: Callable[..., None]) -> Callable[..., None]:
    def made(client: Any, *topics: str, **options: Any) -> None:
        init(client, *topics, **{**options, "retry_backoff_ms": RETRY_BACKOFF_MS})

    return made
