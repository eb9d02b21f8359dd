"""What is read of an event without pydantic is what pydantic reads, and what pydantic refuses is not read."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.decoding import MOST_REMEMBERED, Remembered, event_of, event_struct, part_struct
from contracts.events import ApplicationDecided, ApplicationSubmitted, DecidedPart, DocumentsProvided, Event
from contracts.topics import ALL
from tests.support.decoded import same
from tests.support.golden import of_topic
from tests.support.intake_strategies import submissions

AT = "2025-10-08T09:00:00+07:00"
# Fields that most records leave out.
RARE = {
    "consent_refused": ["giay_chung_sinh"],
    "part_minutes": {"khai_sinh": 60},
    "filed_before_at": AT,
    "asks_twice": True,
    "ending": "withdrawn",
    "index_due_at": AT,
    "parts": [{"part": "khai_sinh", "due_at": AT, "done_at": AT}],
}


def with_rare_fields(payload: type[Event], fields: dict[str, Any]) -> bytes:
    """Return a message that leaves nothing out."""
    rare = {name: value for name, value in RARE.items() if name in payload.model_fields}
    return json.dumps(fields | rare, ensure_ascii=False, separators=(",", ":")).encode()


GOLDEN = [(topic.payload, message) for topic in ALL for message in of_topic(topic)]
MESSAGES = [
    *((payload, message.value) for payload, message in GOLDEN),
    *((payload, with_rare_fields(payload, message.fields)) for payload, message in GOLDEN),
]


def read_both(value: bytes, payload: type[Event]) -> tuple[Any, Any]:
    """Return what either way reads, None for nothing."""
    try:
        validated = payload.model_validate_json(value)
    except ValidationError:
        return event_of(value, payload), None
    return event_of(value, payload), validated


def check(value: bytes, payload: type[Event]) -> None:
    read, validated = read_both(value, payload)
    assert read is None or same(read, validated), value


def replaced(fields: Any, path: list[Any], leaf: Any) -> Any:
    """Return a document with another value at a path of keys and positions."""
    if not path:
        return leaf
    at, *rest = path
    if isinstance(fields, dict):
        return {**fields, at: replaced(fields.get(at), rest, leaf)}
    return [replaced(each, rest, leaf) if place == at else each for place, each in enumerate(fields)]


def paths_of(fields: Any) -> list[list[Any]]:
    """Return the path of everything in a document."""
    places = fields.items() if isinstance(fields, dict) else enumerate(fields) if isinstance(fields, list) else ()
    return [[], *([at, *path] for at, each in places for path in paths_of(each))]


def strings_of(fields: Any) -> list[str]:
    leaves = fields.values() if isinstance(fields, dict) else fields if isinstance(fields, list) else ()
    return [fields] if isinstance(fields, str) else [text for leaf in leaves for text in strings_of(leaf)]


def varied(text: str) -> st.SearchStrategy[str]:
    """Return texts that are nearly this one."""
    places = st.integers(0, len(text))
    bits = st.sampled_from(
        ["", "\n", " ", "a", "A", "0", "9", ".", "-", "+", ":", "T", "Z", "٠", "é", "\x00", ".9999999"]
    )
    return st.builds(lambda at, cut, bit: text[:at] + bit + text[at + cut :], places, st.integers(0, 2), bits)


@st.composite
def documents(draw: st.DrawFn) -> tuple[bytes, type[Event]]:
    """Golden messages with some values exchanged for near ones, for others' and for any; in several spellings."""
    payload, value = draw(st.sampled_from(MESSAGES))
    fields = json.loads(value)
    texts = st.sampled_from(sorted({text for _, other in MESSAGES for text in strings_of(json.loads(other))}))
    numbers = st.integers(-2, 100) | st.sampled_from([2**31 - 1, 2**31, 2**63, 2**64, 10**30, 1.0, 1.5, -0.0, 120_000])
    leaves: st.SearchStrategy[Any] = (
        texts | texts.flatmap(varied) | numbers | st.sampled_from([None, True, False, [], {}, [[]], "", "x" * 4097])
    )
    for _ in range(draw(st.integers(0, 2))):
        fields = replaced(fields, draw(st.sampled_from(paths_of(fields))), draw(leaves))
    if isinstance(fields, dict) and fields and draw(st.booleans()):
        fields = dict(draw(st.permutations([*fields.items()])))
        for name in draw(st.lists(st.sampled_from(sorted(fields)), max_size=2)):
            fields.pop(name, None)
    written = json.dumps(fields, indent=draw(st.none() | st.just(1)), ensure_ascii=draw(st.booleans()))
    return written.encode(), payload


@given(documents())
def test_what_is_read_is_what_pydantic_reads(document):
    check(*document)


@given(st.sampled_from(MESSAGES), st.data())
def test_bytes_that_are_damaged_are_read_as_pydantic_reads_them(message, data):
    payload, value = message
    at = data.draw(st.integers(0, len(value)))
    cut = data.draw(st.integers(0, 4))
    bit = data.draw(
        st.binary(max_size=3) | st.sampled_from([b"\\", b"\\u0041", b"\\ud800", b"\xed\xa0\x80", b'"', b"\t"])
    )
    check(value[:at] + bit + value[at + cut :], payload)


