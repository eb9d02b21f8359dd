"""What the events accept, what they refuse, and how a record is read."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from pydantic import ValidationError

from contracts.errors import Misplaced, Reject
from contracts.events import ApplicationDecided, ApplicationSubmitted, DocumentsProvided
from contracts.records import decode_event, header_maker, partition_of
from contracts.topics import MAX_RECORD_BYTES
from domain import VN
from tests.support.decoded import same
from tests.support.intake_examples import APPLICATION_ID, submission
from tests.support.intake_strategies import submissions

KEY = APPLICATION_ID.encode()


class Stored(NamedTuple):
    partition: int
    key: bytes | None
    value: bytes | None


def stored(value: bytes | None, key: bytes | None = KEY) -> Stored:
    return Stored(partition_of(key or b"", 6), key, value)


def read(record: Stored) -> ApplicationSubmitted:
    return decode_event(record, ApplicationSubmitted, 6)


def changed(**changes: Any) -> bytes:
    fields = submission().model_dump(mode="json") | changes
    return ApplicationSubmitted.model_construct(**fields).model_dump_json(warnings=False).encode()


@given(submitted=submissions())
def test_a_submission_survives_the_wire(submitted):
    value = submitted.model_dump_json()
    assert ApplicationSubmitted.model_validate_json(value) == submitted
    assert ApplicationSubmitted.model_validate_json(value).model_dump_json() == value


def test_an_event_cannot_be_changed():
    submitted = submission()
    with pytest.raises(ValidationError, match="frozen"):
        submitted.assisted = True  # type: ignore[misc]  # the point of the test


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("application_id", "01999E5B-8E80-7000-8000-000000000001"),
        ("application_id", "01999e5b-8e80-4000-8000-000000000001"),
        ("application_id", "01999e5b-8e80-7000-8000-000000000001\n"),
        ("dossier_code", "H26.01-251001-1"),
        ("dossier_code", "A26.01-251001-0001"),
        ("citizen_number", "00119000000"),
        ("citizen_number", "0011900000011"),
        ("citizen_number", "٠٠١١٩٠٠٠٠٠٠١"),
        ("citizen_number", 1190000001),
        ("account_level", 3),
        ("account_level", "2"),
        ("province", "1"),
        ("commune", "4"),
        ("procedure", "birth"),
        ("authority", "commune"),
        ("channel", "trực tuyến"),
        ("assisted", "false"),
        ("assisted", 0),
        ("consent", None),
        ("components", {"Giấy chứng sinh": "upload"}),
        ("components", {"giay_chung_sinh": "fax"}),
        ("components", {f"component_{number}": "upload" for number in range(17)}),
        ("components", ["giay_chung_sinh"]),
        ("fee_paid_online", "yes"),
        ("result_delivery", "fax"),
        ("supplement_minutes", -1),
        ("handling_minutes", 120_001),
        ("handling_minutes", 1.5),
        ("submitted_at", "2025-10-01T09:00:00"),
        ("submitted_at", "2025-10-01T02:00:00Z"),
        ("submitted_at", "2025-10-01"),
        ("submitted_at", 1_759_284_000),
    ],
)
def test_a_wrong_value_is_refused_by_field(field, wrong):
    with pytest.raises(Reject) as refusal:
        read(stored(changed(**{field: wrong})))
    assert refusal.value.reason == "breaks_contract"
    assert refusal.value.detail.startswith(field)


@pytest.mark.parametrize(
    "field", [name for name, described in ApplicationSubmitted.model_fields.items() if described.is_required()]
)
def test_a_missing_field_is_named(field):
    with pytest.raises(Reject, match=f"breaks_contract: {field}: Field required"):
        read(stored(submission().model_dump_json(exclude={field}).encode()))


def test_a_refusal_repeats_no_personal_data():
    with pytest.raises(Reject) as refusal:
        read(stored(changed(citizen_number="00119000000x")))
    assert "00119000000x" not in str(refusal.value)


def test_another_offset_is_refused_even_for_the_same_instant():
    at = datetime(2025, 10, 1, 2, tzinfo=UTC)
    with pytest.raises(ValidationError, match="Timezone offset of 25200 required"):
        submission(submitted_at=at)
    assert submission(submitted_at=at.astimezone(VN)).submitted_at == at


def test_times_are_written_with_vietnams_offset():
    assert '"submitted_at":"2025-10-01T09:00:00+07:00"' in submission().model_dump_json()


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (stored(None), "tombstone"),
        (stored(b""), "not_json"),
        (stored(b"{"), "not_json"),
        (stored(b"\xff\xfe"), "not_json"),
        (stored(b"[]"), "breaks_contract"),
        (stored(b"{}"), "breaks_contract"),
        (stored(b" " * (MAX_RECORD_BYTES + 1)), "too_large"),
        (stored(changed(), key=None), "key_mismatch"),
        (stored(changed(), key=b"01999e5b-8e80-7000-8000-000000000002"), "key_mismatch"),
        (stored(changed())._replace(partition=(partition_of(KEY, 6) + 1) % 6), "key_mismatch"),
    ],
)
def test_a_malformed_record_is_refused_with_its_reason(record, reason):
    with pytest.raises(Reject) as refusal:
        read(record)
    assert refusal.value.reason == reason


def test_a_mismatch_shows_the_two_ids_and_the_place():
    other = b"01999e5b-8e80-7000-8000-000000000002"
    with pytest.raises(Misplaced) as refusal:
        read(stored(changed())._replace(key=other, partition=4))
    assert refusal.value.detail == f"value: {APPLICATION_ID}, key: {other.decode()}, on partition 4"
    assert same(refusal.value.event, submission())


@pytest.mark.parametrize(("key", "said"), [(None, "none"), (b"001190000001", "12 bytes that are no application id")])
def test_a_mismatch_shows_no_key_that_may_be_personal(key, said):
    with pytest.raises(Misplaced) as refusal:
        read(stored(changed())._replace(key=key, partition=4))
    assert refusal.value.detail == f"value: {APPLICATION_ID}, key: {said}, on partition 4"


def test_a_record_elsewhere_is_told_where_it_belongs():
    home = partition_of(KEY, 6)
    with pytest.raises(Misplaced) as refusal:
        read(stored(changed())._replace(partition=(home + 1) % 6))
    assert refusal.value.detail == f"key: {APPLICATION_ID} belongs on partition {home}, not on {(home + 1) % 6}"


def test_a_record_at_the_size_limit_is_read():
    value = changed()
    assert same(read(stored(value + b" " * (MAX_RECORD_BYTES - len(value)))), submission())


def test_a_component_cannot_be_lost_by_an_empty_reply():
    reply = {"application_id": APPLICATION_ID, "attempt": 1, "answers": [], "context": "c"}
    assert DocumentsProvided.model_validate(reply | {"answers": ()}).answers == ()
    with pytest.raises(ValidationError, match="attempt"):
        DocumentsProvided.model_validate(reply | {"answers": (), "attempt": 0})


def test_outcomes_carry_nothing_personal():
    personal = {"citizen_number", "dossier_code", "account_level", "consent", "home_province"}
    assert not personal & set(ApplicationDecided.model_fields)
    assert not personal & set(DocumentsProvided.model_fields)


def test_headers_are_the_four_required_attributes():
    headers = dict(header_maker("/services/intake", "applications.decided.v1")("id/decided/2"))
    assert headers == {
        "ce_specversion": b"1.0",
        "ce_source": b"/services/intake",
        "ce_type": b"applications.decided.v1",
        "ce_id": b"id/decided/2",
    }


def test_event_times_may_carry_microseconds():
    at = datetime(2025, 10, 1, 9, tzinfo=VN) + timedelta(microseconds=1)
    assert ApplicationSubmitted.model_validate_json(submission(submitted_at=at).model_dump_json()).submitted_at == at
