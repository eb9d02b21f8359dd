import json
from collections.abc import Sequence
from typing import NamedTuple

import pytest

from contracts.errors import Reject
from contracts.records import partition_of
from contracts.topics import MAX_RECORD_BYTES
from services.scoring.rollup.outcome import ApplicationOutcome, decode, outcome_of
from tests.support.scoring_examples import application_id, event, value_of

GOOD = value_of(event(1))


class Record(NamedTuple):
    partition: int
    key: bytes | None
    value: bytes | None


def decoded(values: Sequence[bytes | None]) -> list[ApplicationOutcome | Reject]:
    """What each value comes to, in a record where the first application's outcomes belong."""
    key = application_id(1).encode()
    found: list[ApplicationOutcome | Reject] = []
    for value in values:
        try:
            found.append(decode(Record(partition_of(key, 6), key, value), 6))
        except Reject as refusal:
            found.append(refusal)
    return found


def changed(**changes: object) -> bytes:
    return json.dumps(json.loads(GOOD) | changes).encode()


@pytest.mark.parametrize(
    ("value", "reason", "detail"),
    [
        (None, "tombstone", "value"),
        (b"{", "not_json", "value"),
        (b"1,2", "not_json", "value"),
        (GOOD + b"," + GOOD, "not_json", "value"),
        (b"[" + GOOD + b"]", "breaks_contract", "value"),
        (b" " * (MAX_RECORD_BYTES + 1), "too_large", "65537"),
        (changed(revision="one"), "breaks_contract", "revision"),
        (changed(decided_at="2025-10-06T08:00:00+00:00"), "breaks_contract", "decided_at"),
        (changed(province="99"), "unknown_province", "'99'"),
        (changed(procedure="9.999999"), "unknown_procedure", "'9.999999'"),
        (changed(authority="province"), "wrong_authority", "authority"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_a_bad_value_is_refused_with_its_field(value, reason, detail):
    good, refused, also_good = decoded([GOOD, value, GOOD])
    assert isinstance(refused, Reject)
    assert refused.reason == reason
    assert detail in refused.detail
    assert good == also_good == outcome_of(event(1), GOOD)


def test_two_halves_valid_only_together_are_both_refused():
    cut = GOOD.index(b",")
    halves = decoded([GOOD[:cut], GOOD[cut + 1 :]])
    assert [getattr(each, "reason", None) for each in halves] == ["not_json", "not_json"]


def test_a_field_of_a_later_version_is_ignored():
    (decided,) = decoded([changed(later_field=1)])
    assert isinstance(decided, ApplicationOutcome)
    assert decided.application_id == application_id(1)


def test_a_record_under_anothers_key_is_refused():
    key = application_id(1).encode()
    assert decode(Record(partition_of(key, 6), key, GOOD), 6) == outcome_of(event(1), GOOD)
    with pytest.raises(Reject, match="key_mismatch"):
        decode(Record(partition_of(key, 6), application_id(2).encode(), GOOD), 6)
