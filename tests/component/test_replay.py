"""`paperless replay`: a store made anew from the log has the cells of the one that scoring wrote."""

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from contracts.topics import APPLICATIONS_DECIDED
from paperless.operations.replay import Replay, ReplayError, check_fresh, replay
from paperless.operations.topics import ensure_topics
from paperless.testing.postgres import PostgresServer
from services.scoring.rollup.cells import difference
from services.scoring.store.errors import ForeignLogError, StoreRefusesError
from services.scoring.store.store import Store
from tests.support.brokers import Broker
from tests.support.checkers_world import PARTITIONS, Log

pytestmark = pytest.mark.timeout(180)


async def write(broker: Broker, log: Log) -> None:
    async with AIOKafkaProducer(bootstrap_servers=broker.address, acks="all", linger_ms=5) as producer:
        for number, records in log.decided.items():
            for record in records:
                await producer.send(APPLICATIONS_DECIDED.name, record.value, key=record.key, partition=number)


@pytest.fixture
async def log(embedded: Broker) -> Log:
    """A log with 200 outcomes, some told twice, and one that nobody can read."""
    await ensure_topics(embedded.access, partitions=PARTITIONS)
    log = Log.of(200)
    for record in log.decided[0][:7]:
        log.decide(record.key or b"", record.value or b"")
    await write(embedded, log)
    async with AIOKafkaProducer(bootstrap_servers=embedded.address, acks="all") as producer:
        await producer.send_and_wait(APPLICATIONS_DECIDED.name, b"{}", key=b"k", partition=1)
    return log


def nobody(_: int, __: int) -> None:
    """Is told how far it is."""


def check(result: Replay, log: Log) -> None:
    assert difference(result.snapshot, log.live().snapshot()) == []
    assert (result.outcomes, result.refused) == (207, {"breaks_contract": 1})
    assert sum(result.offsets.values()) == 208


async def test_a_store_on_sqlite_is_rebuilt_and_again_there_is_nothing_to_do(embedded, log, tmp_path):
    told: list[tuple[int, int]] = []
    with Store(f"sqlite:///{tmp_path / 'again.db'}") as store:
        check_fresh(store, resume=False)
        check(await replay(embedded.access, store, lambda *numbers: told.append(numbers)), log)
        assert told[-1] == (208, 208)
        with pytest.raises(ReplayError, match=r"not empty: it has read 208 records.*--resume"):
            check_fresh(store, resume=False)
        check_fresh(store, resume=True)
        again = await replay(embedded.access, store, nobody)
        assert (again.outcomes, difference(again.snapshot, log.live().snapshot())) == (0, [])


@pytest.mark.container
async def test_a_store_on_postgresql_is_rebuilt_alike(embedded, log, postgres_server: PostgresServer):
    with Store(postgres_server.create_database()) as store:
        check(await replay(embedded.access, store, nobody), log)


async def test_an_interrupted_replay_is_continued(embedded, log, tmp_path):
    address = f"sqlite:///{tmp_path / 'again.db'}"

    def interrupt(_: int, __: int) -> None:
        raise KeyboardInterrupt

    with Store(address) as store, pytest.raises(KeyboardInterrupt):
        await replay(embedded.access, store, interrupt)
    with Store(address) as store:
        assert 0 < sum(store.offsets().values()) < 208
        await replay(embedded.access, store, nobody)
        assert difference(store.snapshot(), log.live().snapshot()) == []


async def test_a_store_of_another_log_is_refused(embedded, log, tmp_path):
    with Store(f"sqlite:///{tmp_path / 'again.db'}") as store:
        store.bind_log("another")
        with pytest.raises(ForeignLogError, match="belongs to log another"):
            await replay(embedded.access, store, nobody)


async def test_a_broker_without_a_log_is_named(embedded, tmp_path):
    with (
        Store(f"sqlite:///{tmp_path / 'again.db'}") as store,
        pytest.raises(ReplayError, match="run `paperless topics`"),
    ):
        await asyncio.wait_for(replay(embedded.access, store, nobody), 30)


async def test_an_outcome_that_the_store_has_no_place_for_is_left_out_alone(embedded, log, tmp_path, monkeypatch):
    [bad, *_] = log.decided[0]
    apply = Store.apply

    def refusing(self: Store, batch: Any, *rest: Any) -> Any:
        if any(at == 0 and offset == bad.offset for at, offset, _ in batch):
            raise StoreRefusesError("no place")
        return apply(self, batch, *rest)

    monkeypatch.setattr(Store, "apply", refusing)
    with Store(f"sqlite:///{tmp_path / 'again.db'}") as store:
        result = await replay(embedded.access, store, nobody)
    assert result.refused == {"breaks_contract": 1, "store_refuses": 1}
    # Told twice in this log, so it counts all the same.
    assert difference(result.snapshot, log.live().snapshot()) == []
    assert sum(result.offsets.values()) == 208
