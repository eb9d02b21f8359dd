"""Sending in chunks: nothing counts before the broker has it, and a failure is tried again."""

from datetime import date

import pytest

from contracts.records import partition_of
from paperless.population.population import Submission
from paperless.traffic import sender as sending
from paperless.traffic.manifest import DaySent
from paperless.traffic.sender import CHUNK, Sender, Tally
from runtime.clock import SystemClock
from runtime.publisher import Publisher
from tests.support.sending_fakes import Broker

DAY = date(2025, 10, 8)


def submissions(count: int) -> list[Submission]:
    return [Submission(f"a-{n}", f"a-{n}".encode(), b"{}", n) for n in range(count)]


def sender_to(broker: Broker) -> tuple[Sender, Tally]:
    tally = Tally({DAY: DaySent(day=DAY, planned=10)})
    return Sender(Publisher(lambda: broker), 3, tally, SystemClock(), lambda: None), tally


async def test_each_application_goes_to_the_partition_of_its_key():
    broker = Broker()
    sender, _ = sender_to(broker)
    for submission in submissions(50):
        sender.add(DAY, submission)
    await sender.hand_over()
    await sender.drain()
    assert sorted(broker.stored) == sorted((partition_of(s.key, 3), s.key) for s in submissions(50))


async def test_a_failed_send_is_repeated_until_it_is_stored():
    broker = Broker(failures=2)
    sender, tally = sender_to(broker)
    for submission in submissions(5):
        sender.add(DAY, submission)
    await sender.hand_over()
    await sender.drain()
    assert {key for _, key in broker.stored} == {s.key for s in submissions(5)}
    assert tally.sent == tally.days[DAY].sent == 5


async def test_nothing_counts_before_the_broker_has_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sending, "DRAIN_WITHIN_S", 0.05)
    broker = Broker()
    broker.open.clear()
    sender, tally = sender_to(broker)
    sender.add(DAY, submissions(1)[0])
    await sender.hand_over()
    await sender.drain()
    assert (tally.sent, broker.stored) == (0, [])


async def test_what_was_not_handed_over_is_not_counted():
    broker = Broker()
    sender, tally = sender_to(broker)
    sender.add(DAY, submissions(1)[0])
    await sender.drain()
    assert (tally.sent, broker.stored) == (0, [])


async def test_a_full_chunk_asks_to_be_handed_over():
    sender, _ = sender_to(Broker())
    asked = [sender.add(DAY, submission) for submission in submissions(CHUNK)]
    assert asked == [False] * (CHUNK - 1) + [True]


async def test_lateness_is_counted_only_behind_the_moment():
    class Noon:
        def now(self) -> float:
            return 10.0

        def wall_ms(self) -> int:
            return 0

    tally = Tally({DAY: DaySent(day=DAY, planned=2)})
    sender = Sender(Publisher(Broker), 3, tally, Noon(), lambda: None)
    late, early = submissions(2)
    sender.add(DAY, late, due=7.5)
    sender.add(DAY, early, due=11.0)
    await sender.hand_over()
    await sender.drain()
    assert (tally.slip_max_s, tally.slip_sum_s) == (2.5, 2.5)
