"""A plan is carried out at its moments, and whatever lasts is ended however the run ends."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from paperless.chaos.injector import Event, FaultInjector
from paperless.chaos.plan import Fault, Kind
from paperless.chaos.port import ChaosError
from paperless.chaos.sampler import lag_of, unready_of

SHORT = Fault(Kind.FREEZE, "intake", 0.0, 0.05)
LATER = Fault(Kind.KILL, "scoring", 0.1, 0.0)
LONG = Fault(Kind.LONG_FREEZE, "broker", 0.0, 60.0)


class Port:
    joined: Mapping[str, str] = {}

    def __init__(self, refused: Kind | None = None) -> None:
        self.refused, self.did = refused, list[str]()

    @asynccontextmanager
    async def hold(self, fault: Fault) -> AsyncIterator[None]:
        if fault.kind is self.refused:
            raise ChaosError("cannot be done")
        self.did.append(f"{fault.kind} {fault.target}")
        try:
            yield
        finally:
            self.did.append(f"over: {fault.kind} {fault.target}")


def injector(plan: list[Fault], port: Port, events: list[Event] | None = None) -> FaultInjector:
    start, told = time.monotonic(), [] if events is None else events
    return FaultInjector(plan, port, lambda: time.monotonic() - start, told.append)


async def test_faults_begin_and_end_at_their_moments():
    events: list[Event] = []
    injected = injector([SHORT, LATER], port := Port(), events)
    await injected.inject()
    assert port.did == ["freeze intake", "over: freeze intake", "kill scoring", "over: kill scoring"]
    assert [(event.fault, event.ended) for event in events] == [
        (SHORT, False), (SHORT, True), (LATER, False), (LATER, True),
    ]  # fmt: skip
    frozen, killed = sorted(injected.occurred, key=lambda each: each.began_s)
    assert frozen.ended_s - frozen.began_s >= SHORT.lasts_s
    assert killed.began_s >= LATER.begins_s


async def test_a_run_that_is_stopped_ends_what_lasts_and_does_not_begin_the_rest():
    injected = injector([LONG, Fault(Kind.KILL, "intake", 30.0, 0.0)], port := Port())
    injecting = asyncio.create_task(injected.inject())
    await asyncio.sleep(0.05)
    assert port.did == ["long_freeze broker"]
    injecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await injecting
    assert port.did == ["long_freeze broker", "over: long_freeze broker"]
    assert injected.occurred == []


async def test_a_fault_that_cannot_be_carried_out_ends_the_others():
    injected = injector([LONG, LATER], port := Port(refused=Kind.KILL))
    with pytest.raises(ChaosError, match="cannot be done"):
        await injected.inject()
    assert port.did == ["long_freeze broker", "over: long_freeze broker"]


INTAKE = {"ready": True, "partitions": [0, 1], "lag": {"applications.submitted": 3, "documents.provided": 4}}
SCORING = {"ready": True, "partitions": [0, 1], "lag": {"applications.decided": 5}}
SILENT = {"ready": False, "reasons": ["does not answer"], "open": 0, "unsent": 0, "lag": {}}


def test_lag_is_that_of_all_consumers():
    assert lag_of({"intake": INTAKE, "scoring": SCORING}, 2) == 12


@pytest.mark.parametrize(
    "health",
    [
        {"intake": INTAKE, "scoring": SILENT},
        {"intake": {**INTAKE, "partitions": [0]}, "intake_2": SILENT, "scoring": SCORING},
        {"intake": {**INTAKE, "lag": {"applications.submitted": -1}}, "scoring": SCORING},
    ],
    ids=["a consumer is silent", "nobody has a partition", "a member does not know yet"],
)
def test_lag_that_nobody_knows_is_not_known(health):
    assert lag_of(health, 2) is None


def test_a_silent_member_whose_partitions_another_has_hides_no_lag():
    assert lag_of({"intake": INTAKE, "intake_2": SILENT, "scoring": SCORING}, 2) == 12


def test_a_part_is_not_ready_as_soon_as_one_of_its_members_is_not():
    health = {"intake@10.0.0.2": INTAKE, "intake@10.0.0.3": SILENT, "intake@10.0.0.4": SILENT, "scoring": SCORING}
    assert unready_of(health) == ("intake",)
