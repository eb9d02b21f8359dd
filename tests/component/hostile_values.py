"""Good values of each topic, and all that may be wrong with a value or with headers, with the reason of its refusal."""

import json
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, cast

from contracts.events import MAX_INTEGER, Answer, ApplicationSubmitted, DocumentAnswer
from contracts.records import short_digest
from contracts.topics import (
    APPLICATIONS_DECIDED,
    APPLICATIONS_SUBMITTED,
    CORRECTIONS_REQUESTED,
    DOCUMENTS_PROVIDED,
    DOCUMENTS_REQUESTED,
    MAX_RECORD_BYTES,
    Topic,
)
from domain import load_domain
from services.intake.context import facts_of, seal
from services.intake.core import decide, look_ups
from services.intake.corrections import corrections_of
from tests.support.filings import book, filed

SIGNING_KEY = b"dev-only"

Headers = list[tuple[str, bytes | None]]


def application(draw: Random) -> dict[str, Any]:
    bits = f"{draw.getrandbits(120):030x}"
    name = f"{bits[:8]}-{bits[8:12]}-7{bits[12:15]}-8{bits[15:18]}-{bits[18:30]}"
    bounds = {"handling_minutes": draw.choice((0, 84, 119_999, 120_000)), "supplement_minutes": draw.choice((0, 528))}
    event = dict(draw.choice(ASKED))
    # Decided outside the calendar, it would be refused.
    return event | bounds | {"application_id": name}


def _facts(event: dict[str, Any]) -> Any:
    value = json.dumps(event).encode()
    return facts_of(ApplicationSubmitted.model_validate_json(value), short_digest(value))


# What databases are asked about, and of a province's office, so that a ministry's is the wrong one.
ASKED = [event for event in filed(2) if event["authority"] == "province" and look_ups(_facts(event), book())]


def _request(event: dict[str, Any], draw: Random) -> dict[str, Any]:
    components = load_domain().procedures[event["procedure"]].components
    copied = ("application_id", "citizen_number", "procedure", "province", "consent")
    documents = [
        {"component": slug, "databases": list(components[slug].databases)} for slug in look_ups(_facts(event), book())
    ]
    body = {"as_of": event["submitted_at"], "documents": documents, "context": seal(_facts(event), SIGNING_KEY)}
    return {name: event[name] for name in copied} | body | {"attempt": draw.choice((1, 2, 99))}


def _reply(event: dict[str, Any], draw: Random) -> dict[str, Any]:
    context = seal(_facts(event), SIGNING_KEY)
    name, attempt = event["application_id"], draw.choice((1, 2, 99))
    return {"application_id": name, "attempt": attempt, "answers": [], "context": context}


def _outcome(event: dict[str, Any], draw: Random) -> dict[str, Any]:
    outcome: dict[str, Any] = json.loads(decide(_facts(event), {}, book()).to_json())
    return outcome | {"rules_version": draw.choice((1, MAX_INTEGER)), "revision": draw.choice((0, 16))}


def _correction(event: dict[str, Any], draw: Random) -> dict[str, Any]:
    facts = _facts(event)
    slug, wrong = look_ups(facts, book())[0], draw.choice(("missing", "mismatch"))
    answers = {slug: DocumentAnswer(slug, cast("Answer", wrong), "dan_cu", facts.submitted_at)}
    decision = decide(facts, answers, book())
    correction: dict[str, Any] = json.loads(corrections_of(decision, answers, book().desk)[0].to_json())
    return correction | {"addressees": draw.choice((["owner"], ["citizen", "owner"]))}


VALUES: dict[str, Callable[[dict[str, Any], Random], dict[str, Any]]] = {
    APPLICATIONS_SUBMITTED.name: lambda event, _: event,
    DOCUMENTS_REQUESTED.name: _request,
    DOCUMENTS_PROVIDED.name: _reply,
    APPLICATIONS_DECIDED.name: _outcome,
    CORRECTIONS_REQUESTED.name: _correction,
}

# Values that are no JSON, or no event; each is made from a good one.
Change = Callable[[dict[str, Any]], bytes | None]


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value)


