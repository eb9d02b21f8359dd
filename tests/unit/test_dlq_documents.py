"""Values of dead letters as a person reads and changes them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperless.dead_letters.documents import (
    Change,
    changed,
    difference,
    document_of,
    hexadecimal,
    place_of,
    pretty,
    readings,
    written,
)
from paperless.dead_letters.errors import DeadLetterError

DOCUMENT = {"province": "99", "components": {"to_khai": "paper"}, "rows": [{"n": 1}, {"n": 2}]}
VALUE = written(DOCUMENT)


@pytest.mark.parametrize(
    ("assignment", "path", "values"),
    [
        ("province=79", ("province",), [79, "79"]),
        ('province="79"', ("province",), ["79", '"79"']),
        ("components.to_khai=upload", ("components", "to_khai"), ["upload"]),
        ("fee=null", ("fee",), [None, "null"]),
        ("note=", ("note",), [""]),
        ("note=a=b", ("note",), ["a=b"]),
    ],
)
def test_a_change_is_read_as_json_or_as_text(assignment: str, path: tuple[str, ...], values: list[Any]):
    assert readings([assignment]) == [(Change(path, value),) for value in values]


def test_every_reading_of_several_changes_is_tried():
    assert [tuple(change.value for change in reading) for reading in readings(["a=1", "b=2"])] == [
        (1, 2), (1, "2"), ("1", 2), ("1", "2"),
    ]  # fmt: skip
    assert len(readings([f"a{number}=1" for number in range(40)])) == 64


@pytest.mark.parametrize("assignment", ["province", "=79", "a..b=1", ".a=1"])
def test_a_change_without_a_path_is_refused(assignment: str):
    with pytest.raises(DeadLetterError, match="write PATH=VALUE"):
        readings([assignment])


def test_values_are_put_at_paths_and_the_refused_document_stays_as_it_was():
    changes = [Change(("components", "to_khai"), "upload"), Change(("rows", "1", "n"), 3), Change(("new",), [1])]
    assert changed(DOCUMENT, changes) == {
        "province": "99",
        "components": {"to_khai": "upload"},
        "rows": [{"n": 1}, {"n": 3}],
        "new": [1],
    }
    assert DOCUMENT["components"] == {"to_khai": "paper"}


@pytest.mark.parametrize(
    "path", [("nowhere", "x"), ("rows", "7", "n"), ("rows", "7"), ("rows", "x"), ("province", "x")]
)
def test_a_path_that_leads_nowhere_is_named(path: tuple[str, ...]):
    with pytest.raises(DeadLetterError, match=rf"--set {'.'.join(path)[:4]}.*no such place"):
        changed(DOCUMENT, [Change(path, 1)])


def test_only_what_differs_is_shown_with_a_line_around():
    after = written(changed(DOCUMENT, [Change(("province",), "79")]))
    assert difference(VALUE, after) == [
        "--- refused",
        "+++ repaired",
        " {",
        '-  "province": "99",',
        '+  "province": "79",',
        '   "components": {',
    ]
    assert difference(VALUE, json.dumps(DOCUMENT, indent=4).encode()) == []


def test_json_is_indented_text_is_kept_and_the_rest_is_hexadecimal():
    assert pretty('{"tên":"Hà Nội"}'.encode()) == ["{", '  "tên": "Hà Nội"', "}"]
    assert pretty(b'{"cut": ') == ['{"cut": ']
    assert pretty(None) == ["null (a tombstone)"]
    assert pretty(b"\xffab\x00") == ["000000  ff 61 62 00                                      .ab."]
    assert hexadecimal(b"\xff" * 600)[-1] == "… 88 more bytes: --json has them all"


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(lambda text: text.encode(errors="replace"))))
def test_nothing_that_is_shown_commands_a_terminal_or_is_wider_than_it(value: bytes):
    for line in pretty(value):
        assert line.isprintable()
    assert all(len(line) <= 78 for line in hexadecimal(value))


@pytest.mark.parametrize(
    ("detail", "value", "shown"),
    [
        ("province: '99' is not in provinces.csv", VALUE, ['province = "99"']),
        ("components.to_khai: Input should be 'upload'", VALUE, ['components.to_khai = "paper"']),
        ("rows.1.n: Input should be less", VALUE, ["rows.1.n = 2"]),
        ("citizen_number: Field required", VALUE, ["citizen_number: not in the document"]),
        ("value: 70000 bytes, the limit is 65536", VALUE, []),
        ("ZeroDivisionError('x')", VALUE, []),
        ("province: what", b"\xff", []),
        ("value: Invalid JSON: EOF while parsing at line 1 column 5", b'{"a":', ['{"a":', "    ^"]),
        ("value: Invalid JSON: expected value at line 2 column 3", b"{\n\x1b[x", ["\\x1b[x", "     ^"]),
    ],
)
def test_the_place_that_a_refusal_names_is_shown(detail: str, value: bytes, shown: list[str]):
    assert place_of(detail, value) == shown


@pytest.mark.parametrize("value", [None, b"", b"{", b"\xff"])
def test_what_is_no_document_is_refused(value: bytes | None):
    with pytest.raises(ValueError):
        document_of(value)
