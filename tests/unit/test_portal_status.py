"""From records to where an application stands, and how they are found in a log."""

import json
from typing import Any

import pytest
from aiokafka import TopicPartition

from contracts.records import header_maker
from contracts.topics import (
    APPLICATIONS_DECIDED,
    APPLICATIONS_SUBMITTED,
    DOCUMENTS_PROVIDED,
    DOCUMENTS_REQUESTED,
    Topic,
)
from services.portal.app import load_reasons
from services.portal.batches import Fetched, next_offset, records_of, unpacked
from services.portal.models import Status
from services.portal.status import MASK, event_views, settled, status_of
from tests.support.fakes_portal import FakeLog, applications_in
from tests.support.fakes_runtime import Stored
from tests.support.golden import golden

NAMES = ("passport-database-unreachable", "land-original-on-paper")
REASONS = load_reasons()


def logged(log: FakeLog, topic: Topic, name: str, **changes: Any) -> Stored:
    fields = {**golden(topic, name).fields, **changes}
    key = str(fields["application_id"]).encode()
    return log.add((topic.name, key, json.dumps(fields).encode(), header_maker("/any", topic.event_type)("id")))


def status(*records: Stored) -> Status:
    return status_of(records[0].key.decode() if records[0].key else "", list(records), REASONS)


def test_an_application_is_received_then_asked_for_then_decided():
    log, name = FakeLog(), "land-original-on-paper"
    filed = logged(log, APPLICATIONS_SUBMITTED, name)
    assert status(filed).state == "received"
    asked = logged(log, DOCUMENTS_REQUESTED, name)
    now = status(filed, asked)
    assert now.state == "asking"
    assert now.asking
    assert (now.asking.attempt, [each.databases for each in now.asking.questions]) == (1, [["dat_dai"]])
    answered = logged(log, DOCUMENTS_PROVIDED, name)
    now = status(filed, asked, answered)
    assert now.asking
    [question] = now.asking.questions
    assert (question.answer, question.after_s) == ("mismatch", 0.001)
    decided = status(filed, asked, answered, logged(log, APPLICATIONS_DECIDED, name))
    assert decided.state == "decided"
    assert decided.decided
    assert [(each.reason, each.source != "") for each in decided.decided.reasons] == [("original_required", True)]
    assert settled(decided)


def test_the_parts_of_a_linked_service_are_told_with_their_times():
    log, name = FakeLog(), "land-original-on-paper"
    part = {"part": "khai_sinh", "due_at": "2025-10-06T17:00:00+07:00", "done_at": "2025-10-06T10:00:00+07:00"}
    now = status(logged(log, APPLICATIONS_SUBMITTED, name), logged(log, APPLICATIONS_DECIDED, name, parts=[part]))
    assert now.decided
    assert [each.model_dump() for each in now.decided.parts] == [part]


def test_the_last_attempt_is_told_with_the_times_of_all():
    log, name = FakeLog(), "passport-database-unreachable"
    filed = logged(log, APPLICATIONS_SUBMITTED, name)
    asked = [logged(log, DOCUMENTS_REQUESTED, name, attempt=attempt) for attempt in (1, 2, 2, 3)]
    now = status(filed, *reversed(asked))
    assert now.asking
    assert (now.asking.attempt, len(now.asking.asked)) == (3, 3)
    assert now.asking.asked == sorted(now.asking.asked)


def test_the_outcome_that_knows_more_counts_whatever_the_order():
    log, name = FakeLog(), "passport-database-unreachable"
    filed = logged(log, APPLICATIONS_SUBMITTED, name)
    presumed = logged(log, APPLICATIONS_DECIDED, name, revision=1, presumed=True)
    final = logged(log, APPLICATIONS_DECIDED, name, revision=2, presumed=False)
    assert not settled(status(filed, presumed))
    for records in ((filed, presumed, final), (filed, final, presumed)):
        now = status(*records)
        assert now.decided
        assert (now.decided.revision, now.decided.presumed) == (2, False)


def test_a_submission_that_was_set_aside_is_refused_until_it_is_filed_again():
    log, name = FakeLog(), NAMES[0]
    filed = logged(log, APPLICATIONS_SUBMITTED, name)
    letter = log.set_aside(filed, "intake", "unknown_procedure")
    now = status(filed, letter)
    assert (now.state, now.refused and now.refused.reason) == ("refused", "unknown_procedure")
    assert now.refused
    assert now.refused.position == f"applications.submitted/{filed.partition}/{filed.offset}"
    again = logged(log, APPLICATIONS_SUBMITTED, name)
    assert status(filed, letter, again).state == "received"