NOT_JSON: dict[str, Change] = {
    "nothing": lambda _: b"",
    "white space": lambda _: b" \n\t ",
    "half": lambda good: _text(good).encode()[: len(_text(good)) // 2],
    "no end": lambda good: _text(good)[:-1].encode(),
    "something behind it": lambda good: _text(good).encode() + b"}",
    "twice": lambda good: _text(good).encode() * 2,
    "a comma too many": lambda good: _text(good)[:-1].encode() + b",}",
    "single quotes": lambda good: _text(good).replace('"', "'").encode(),
    "a comment": lambda good: b"/* " + _text(good).encode() + b" */",
    "a byte order mark": lambda good: b"\xef\xbb\xbf" + _text(good).encode(),
    "UTF-16": lambda good: _text(good).encode("utf-16"),
    "UTF-32": lambda good: _text(good).encode("utf-32"),
    "no UTF-8": lambda _: b"\xff\xfe\xfd",
    "no UTF-8 in a text": lambda good: _text(good | {"note": "@"}).encode().replace(b"@", b"\xc3\x28"),
    "overlong UTF-8": lambda good: _text(good | {"note": "@"}).encode().replace(b"@", b"\xc0\xaf"),
    "a surrogate in UTF-8": lambda good: _text(good | {"note": "@"}).encode().replace(b"@", b"\xed\xa0\x80"),
    "half a surrogate pair": lambda good: _text(good | {"note": "\ud800"}).encode(),
    "a control character in a text": lambda good: _text(good | {"note": "@"}).encode().replace(b"@", b"\x01"),
    "an escape that is none": lambda good: _text(good | {"note": "@"}).encode().replace(b"@", b"\\x"),
    "NUL": lambda _: bytes(64),
    "random bytes": lambda good: bytes(Random(_text(good)).randbytes(200)),
    "Avro's magic": lambda good: b"\x00\x00\x00\x00\x07" + _text(good).encode(),
    "deep lists": lambda _: b"[" * 30_000,
    "deep objects": lambda _: b'{"a":' * 10_000,
    "a number with a leading zero": lambda good: _text(good)[:-1].encode() + b', "n": 007}',
    "a hexadecimal number": lambda good: _text(good)[:-1].encode() + b', "n": 0x7}',
    "a number of 5,000 digits": lambda good: _text(good)[:-1].encode() + b', "n": ' + b"9" * 5_000 + b"}",
}
OTHER_JSON: dict[str, Change] = {
    "null": lambda _: b"null",
    "a number": lambda _: b"7",
    "a text": lambda good: json.dumps(_text(good)).encode(),
    "a list": lambda good: json.dumps([good]).encode(),
    "an empty object": lambda _: b"{}",
    "nothing but NaN": lambda _: b"NaN",
    "names in capitals": lambda good: json.dumps({name.upper(): value for name, value in good.items()}).encode(),
    "a second application id that is none": lambda good: _text(good)[:-1].encode() + b', "application_id": 7}',
    "all fields null": lambda good: json.dumps(dict.fromkeys(good)).encode(),
    "an envelope": lambda good: json.dumps({"payload": good}).encode(),
    "many names": lambda good: json.dumps(
        {f"{name}_": value for name, value in good.items()} | {"x": "y" * 50}
    ).encode(),
}
# Values that a field's type does not hold, by the kind of field.
INTEGERS: tuple[Any, ...] = (
    -1,
    2**31,
    2**63,
    2**64,
    -(2**63) - 1,
    10**30,
    1.5,
    1e300,
    "1",
    True,
    None,
    [],
    {},
    float("nan"),
    float("inf"),
)
TIMES = (
    "2025-02-30T10:00:00+07:00", "0000-01-01T00:00:00+07:00", "10000-01-01T00:00:00+07:00",
    "2025-10-08T10:00:00", "2025-10-08T10:00:00Z", "2025-10-08T10:00:00+08:00", "2025-10-08T25:00:00+07:00",
    "2025-10-08", "yesterday", "", 1_760_000_000, None, {"at": 1},
)  # fmt: skip
NAMES = (
    "", "0199c012-7090-4001-87a0-a886795952ba", "0199C012-7090-7001-87A0-A886795952BA", "../../etc/passwd",
    "0199c012-7090-7001-87a0-a886795952ba\n", "0199c012-7090-7001-87a0-a886795952b\u0663",
    "'; DROP TABLE outcome; --", 7, None,
)  # fmt: skip
CODES = ("", "1", "\u0663\u0661", "31 ", "31\x00", "x" * 5_000, 31, None, ["31"], True)
SWITCHES: tuple[Any, ...] = (0, 1, "true", "", None, [])
LISTS: tuple[Any, ...] = ("", {}, None, 7, [None], [[]], [{}], [7])
WRONG: dict[str, dict[str, Sequence[Any]]] = {
    APPLICATIONS_SUBMITTED.name: {
        "application_id": NAMES, "account_level": (*INTEGERS, 3), "handling_minutes": (*INTEGERS, 120_001),
        "supplement_minutes": INTEGERS, "submitted_at": TIMES, "province": CODES, "commune": CODES, "consent": SWITCHES,
        "channel": ("", "ONLINE", "fax", None, 1), "components": ("", [], None, {"giay_to_tuy_than": "burnt"},
        {"A": "none"},
        {f"part_{number}": "none" for number in range(17)}), "citizen_number": ("1" * 11, "\u0661" * 12, 30061225106,
        None),
        "dossier_code": ("", "H24", "H24.106-251008-0001\n", None),
    },
    DOCUMENTS_REQUESTED.name: {
        "application_id": NAMES, "attempt": (*INTEGERS, 0, 100), "as_of": TIMES, "province": CODES, "consent": SWITCHES,
        "documents": (*LISTS, [], [{"component": "to_khai", "databases": []}], [{"component": "A",
        "databases": ["dan_cu"]}],
        [{"component": f"part_{number}", "databases": ["dan_cu"]} for number in range(17)]), "context": ("x" * 4_097,
        None, 7),
    },
    DOCUMENTS_PROVIDED.name: {
        "application_id": NAMES, "attempt": (*INTEGERS, 0, 100), "context": ("x" * 4_097, None, 7),
        "answers": (*LISTS, *([{"component": "to_khai", "answer": "found", "database": "dan_cu",
        "at": at}] for at in TIMES),
        [{"component": "to_khai", "answer": "perhaps", "database": "dan_cu", "at": "2025-10-08T10:00:00+07:00"}]),
    },
    APPLICATIONS_DECIDED.name: {
        "application_id": NAMES, "revision": (*INTEGERS, 17), "rules_version": (*INTEGERS, 0), "submitted_at": TIMES,
        "due_at": TIMES, "decided_at": TIMES, "province": CODES, "presumed": SWITCHES, "submission": ("", "0" * 15,
        "G" * 16, 0),
        "outcome": ("", "END_TO_END", None, 1), "reasons": (*LISTS, ["A"], ["a"] * 17), "components": LISTS,
    },
    CORRECTIONS_REQUESTED.name: {
        "application_id": NAMES, "province": CODES, "procedure": CODES, "submission": ("", "0" * 15, "G" * 16, 0),
        "answer": ("", "found", "refused", None, 1), "addressees": (*LISTS, [], ["owner"] * 3, ["nobody"]),
        "requested_at": TIMES, "worked_off_at": TIMES, "database": ("", "A", None, 7),
        "component": ("", None, "x" * 65),
    },
}  # fmt: skip
# Values that keep the contract, and that their reader refuses all the same: fields to change, by reason.
REFUSED: dict[str, dict[str, dict[str, Any]]] = {
    APPLICATIONS_SUBMITTED.name: {
        "unknown_procedure": {"procedure": "9.999999"}, "unknown_province": {"home_province": "99"},
        "unknown_commune": {"commune": "99999"}, "wrong_authority": {"authority": "ministry"},
        "unknown_component": {"components": {"no_such_paper": "none"}}, "wrong_parts": {"part_minutes": {"no_part": 1}},
        "outside_calendar": {"submitted_at": "9999-12-31T23:59:59+07:00"},
    },
    DOCUMENTS_REQUESTED.name: {
        "unknown_procedure": {"procedure": "9.999999"},
        "unknown_component": {"documents": [{"component": "no_such_paper", "databases": ["dan_cu"]}]},
        "event_time_out_of_range": {"as_of": "9999-12-31T23:59:59+07:00"},
    },
    DOCUMENTS_PROVIDED.name: {"forged_context": {"context": "1,0000000000000000,x.0123456789abcdef"}},
    APPLICATIONS_DECIDED.name: {
        "unknown_procedure": {"procedure": "9.999999"}, "unknown_province": {"province": "99"},
        "wrong_authority": {"authority": "ministry"},
    },
    CORRECTIONS_REQUESTED.name: {"unknown_database": {"database": "no_such_database"}},
}  # fmt: skip
# What nobody minds: unknown fields are ignored, whatever is in them.
HARMLESS: dict[str, Change] = {
    "as it should be": lambda good: _text(good).encode(),
    "unknown fields": lambda good: _text(good | {"note": {"deep": [[[[1]]]]}, "": None}).encode(),
    "NaN in an unknown field": lambda good: _text(good | {"note": float("nan")}).encode(),
    "every field twice": lambda good: (_text(good)[:-1] + "," + _text(good)[1:]).encode(),
    "white space around it": lambda good: b"\n \t" + json.dumps(good, indent=8).encode() + b" \n",
    "as long as may be": lambda good: _text(good).encode().ljust(MAX_RECORD_BYTES),
    "escapes": lambda good: _text(good).replace('"1.', '"\\u0031.').encode(),
}

HEADERS: dict[str, Headers] = {
    "none": [],
    "CloudEvents": [("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"/x"), ("ce_type", b"x.v1")],
    "CloudEvents of another version": [("ce_specversion", b"9.9"), ("ce_type", b"\xff\xfe")],
    "CloudEvents without values": [("ce_specversion", None), ("ce_id", None), ("ce_source", b"")],
    "a malformed trace": [("traceparent", b"00-zz-\xff-01"), ("tracestate", b"," * 600)],
    "a trace without value": [("traceparent", None), ("baggage", None)],
    "a trace of zeros": [("traceparent", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01")],
    "a trace twice": [("traceparent", b"00-" + b"1" * 32 + b"-" + b"1" * 16 + b"-01")] * 2,
    "no names": [("", b""), ("", None)],
    "names of every script": [("tên \u202e \u0000 😀", b"\x00\xff")],
    "a flood": [(f"h{number}", b"x") for number in range(1_000)],
    "a large value": [("large", b"x" * 40_000)],
    "a forged dead letter": [("dlq_reason", b"good"), ("dlq_offset", b"-1"), ("dlq_topic", b"\xff")],
}


def _shared_changes() -> Iterator[tuple[str, str, Change]]:
    """Yield kind, verdict and change of the value, of what is the same on every topic."""
    for name, change in NOT_JSON.items():
        yield f"no JSON: {name}", "not_json", change
    for name, change in OTHER_JSON.items():
        yield f"other JSON: {name}", "breaks_contract", change
    yield "no value", "tombstone", lambda _: None
    yield "one byte too long", "too_large", lambda good: _text(good).encode().ljust(MAX_RECORD_BYTES + 1)


def _wrong_field(name: str, wrong: Any) -> Change:
    return lambda good: json.dumps(good | {name: wrong}).encode()


def _without(name: str) -> Change:
    return lambda good: json.dumps({each: value for each, value in good.items() if each != name}).encode()


def _required(topic: Topic) -> Iterator[str]:
    return (name for name, field in topic.payload.model_fields.items() if field.is_required())


def changes(topic: Topic) -> list[tuple[str, str, Change]]:
    """Return kind, verdict and change of the value, of all that is wrong with a value on this topic."""
    fields = WRONG[topic.name]
    return [
        *_shared_changes(),
        *((f"no {name}", "breaks_contract", _without(name)) for name in _required(topic)),
        *(
            (f"{name}: {json.dumps(each)[:40]}", "breaks_contract", _wrong_field(name, each))
            for name, wrong in fields.items()
            for each in wrong
        ),
        *(
            (reason, reason, lambda good, changed=changed: json.dumps(good | changed).encode())
            for reason, changed in REFUSED[topic.name].items()
        ),
    ]
