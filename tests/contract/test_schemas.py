"""The published schemas: the same as the models, the same as yesterday, and strict enough to be of use."""

import copy
import json
from collections.abc import Iterator
from math import inf
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from contracts.events import MAX_INTEGER, VERSION
from contracts.topics import ALL, Topic
from tests.support.golden import EXAMPLES, every, of_topic
from tools.asyncapi import json_schema

EVERY = [pytest.param(topic, message, id=f"{topic.name}/{message.name}") for topic, message in every()]
SCHEMAS = EXAMPLES.parent / "schemas"
Fields = dict[str, str]

# Version 1, frozen: a field here may never be removed, become optional or change its type. A new field may be added,
# and so may a word to a list of words.
VERSION_1: dict[str, dict[str, Fields]] = {
    "applications.submitted": {
        "ApplicationSubmitted": {
            "application_id": "string",
            "dossier_code": "string",
            "citizen_number": "string",
            "account_level": "integer",
            "province": "string",
            "commune": "string",
            "home_province": "string",
            "procedure": "string",
            "authority": "ministry|province",
            "channel": "online|direct|post",
            "assisted": "boolean",
            "consent": "boolean",
            "components": "object of upload|paper|none",
            "fee_paid_online": "boolean or null",
            "electronic_result": "boolean",
            "result_delivery": "electronic|post|counter",
            "asks_anyway": "boolean",
            "supplement_minutes": "integer",
            "handling_minutes": "integer",
            "submitted_at": "date-time",
        }
    },
    "documents.requested": {
        "DocumentsRequested": {
            "application_id": "string",
            "citizen_number": "string",
            "procedure": "string",
            "province": "string",
            "consent": "boolean",
            "attempt": "integer",
            "as_of": "date-time",
            "documents": "array of RequestedDocument",
            "context": "string",
        },
        "RequestedDocument": {"component": "string", "databases": "array of string"},
    },
    "documents.provided": {
        "DocumentsProvided": {
            "application_id": "string",
            "attempt": "integer",
            "answers": "array of DocumentAnswer",
            "context": "string",
        },
        "DocumentAnswer": {
            "component": "string",
            "answer": "found|missing|mismatch|refused",
            "database": "string",
            "at": "date-time",
        },
    },
    "applications.decided": {
        "ApplicationDecided": {
            "application_id": "string",
            "revision": "integer",
            "presumed": "boolean",
            "submission": "string",
            "rules_version": "integer",
            "province": "string",
            "commune": "string",
            "procedure": "string",
            "authority": "ministry|province",
            "channel": "online|direct|post",
            "assisted": "boolean",
            "submitted_at": "date-time",
            "due_at": "date-time",
            "decided_at": "date-time",
            "outcome": "end_to_end|partly_online|on_paper|stopped|rejected",
            "reasons": "array of string",
            "components": "array of DecidedComponent",
        },
        "DecidedComponent": {
            "component": "string",
            "source": "data|upload|paper|none|form",
            "cause": "missing|mismatch|refused|unreachable|no_database|asked_anyway|asked_again or null",
            "database": "string or null",
        },
        "DecidedPart": {"part": "string", "due_at": "date-time", "done_at": "date-time"},
    },
    "corrections.requested": {
        "CorrectionRequested": {
            "application_id": "string",
            "submission": "string",
            "component": "string",
            "procedure": "string",
            "province": "string",
            "database": "string",
            "answer": "missing|mismatch",
            "addressees": "array of owner|citizen",
            "requested_at": "date-time",
            "worked_off_at": "date-time",
        }
    },
}


def type_of(node: dict[str, Any]) -> str:
    """Return the type of a schema node in words."""
    if "anyOf" in node:
        return " or ".join(type_of(option) for option in node["anyOf"])
    if "$ref" in node:
        return str(node["$ref"]).rpartition("/")[2]
    if "enum" in node:
        return "|".join(node["enum"])
    if node["type"] == "array":
        return f"array of {type_of(node['items'])}"
    if node["type"] == "object":
        return f"object of {type_of(next(iter(node['patternProperties'].values())))}"
    return str(node.get("format", node["type"]))


def required_fields(schema: dict[str, Any]) -> dict[str, Fields]:
    objects = {schema["title"]: schema, **schema.get("$defs", {})}
    return {
        name: {field: type_of(node["properties"][field]) for field in node["required"]}
        for name, node in objects.items()
    }


