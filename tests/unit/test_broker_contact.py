"""A broker that is away or hangs is noticed by what it was asked; one that is slow or not asked is not suspected."""

import asyncio
from types import SimpleNamespace
from typing import NoReturn

import pytest
from aiokafka.errors import KafkaError

from runtime.broker_contact import LOOK_EVERY_S, BrokerContact, given_up
from tests.support.fakes_runtime import FakeConnection

# A user hears of it within 5 s, and whoever asks /health asks once a second.
LOOKS = int(4.0 / LOOK_EVERY_S)


@pytest.fixture
def contact() -> BrokerContact:
    return BrokerContact(held_back_s=0.1)


def looked(contact: BrokerContact, *connections: FakeConnection, times: int = LOOKS) -> bool:
    for _ in range(times):
        contact.look(dict(enumerate(connections)))
    return contact.lost


def test_a_broker_that_closed_its_connections_is_lost_within_four_seconds(contact):
    broken = FakeConnection()
    assert not looked(contact, broken, times=1)
    broken.open = False
    assert not looked(contact, broken, times=2)
    assert looked(contact, broken)


def test_no_connection_at_all_is_no_contact(contact):
    assert looked(contact)


def test_a_broker_that_hangs_is_lost_although_its_connection_is_open(contact):
    hanging = FakeConnection()
    hanging.ask()
    assert looked(contact, hanging)


def test_a_broker_that_answers_one_question_after_the_other_is_not(contact):
    busy = FakeConnection()
    busy.ask()
    for _ in range(3 * LOOKS):
        busy.ask()
        busy.answer()
        assert not looked(contact, busy, times=1)


def test_a_broker_that_is_not_asked_is_not_suspected(contact):
    assert not looked(contact, FakeConnection(), times=10 * LOOKS)


def test_one_broker_of_three_that_answers_is_enough(contact):
    gone, hanging, idle = FakeConnection(), FakeConnection(), FakeConnection()
    gone.open = False
    hanging.ask()
    assert not looked(contact, gone, hanging, idle, times=3 * LOOKS)


def test_a_broker_that_is_back_is_found_at_the_next_look(contact):
    connection = FakeConnection()
    connection.open = False
    assert looked(contact, connection)
    connection.open = True
    assert not looked(contact, connection, times=1)


def test_who_is_asked_to_wait_longer_is_given_the_time():
    patient, hanging = BrokerContact(held_back_s=10.0), FakeConnection()
    hanging.ask()
    assert not looked(patient, hanging)
    assert looked(patient, hanging, times=4 * LOOKS)


@pytest.mark.parametrize("work", ["_coordination_task", "_heartbeat_task", "_commit_refresh_task", "_fetch_task"])
async def test_a_client_whose_own_work_has_ended_by_an_error_has_given_up(work: str):
    async def failing() -> NoReturn:
        raise KafkaError("an answer that it does not expect")

    going, failed, stopped = (asyncio.ensure_future(each) for each in (asyncio.sleep(9), failing(), asyncio.sleep(9)))
    stopped.cancel()
    await asyncio.wait({failed, stopped})
    names = ("_coordination_task", "_heartbeat_task", "_commit_refresh_task", "_fetch_task")
    part = SimpleNamespace(**dict(zip(names, (going, stopped, None, going), strict=True)))
    client = SimpleNamespace(_coordinator=part, _fetcher=part)
    assert given_up(client) is None
    setattr(part, work, failed)
    assert given_up(client) is failed.exception()
    going.cancel()