@given(submitted=submissions())
def test_what_our_services_write_needs_no_pydantic(submitted):
    read, validated = read_both(submitted.model_dump_json().encode(), ApplicationSubmitted)
    assert same(read, validated)


@pytest.mark.parametrize(("payload", "value"), MESSAGES)
def test_no_golden_message_needs_pydantic(payload, value):
    assert same(*read_both(value, payload))


GOOD = next(value for payload, value in MESSAGES if payload is ApplicationSubmitted)
HOSTILE = {
    "a fraction that msgspec rounds up": GOOD.replace(b"+07:00", b".9999999+07:00", 1),
    "a fraction that pydantic cuts": GOOD.replace(b"+07:00", b".1234567+07:00", 1),
    "a short fraction": GOOD.replace(b"+07:00", b".1+07:00", 1),
    "an offset without colon": GOOD.replace(b"+07:00", b"+0700", 1),
    "another offset": GOOD.replace(b"+07:00", b"+08:00", 1),
    "an escaped digit": GOOD.replace(b"+07:00", b"\\u002b07:00", 1),
    "a field of tomorrow": GOOD[:-1] + b',"tomorrow":{"any":["thing"]}}',
    "a field of tomorrow that is no UTF-8": GOOD[:-1] + b',"tomorrow":"\xff"}',
    "a field of tomorrow with half a pair": GOOD[:-1] + b',"tomorrow":"\\ud800"}',
    "a key that is no UTF-8": GOOD[:-1] + b',"\xff":1}',
    "a field twice": GOOD[:-1] + b',"account_level":1}',
    "a field twice, once broken": GOOD[:-1] + b',"account_level":"x","account_level":1}',
    "a field twice, once deep": GOOD[:-1] + b',"components":' + b"[" * 300 + b"]" * 300 + b',"components":{}}',
    "deeper than a stack": GOOD[:-1] + b',"components":' + b"[" * 60_000 + b"]" * 60_000 + b"}",
    "a component twice": GOOD[:-1] + b',"components":{"a":"upload","b":"none","a":"paper"}}',
    "seventeen components, two alike": GOOD[:-1]
    + b',"components":{"c0":"none",'
    + b",".join(b'"c%d":"none"' % number for number in range(16))
    + b"}}",
    "a mark before it": b"\xef\xbb\xbf" + GOOD,
    "space around it": b" \t\r\n" + GOOD + b" \n",
    "something behind it": GOOD + b"{}",
    "a zero byte behind it": GOOD + b"\x00",
    "a level with a fraction": GOOD[:-1] + b',"account_level":1.0}',
    "a level with an exponent": GOOD[:-1] + b',"account_level":1e0}',
    "a level of minus zero": GOOD[:-1] + b',"account_level":-0}',
    "no number": GOOD[:-1] + b',"account_level":NaN}',
}


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE.keys())
def test_where_the_parsers_differ_pydantic_is_asked(value):
    check(value, ApplicationSubmitted)


def test_texts_with_a_line_break_do_not_pass_for_each_other():
    """The texts of an event are matched together, a line each."""
    for name in ("dossier_code", "province", "procedure"):
        check(json.dumps(json.loads(GOOD) | {name: f"{json.loads(GOOD)[name]}\n"}).encode(), ApplicationSubmitted)


def test_a_context_is_any_text_up_to_its_length():
    message = next(value for payload, value in MESSAGES if payload is DocumentsProvided)
    for context in ("", "é" * 4096, "é" * 4097, "\U0001f600" * 4096, '\n\\"\x00'):
        for escaped in (True, False):
            value = json.dumps(json.loads(message) | {"context": context}, ensure_ascii=escaped).encode()
            read, validated = read_both(value, DocumentsProvided)
            assert (read is None) == (validated is None)
            check(value, DocumentsProvided)


@pytest.mark.parametrize(
    "changes",
    [
        {"consent_refused": ["Giấy"]},
        {"consent_refused": ["a"] * 17},
        {"part_minutes": {"A": 1}},
        {"part_minutes": {"a": 120_001}},
        {"part_minutes": {"a": -1}},
        {"part_minutes": {"a": True}},
        {"part_minutes": {f"part_{number}": 1 for number in range(9)}},
    ],
)
def test_a_rare_field_that_breaks_the_contract_is_not_read(changes):
    assert event_of(json.dumps(json.loads(GOOD) | changes).encode(), ApplicationSubmitted) is None


def test_every_field_is_there_in_some_example():
    """What no example has, the tests above do not vary."""
    for payload in {payload for payload, _ in MESSAGES}:
        seen = {name for other, value in MESSAGES if other is payload for name in json.loads(value)}
        assert seen == payload.model_fields.keys()


def test_a_field_that_nobody_checks_stops_the_import():
    """A time in an event is to be read as a text, and its parts field by field."""
    with pytest.raises(TypeError, match=r"ApplicationDecided\.application_id needs a check"):
        event_struct(ApplicationDecided)
    with pytest.raises(TypeError, match=r"DecidedPart\.part needs a check"):
        part_struct(DecidedPart)


def test_what_is_remembered_is_bounded():
    remembered = Remembered(str.upper)
    assert remembered["a"] == "A"
    for number in range(MOST_REMEMBERED):
        remembered[str(number)]
    assert remembered["a"] == "A"
    assert len(remembered) <= MOST_REMEMBERED
