"""What a request files: JSON, CloudEvents in both modes, keys, and every fault named by its field."""

import json
from typing import Any

import pytest

from contracts.events import ApplicationSubmitted
from contracts.submissions import SubmissionCheck
from contracts.topics import ALL
from domain import load_domain
from services.portal.filing import Filing, FilingError, read_filing
from services.portal.identity import fresh_id, id_of_key
from tests.support.golden import golden

EXAMPLE: dict[str, Any] = json.loads(golden(ALL[0], "birth-every-proof-by-data").value)
DATA = {name: value for name, value in EXAMPLE.items() if name != "application_id"}
FRESH = fresh_id(1_760_000_000_000, 7)
JSON = {"content-type": "application/json"}
EVENT = {"specversion": "1.0", "id": "e-1", "source": "/town/7", "type": "applications.submitted.v1", "data": DATA}
CHECK = SubmissionCheck.of(load_domain())


def filed(body: object, **headers: str) -> Filing:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_filing({**JSON, **given}, text, CHECK, lambda: FRESH)


def refused(body: object, **headers: str) -> tuple[int, list[str]]:
    with pytest.raises(FilingError) as error:
        filed(body, **headers)
    return error.value.status, [fault.field for fault in error.value.faults]


def test_an_application_is_filed_under_its_own_id_or_a_fresh_one():
    assert filed(EXAMPLE).application_id == EXAMPLE["application_id"]
    assert filed(EXAMPLE).repeatable
    assert filed(DATA).application_id == FRESH
    assert not filed(DATA).repeatable


def test_what_is_written_does_not_depend_on_blanks_order_or_unknown_fields():
    shuffled = {"unknown": 1, **dict(reversed(EXAMPLE.items()))}
    assert filed(json.dumps(shuffled, indent=4).encode()).value == filed(EXAMPLE).value
    assert ApplicationSubmitted.model_validate_json(filed(EXAMPLE).value) == filed(EXAMPLE).application


def test_a_key_names_the_application_whatever_it_holds():
    assert filed(DATA, idempotency_key='"k-1"').application_id == id_of_key("k-1")
    assert filed(DATA, idempotency_key="k-1").application_id == id_of_key("k-1")
    assert filed({**DATA, "consent": False}, idempotency_key="k-1").application_id == id_of_key("k-1")
    assert filed(EXAMPLE, idempotency_key="k-1").application_id == EXAMPLE["application_id"]


def test_the_id_of_a_key_is_the_same_for_ever():
    assert id_of_key("8e03978e-40d5-43dd-bc93-6894a57f9324") == "99a7b9d3-8004-730a-9f65-a97ae80fb546"


def test_ids_have_the_form_that_the_contract_wants():
    for name in (FRESH, fresh_id(2**48 - 1, 2**80 - 1), fresh_id(0, 0), *map(id_of_key, "abc")):
        assert ApplicationSubmitted.model_validate_json(json.dumps({**DATA, "application_id": name}))
    assert len({fresh_id(1, drawn << 20) for drawn in range(100)}) == 100


@pytest.mark.parametrize("key", ["", '""', "two words", "x" * 256, "é"])
def test_a_key_that_is_none_is_named(key):
    assert refused(DATA, idempotency_key=key) == (400, ["Idempotency-Key"])


def test_a_structured_cloud_event_is_filed_with_its_own_source_and_id():
    filing = filed(EVENT, content_type="application/cloudevents+json; charset=utf-8")
    assert (filing.source, filing.event_id) == ("/town/7", "e-1")
    assert filing.application_id == id_of_key("/town/7 e-1")


def test_a_binary_cloud_event_is_the_same():
    attributes = {"ce_specversion": "1.0", "ce_id": "e-1", "ce_source": "/town/7", "ce_type": str(EVENT["type"])}
    binary = filed(DATA, **attributes)
    assert binary == filed(EVENT, content_type="application/cloudevents+json")
    assert filed(DATA, **{**attributes, "ce_source": "/th%C3%A0nh%20ph%E1%BB%91"}).source == "/thành phố"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"type": "applications.decided.v1"}, "type"),
        ({"source": ""}, "source"),
        ({"id": 7}, "id"),
        ({"data": "text"}, "data"),
        ({"data_base64": "e30="}, "datacontenttype"),
        ({"datacontenttype": "text/xml"}, "datacontenttype"),
    ],
)
def test_a_cloud_event_that_is_none_is_named_by_its_attribute(change, field):
    assert refused({**EVENT, **change}, content_type="application/cloudevents+json") == (422, [field])


def test_a_binary_event_names_its_headers():
    assert refused(DATA, ce_specversion="1.0", ce_id="1") == (422, ["ce-source", "ce-type"])


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 5_000, b"\xff", b"NaN"])
def test_what_is_no_json_is_a_bad_request(body):
    assert refused(body) == (400, ["body"])


@pytest.mark.parametrize("body", [[], "text", 7, None])
def test_what_is_no_object_is_named(body):
    assert refused(body) == (422, ["body"])


def test_every_wrong_field_is_named_and_no_value_repeated():
    with pytest.raises(FilingError) as error:
        filed({**DATA, "citizen_number": "12345", "channel": "pigeon", "supplement_minutes": -1})
    assert [fault.field for fault in error.value.faults] == ["citizen_number", "channel", "supplement_minutes"]
    assert "12345" not in str(error.value)
    assert error.value.reason == "breaks_contract"


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"procedure": "9.999999"}, "procedure", "unknown_procedure"),
        ({"province": "99"}, "province", "unknown_province"),
        ({"commune": "99999"}, "commune", "unknown_commune"),
        ({"authority": "ministry"}, "authority", "wrong_authority"),
        ({"components": {"gcn_qsdd": "upload"}}, "components", "unknown_component"),
        ({"part_minutes": {"khai_sinh": 60}}, "part_minutes", "wrong_parts"),
        ({"submitted_at": "2199-10-01T09:00:00+07:00"}, "submitted_at", "outside_calendar"),
    ],
)
def test_what_intake_would_set_aside_is_said_at_once(change, field, reason):
    with pytest.raises(FilingError) as error:
        filed({**DATA, **change})
    assert ([fault.field for fault in error.value.faults], error.value.reason) == ([field], reason)


@pytest.mark.parametrize(
    "headers", [{"content_type": "text/plain"}, {"content_type": ""}, {"content_encoding": "gzip"}]
)
def test_another_media_type_is_refused(headers):
    assert refused(DATA, **headers) == (415, ["Content-Type"])
