"""Several members of scoring on one PostgreSQL and of intake on one log, that come, go and die while all is moving."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.system.compose import READ_HEALTH, Compose, docker
from tests.system.front_door import eventually
from tests.system.traffic import RECOVERED_WITHIN_S, traffic

pytestmark = [
    pytest.mark.container,
    pytest.mark.timeout(600),
    pytest.mark.slow(reason="faults outlast clients' time-outs, and traffic has to recover from each"),
]

PORTS = {"intake": 8101, "scoring": 8103}
HOLDER = "test_lock"
# Scoring writes outcomes first, then cells: with this lock it stops in the middle of its transaction.
HOLD = "BEGIN; LOCK TABLE cell IN SHARE MODE; SELECT pg_sleep(120)"
LET_GO = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{HOLDER}'"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'scoring' AND wait_event_type = 'Lock'"


@pytest.fixture
def scaled(composed: Compose) -> Iterator[Compose]:
    yield composed
    scale(composed, intake=1, scoring=1)


def scale(system: Compose, **members: int) -> None:
    """Change the number of members while everything else goes on."""
    flags = [part for service, number in members.items() for part in ("--scale", f"{service}={number}")]
    system.must("up", "--detach", "--no-build", "--no-deps", "--no-recreate", *flags, *members)
    eventually(lambda: evenly_shared(system, members), RECOVERED_WITHIN_S)


def evenly_shared(system: Compose, members: dict[str, int]) -> bool:
    """Whether each service's members have all six partitions between them, as many each."""
    return all(shares(system, service) == [6 // number] * number for service, number in members.items())


def shares(system: Compose, service: str) -> list[int]:
    """How many partitions each member says it has."""
    asked = [
        system.exec(service, "python", "-c", READ_HEALTH.format(PORTS[service]), index=int(name.rpartition("-")[2]))
        for name in system.containers(service)
    ]
    return [len(json.loads(answer.out)["partitions"]) for answer in asked if answer.code == 0]


def psql(system: Compose, statement: str) -> str:
    answer = system.exec("postgres", "psql", "-U", "postgres", "-d", "paperless", "-Atc", statement)
    assert answer.code == 0, answer
    return answer.out.strip()


@contextmanager
def cells_locked(system: Compose) -> Iterator[None]:
    """No writer comes past the cells meanwhile."""
    [postgres] = system.containers("postgres")
    docker("exec", "--detach", "--env", f"PGAPPNAME={HOLDER}", postgres,
           "psql", "-U", "postgres", "-d", "paperless", "-c", HOLD)  # fmt: skip
    try:
        yield
    finally:
        psql(system, LET_GO)


def test_members_that_come_go_and_die_in_mid_transaction_lose_and_double_nothing(scaled: Compose):
    with traffic(scaled) as flow:
        scale(scaled, intake=3, scoring=3)
        flow.goes_on()
        with cells_locked(scaled):
            eventually(lambda: psql(scaled, WAITING) == "3")
            scaled.kill("scoring", index=2)
        flow.goes_on()
        scale(scaled, intake=2, scoring=2)
        flow.goes_on()