def broken_promises(frozen: dict[str, Fields], schema: dict[str, Any]) -> list[str]:
    """Return the fields of version 1 that are gone, optional or of another type."""
    now = required_fields(schema)
    return [
        f"{name}.{field}: was {kind}, is {now.get(name, {}).get(field)}"
        for name, fields in frozen.items()
        for field, kind in fields.items()
        if now.get(name, {}).get(field) != kind
    ]


def integers_of(node: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every integer of a schema with its place, wherever in it."""
    if isinstance(node, list):
        for number, item in enumerate(node):
            yield from integers_of(item, f"{place}/{number}")
    if isinstance(node, dict):
        if node.get("type") == "integer" or "integer" in (node.get("type") or ()):
            yield place, node
        for name, value in node.items():
            yield from integers_of(value, f"{place}/{name}")


@pytest.mark.parametrize("topic", ALL, ids=lambda topic: topic.name)
def test_every_integer_has_bounds_that_every_store_holds(topic):
    """32 bits: SQLite holds 64, but a PostgreSQL INTEGER, and many a reader's type, only these."""
    integers = dict(integers_of(json_schema(topic)))
    assert all(
        node.get("minimum", -inf) >= -MAX_INTEGER - 1 and node.get("maximum", inf) <= MAX_INTEGER
        for node in integers.values()
    ), integers


def test_integers_are_found_wherever_they_are():
    node = {"type": "integer"}
    schema = {"properties": {"a": node, "b": {"anyOf": [node, {"type": "null"}]}}, "$defs": {"c": {"items": node}}}
    assert [place for place, _ in integers_of(schema)] == ["/properties/a", "/properties/b/anyOf/0", "/$defs/c/items"]
    assert {place for topic in ALL for place, _ in integers_of(json_schema(topic))} >= {
        "/properties/rules_version",
        "/properties/revision",
        "/properties/attempt",
        "/properties/handling_minutes",
    }


def schema_of(topic: Topic) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((SCHEMAS / f"{topic.name}.json").read_text("utf-8"))
    return schema


@pytest.mark.parametrize("topic", ALL, ids=lambda topic: topic.name)
def test_version_1_keeps_its_promises(topic):
    assert VERSION == 1
    assert broken_promises(VERSION_1[topic.name], json_schema(topic)) == []


def test_every_new_required_field_breaks_old_producers():
    """A field without a default would refuse yesterday's records, so none may join version 1."""
    for topic in ALL:
        assert required_fields(json_schema(topic)) == VERSION_1[topic.name]


@pytest.mark.parametrize("topic", ALL, ids=lambda topic: topic.name)
def test_a_removed_optional_or_retyped_field_is_noticed(topic):
    schema = json_schema(topic)
    frozen = VERSION_1[topic.name]
    for field in frozen[topic.payload.__name__]:
        optional, removed, retyped = copy.deepcopy(schema), copy.deepcopy(schema), copy.deepcopy(schema)
        optional["required"].remove(field)
        removed["required"].remove(field)
        del removed["properties"][field]
        retyped["properties"][field] = {"type": "number"}
        assert all(broken_promises(frozen, changed) for changed in (optional, removed, retyped)), field


@pytest.mark.parametrize("topic", ALL, ids=lambda topic: topic.name)
def test_a_schema_says_what_it_is(topic):
    schema = schema_of(topic)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    assert schema["$id"] == f"urn:paperless:{topic.name}:v{VERSION}"
    assert schema["version"] == VERSION
    assert schema["description"]


@pytest.mark.parametrize(("topic", "message"), EVERY)
def test_a_golden_message_fits_its_schema(topic, message):
    Draft202012Validator(schema_of(topic)).validate(message.fields)


@pytest.mark.parametrize("topic", ALL, ids=lambda topic: topic.name)
def test_a_schema_refuses_what_the_model_refuses(topic):
    validator = Draft202012Validator(schema_of(topic))
    fields = of_topic(topic)[0].fields
    for field, described in topic.payload.model_fields.items():
        missing = {name: value for name, value in fields.items() if name != field}
        assert validator.is_valid(missing) is not described.is_required(), f"without {field}"
        assert not validator.is_valid(fields | {field: 0.5}), f"wrong {field}"


def test_a_schema_refuses_another_time_zone():
    topic = ALL[0]
    fields = of_topic(topic)[0].fields | {"submitted_at": "2025-10-01T02:00:00Z"}
    assert not Draft202012Validator(schema_of(topic)).is_valid(fields)


def test_a_schema_allows_fields_of_tomorrow():
    for topic in ALL:
        assert Draft202012Validator(schema_of(topic)).is_valid(of_topic(topic)[0].fields | {"field_of_tomorrow": 1})
