"""The broker that a suite runs on: the embedded one, and Apache Kafka in a container."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from paperless.local.broker import EmbeddedBroker
from paperless.local.broker_kinds import APACHE_KAFKA, TANSU, BrokerKind
from paperless.local.ports import Ports
from paperless.testing.kafka import KafkaContainer, wipe
from tests.cluster.simulated_loop import SimulatedLoop
from tests.support.brokers import Broker

for name in ("log_contract", "group_contract", "raw_kafka"):
    pytest.register_assert_rewrite(f"tests.component.{name}")
# The first of them also waits for the container to start, on a machine that may be busy.
ON_KAFKA = (pytest.mark.container, pytest.mark.timeout(180))


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Let the tests of a class that says so run in simulated time."""
    simulated = getattr(getattr(item, "cls", None), "SIMULATED", False)
    return {"loop": SimulatedLoop if simulated else asyncio.new_event_loop}


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=ON_KAFKA)])
def container(request: pytest.FixtureRequest) -> KafkaContainer | None:
    """Apache Kafka, None for the turn of the embedded broker."""
    return request.getfixturevalue("kafka") if request.param == "kafka" else None


@pytest.fixture
async def broker(container: KafkaContainer | None, tmp_path: Path) -> AsyncIterator[Broker]:
    """An empty broker, one after the other of both kinds."""
    if container is not None:
        await wipe(bootstrap_servers=container.address())
        yield Broker("kafka", container.address(), APACHE_KAFKA)
        return
    async with _started(None, tmp_path) as embedded:
        yield embedded


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[Broker]:
    """The embedded broker alone, for what only it does."""
    async with _started(None, tmp_path) as broker:
        yield broker


@pytest.fixture
async def tansu(tmp_path: Path) -> AsyncIterator[Broker]:
    """The embedded broker of machines that cannot build the other."""
    async with _started(TANSU, tmp_path) as broker:
        yield broker


@asynccontextmanager
async def _started(kind: BrokerKind | None, folder: Path) -> AsyncIterator[Broker]:
    broker = EmbeddedBroker(Ports().take("broker"), folder / "embedded.log", kind)
    await broker.start()
    try:
        yield Broker.embedded(broker)
    finally:
        await broker.stop()