def test_what_a_later_step_set_aside_is_told_beside_the_state():
    log, name = FakeLog(), NAMES[0]
    filed, asked = logged(log, APPLICATIONS_SUBMITTED, name), logged(log, DOCUMENTS_REQUESTED, name)
    now = status(filed, asked, log.set_aside(asked, "vneid_mock", "unknown_component"))
    assert (now.state, [each.reason for each in now.set_aside]) == ("asking", ["unknown_component"])


def test_two_submissions_under_one_id_are_a_conflict():
    log, name = FakeLog(), NAMES[0]
    filed = logged(log, APPLICATIONS_SUBMITTED, name)
    assert not status(filed, logged(log, APPLICATIONS_SUBMITTED, name)).conflict
    other = logged(log, APPLICATIONS_SUBMITTED, name, consent=False)
    assert status(filed, other).conflict
    assert not status(filed, other, log.set_aside(other, "intake")).conflict


def test_events_are_in_order_with_their_trace_and_without_personal_data():
    log, name = FakeLog(), NAMES[0]
    filed = logged(log, APPLICATIONS_SUBMITTED, name)
    asked = logged(log, DOCUMENTS_REQUESTED, name)
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    asked = asked._replace(headers=(*asked.headers, ("traceparent", trace)))
    letter = log.set_aside(filed, "intake")
    views = event_views([letter, asked, filed])
    assert [view.topic for view in views] == [filed.topic, asked.topic, letter.topic]
    assert [view.trace_id for view in views] == [None, "0af7651916cd43dd8448eb211c80319c", None]
    text = json.dumps([view.model_dump() for view in views])
    for private in ("citizen_number", "dossier_code"):
        assert golden(APPLICATIONS_SUBMITTED, name).fields[private] not in text
    assert views[1].data
    assert (views[1].data["citizen_number"], views[1].data["context"]) == (MASK, MASK)
    assert views[2].data is None
    assert views[2].dead_letter


@pytest.mark.parametrize("value", [None, b"", b"[1]", b"\xff", b'{"attempt": 7}'])
def test_a_record_that_breaks_the_contract_changes_nothing(value):
    log, name = FakeLog(), NAMES[0]
    filed = logged(log, APPLICATIONS_SUBMITTED, name)
    broken = [filed._replace(topic=topic.name, value=value) for topic in (DOCUMENTS_REQUESTED, APPLICATIONS_DECIDED)]
    assert status(filed, *broken).state == "received"
    assert len(event_views([filed, *broken])) == 3


# Batches


def fetched(log: FakeLog, place: TopicPartition, offset: int = 0) -> Fetched:
    return Fetched(log._piece(place, offset, 2**20), len(log._records[place]))


@pytest.mark.parametrize("codec", [0, 1, 2, 3])
def test_only_the_records_of_a_key_are_unpacked_compressed_or_not(codec):
    log, place = FakeLog(per_batch=4, codec=codec), TopicPartition("t", 0)
    for number in range(40):
        log.add(("t", b"key-%d" % (number % 10), b"value", []), 0)
    found = records_of(place, fetched(log, place), 9, b"key-3")
    assert [record.offset for record in found] == [13, 23, 33]
    assert next_offset(fetched(log, place), 9) == 40


def test_a_batch_that_is_cut_off_is_left_for_the_next_fetch():
    log, place = FakeLog(per_batch=4), TopicPartition("t", 0)
    for _ in range(12):
        log.add(("t", b"key", b"value", []), 0)
    whole = fetched(log, place)
    cut = whole._replace(data=whole.data[:-1])
    assert next_offset(cut, 0) == 8
    assert [record.offset for record in unpacked(place, cut, 0)] == list(range(8))
    assert next_offset(whole._replace(data=whole.data[:30]), 5) == 5


def test_what_cannot_be_unpacked_hides_nothing_of_other_batches():
    log, place = FakeLog(per_batch=1), TopicPartition("t", 0)
    for number in range(3):
        log.add(("t", b"key", b"value", [("header", b"x")] if number == 1 else []), 0)
    broken = fetched(log, place)
    broken = broken._replace(data=broken.data.replace(b"header", b"\xff\xfe\xfd\xfc\xfb\xfa"))
    assert [(record.offset, record.key) for record in unpacked(place, broken, 0)] == [
        (0, b"key"),
        (1, None),
        (2, b"key"),
    ]


