"""Sending in chunks: nothing counts before the broker has it, and a failure is tried again."""

from datetime import date

import pytest

from contracts.records import partition_of
from paperless.population.population import submitted_at
from paperless.traffic import sender as sending
from paperless.traffic.manifest import DaySent
from paperless.traffic.sender import CHUNK, Sender, Tally
from runtime.clock import SystemClock
from runtime.publisher import Publisher
from tests.support.sending_fakes import Broker

DAY = date(2025, 10, 8)


def keys(count: int) -> list[bytes]:
    return [f"a-{number}".encode() for number in range(count)]


def fill(sender: Sender, count: int) -> list[bool]:
    """Add submissions of successive seconds; what each `add` said."""
    return [sender.add(DAY, second, (key, b"{}")) for second, key in enumerate(keys(count))]


def sender_to(broker: Broker) -> tuple[Sender, Tally]:
    tally = Tally({DAY: DaySent(day=DAY, planned=10)})
    return Sender(Publisher(lambda: broker), 3, tally, SystemClock(), lambda: None), tally


async def test_each_application_goes_to_the_partition_of_its_key():
    broker = Broker()
    sender, _ = sender_to(broker)
    fill(sender, 50)
    await sender.hand_over()
    await sender.drain()
    assert sorted(broker.stored) == sorted((partition_of(key, 3), key) for key in keys(50))


async def test_a_failed_send_is_repeated_until_it_is_stored():
    broker = Broker(failures=2)
    sender, tally = sender_to(broker)
    fill(sender, 5)
    await sender.hand_over()
    await sender.drain()
    assert {key for _, key in broker.stored} == set(keys(5))
    assert tally.sent == tally.days[DAY].sent == 5
    assert tally.value_bytes == 5 * len(b"{}")
    assert (tally.days[DAY].first_at, tally.at) == (submitted_at(DAY, 0), submitted_at(DAY, 4))


async def test_nothing_counts_before_the_broker_has_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sending, "DRAIN_WITHIN_S", 0.05)
    broker = Broker()
    broker.open.clear()
    sender, tally = sender_to(broker)
    fill(sender, 1)
    await sender.hand_over()
    await sender.drain()
    assert (tally.sent, broker.stored) == (0, [])


async def test_what_was_not_handed_over_is_not_counted():
    broker = Broker()
    sender, tally = sender_to(broker)
    fill(sender, 1)
    await sender.drain()
    assert (tally.sent, broker.stored) == (0, [])


async def test_a_full_chunk_asks_to_be_handed_over():
    sender, _ = sender_to(Broker())
    assert fill(sender, CHUNK) == [False] * (CHUNK - 1) + [True]


async def test_lateness_is_counted_only_behind_the_moment():
    class Noon:
        def now(self) -> float:
            return 10.0

        def wall_ms(self) -> int:
            return 0

    tally = Tally({DAY: DaySent(day=DAY, planned=2)})
    sender = Sender(Publisher(Broker), 3, tally, Noon(), lambda: None)
    late, early = keys(2)
    sender.add(DAY, 0, (late, b"{}"), due=7.5)
    sender.add(DAY, 1, (early, b"{}"), due=11.0)
    await sender.hand_over()
    await sender.drain()
    assert (tally.slip_max_s, tally.slip_sum_s) == (2.5, 2.5)
