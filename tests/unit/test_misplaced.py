"""Applications filed anywhere, by whatever key, as often as anybody likes: each is decided once, and verify says ok."""

import json
from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.records import partition_of
from paperless.verification.checkers import PartitionAudit, PartitionAuditor, Verdict, judge
from paperless.verification.positions import LoggedRecord, RefusedRecord
from services.vneid_mock.plan_files import named_plan
from tests.support.checkers_world import not_arrived
from tests.support.confluence_filings import Submitted, filed, submitted
from tests.support.confluence_world import DECIDED, PARTITIONS, SUBMITTED, World

EVENTS = filed(0)[:12]
KEYS = 4


def logged(world: World, topic: str, number: int) -> list[LoggedRecord]:
    return [LoggedRecord(one.partition, one.offset, one.key, one.value) for one in world.log.records[topic, number]]


def audit(world: World, number: int) -> PartitionAudit:
    letters = [
        RefusedRecord(SUBMITTED, at, offset, reason)
        for (at, offset), reason in world.dead_letters(SUBMITTED).items()
        if at == number
    ]
    auditor = PartitionAuditor(partition=number, partitions=PARTITIONS, refused=letters, oracle=world.oracle())
    auditor.decided(logged(world, DECIDED, number))
    auditor.submitted(logged(world, SUBMITTED, number))
    return auditor.result()


def verdict_of(world: World) -> Verdict:
    audits = {number: audit(world, number) for number in range(PARTITIONS)}
    missing = not_arrived(audits.values(), PARTITIONS, lambda number: logged(world, SUBMITTED, number))
    return judge(world.rollup.snapshot(), audits, {}, missing)


def broken(event: dict[str, object]) -> Submitted:
    return submitted(event | {"procedure": "9.999999"})


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.integers(0, len(EVENTS) - 1), st.integers(0, PARTITIONS - 1), st.integers(0, KEYS - 1)),
        min_size=1,
        max_size=40,
    ),
    st.integers(0, len(EVENTS)),
)
def test_each_application_is_decided_once_wherever_and_however_often_it_is_filed(filings, good):
    """The first `good` applications are valid, the others are broken."""
    world = World([submitted(e) if n < good else broken(e) for n, e in enumerate(EVENTS)], named_plan("calm"), 1)
    for number, partition, key in filings:
        world.submit_anywhere(number, partition, key)
    world.play_on()
    world.check()
    verdict = verdict_of(world)
    assert verdict.ok, verdict.differences
    valid = {number for number, _, _ in filings if number < good}
    refused = Counter(number >= good for number, _, _ in filings)[True]
    assert (verdict.decided, verdict.dead_lettered, verdict.conflicts) == (len(valid), refused, 0)
    moved = sum(_elsewhere(record) for number in range(PARTITIONS) for record in logged(world, SUBMITTED, number))
    assert (verdict.moved, verdict.submitted) == (moved, len(filings) + moved)


def _elsewhere(record: LoggedRecord) -> bool:
    event = json.loads(record.value or b"")
    own = submitted(event)
    home = partition_of(own.key, PARTITIONS)
    return event["procedure"] != "9.999999" and (record.key, record.partition) != (own.key, home)