# Finding


def others(log: FakeLog, count: int) -> None:
    """Submissions of others on every partition."""
    for number in range(count):
        for partition in range(6):
            log.add((APPLICATIONS_SUBMITTED.name, b"other-%d-%d" % (partition, number), b"{}", []), partition)


async def test_a_recent_application_is_found_by_its_id_and_an_older_one_by_its_offset():
    log = FakeLog()
    filed = logged(log, APPLICATIONS_SUBMITTED, NAMES[0])
    name = (filed.key or b"").decode()
    others(log, 50)
    found = await applications_in(log, recent=100).submission(name)
    assert found
    assert (found.partition, found.offset, found.value) == (filed.partition, filed.offset, filed.value)
    assert await applications_in(log, recent=20).submission(name) is None
    assert await applications_in(log, recent=20).trail(name) is None
    trail = await applications_in(log, recent=20).trail(name, filed.offset)
    assert trail
    assert trail.status(REASONS).state == "received"


async def test_the_offset_of_another_application_opens_nothing():
    log = FakeLog()
    filed = logged(log, APPLICATIONS_SUBMITTED, NAMES[0])
    applications = applications_in(log, recent=1)
    others(log, 9)
    assert await applications.trail((filed.key or b"").decode(), filed.offset + 1) is None


async def test_what_is_held_of_recent_submissions_is_bounded():
    log = FakeLog()
    applications = applications_in(log, recent=10)
    name = golden(APPLICATIONS_SUBMITTED, NAMES[0]).fields["application_id"]
    for _ in range(10):
        others(log, 10)
        assert await applications.submission(name) is None
    [recent] = applications._recent.values()
    assert 10 <= len(recent._older) + len(recent._newer) <= 20


async def test_an_application_is_read_on_from_where_it_was_left():
    log = FakeLog()
    filed = logged(log, APPLICATIONS_SUBMITTED, NAMES[1])
    applications, name = applications_in(log), (filed.key or b"").decode()
    await applications.trail(name)
    logged(log, DOCUMENTS_REQUESTED, NAMES[1])
    trail = await applications.trail(name)
    assert trail
    assert trail.status(REASONS).state == "asking"
    logged(log, APPLICATIONS_DECIDED, NAMES[1])
    assert (await applications.trail(name)) is trail
    assert trail.status(REASONS).state == "decided"
    before = log.fetches
    await applications.trail(name)
    assert (log.fetches, trail.complete) == (before, True), "a final outcome is not read for again"


async def test_an_answer_that_needs_too_much_reading_says_that_it_is_not_complete_and_goes_on():
    log = FakeLog()
    filed = logged(log, APPLICATIONS_SUBMITTED, NAMES[0])
    for number in range(200):
        log.add((DOCUMENTS_REQUESTED.name, b"other-%d" % number, b"x" * 30_000, []), filed.partition)
    applications, name = applications_in(log, most=10), (filed.key or b"").decode()
    trail = await applications.trail(name)
    assert trail
    assert not trail.complete
    for _ in range(20):
        await applications.trail(name)
    assert trail.complete


async def test_a_dead_letter_is_found_by_its_position_although_it_has_lost_its_key():
    log = FakeLog()
    filed = logged(log, APPLICATIONS_SUBMITTED, NAMES[0])
    log.set_aside(filed._replace(key=None, value=None), "intake", "unreadable")
    trail = await applications_in(log).trail((filed.key or b"").decode())
    assert trail
    assert trail.status(REASONS).state == "refused"


async def test_a_dead_letter_elsewhere_is_found_by_what_it_says():
    log = FakeLog()
    name = golden(APPLICATIONS_SUBMITTED, NAMES[0]).fields["application_id"]
    stray = Stored(APPLICATIONS_SUBMITTED.name, 4, 7, log.now_ms, b"no id", b'{"application_id": "%b"}' % name.encode())
    log.set_aside(stray, "intake", "breaks_contract")
    trail = await applications_in(log).trail(name)
    assert trail
    assert (trail.status(REASONS).state, trail.status(REASONS).received) == ("refused", None)
