"""JSON Schemas of the events and the AsyncAPI 3.0 document, both from the topic registry."""

import json
from collections.abc import Mapping
from typing import Any

from contracts.events import VERSION
from contracts.topics import ALL, DEFAULT_PARTITIONS, MAX_RECORD_BYTES, Topic, dead_letter_topics

Json = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_FORMAT = "application/schema+json;version=draft-2020-12"
OFFSET_PATTERN = r"\+07:00$"
DAY_MS = 24 * 60 * 60 * 1000
# Where a dead letter says what it was; runtime.dead_letters writes them, a guard test compares.
DEAD_LETTER_HEADERS = {
    "dlq_reason": "Why the record was refused; a slug from a closed set.",
    "dlq_detail": "The field and the place, without personal data.",
    "dlq_topic": "Topic of the refused record.",
    "dlq_partition": "Partition of the refused record.",
    "dlq_offset": "Offset of the refused record; with topic and partition it identifies the dead letter.",
    "dlq_timestamp": "Wall time of the refused record, milliseconds since 1970.",
    "dlq_value_bytes": "Size of a value too large to be kept.",
    "dlq_value_blake2b": "Digest of a value too large to be kept.",
}
PARTITIONING = "Its murmur2 without the sign, modulo the partition count, is the partition: Kafka clients' default."
_OPTIONAL_HEADERS = ("dlq_value_bytes", "dlq_value_blake2b")


def files() -> Mapping[str, str]:
    """Return the schema of each topic, and the AsyncAPI document, by path in the project."""
    documents = {f"schemas/{topic.name}.json": json_schema(topic) for topic in ALL} | {"asyncapi.json": document()}
    return {
        f"contracts/{path}": json.dumps(content, ensure_ascii=False, indent=2) + "\n"
        for path, content in documents.items()
    }


def json_schema(topic: Topic) -> Json:
    """Return the JSON Schema (draft 2020-12) of a topic's values."""
    schema = topic.payload.model_json_schema()
    return {
        "$schema": DIALECT,
        "$id": f"urn:paperless:{topic.name}:v{VERSION}",
        "title": schema.pop("title"),
        "description": schema.pop("description"),
        "version": VERSION,
        "x-topic": topic.name,
        "x-personal-data": topic.personal_data,
        **_tightened(schema),
    }


def _tightened(node: Any) -> Any:
    """Return the schema with what pydantic checks but does not write: the time's offset, the pattern of keys."""
    if isinstance(node, list):
        return [_tightened(item) for item in node]
    if not isinstance(node, dict):
        return node
    tight = {name: _tightened(value) for name, value in node.items()}
    if tight.get("format") == "date-time":
        tight["pattern"] = OFFSET_PATTERN
    if "patternProperties" in tight:
        tight["additionalProperties"] = False
    return tight


def document() -> Json:
    """Return the AsyncAPI document: channels, operations by service, messages."""
    dead_letters = list(dead_letter_topics())
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Paperless intake",
            "version": f"{VERSION}.0.0",
            "description": "Applications as events: what citizens file, what databases answer, what is decided.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            **{topic.name: _channel(topic) for topic in ALL},
            **{name: _dead_letter_channel(name, source) for name, source in dead_letters},
        },
        "operations": _operations(),
        "components": {
            "messages": {
                **{topic.payload.__name__: _message(topic) for topic in ALL},
                "DeadLetter": _dead_letter_message(),
            }
        },
    }


def _channel(topic: Topic) -> Json:
    data = "Carries personal data." if topic.personal_data else "Free of personal data."
    return {
        "address": topic.name,
        "description": f"{topic.purpose} {data}",
        "messages": {topic.payload.__name__: _ref("components", "messages", topic.payload.__name__)},
        "bindings": _topic_binding(topic.name, topic.retention_days),
    }


def _dead_letter_channel(name: str, source: Topic) -> Json:
    return {
        "address": name,
        "description": f"Records of {source.name} that one consumer refused; personal data as there.",
        "messages": {"DeadLetter": _ref("components", "messages", "DeadLetter")},
        "bindings": _topic_binding(name, source.retention_days),
    }


def _topic_binding(name: str, days: int) -> Json:
    configuration = {"cleanup.policy": ["delete"], "retention.ms": days * DAY_MS}
    binding = {
        "topic": name,
        "partitions": DEFAULT_PARTITIONS,
        "topicConfiguration": configuration,
        "bindingVersion": "0.5.0",
    }
    return {"kafka": binding}


def _operations() -> Json:
    operations: Json = {}
    for topic in ALL:
        for producer in topic.produced_by:
            operations[f"{producer}.send.{topic.name}"] = _operation("send", topic.name, producer, topic)
        for consumer in topic.consumed_by:
            letters = topic.dead_letter(consumer)
            if topic.moved_by == consumer:
                operations[f"{consumer}.send.{topic.name}"] = _operation("send", topic.name, consumer, topic)
            operations[f"{consumer}.receive.{topic.name}"] = _operation("receive", topic.name, consumer, topic)
            operations[f"{consumer}.send.{letters}"] = _operation("send", letters, consumer, None)
    return dict(sorted(operations.items()))


def _operation(action: str, channel: str, service: str, topic: Topic | None) -> Json:
    message = topic.payload.__name__ if topic else "DeadLetter"
    operation = {
        "action": action,
        "channel": _ref("channels", channel),
        "messages": [_ref("channels", channel, "messages", message)],
        "tags": [{"name": service}],
    }
    if action == "receive":
        group = {"groupId": {"type": "string", "const": service}, "bindingVersion": "0.5.0"}
        operation["bindings"] = {"kafka": group}
    return operation


def _message(topic: Topic) -> Json:
    return {
        "name": topic.event_type,
        "title": topic.payload.__name__,
        "summary": topic.purpose,
        "description": f"At most {MAX_RECORD_BYTES} bytes; fields that are not described are ignored.",
        "contentType": "application/json",
        "headers": _cloud_event_headers(topic),
        "payload": {"schemaFormat": SCHEMA_FORMAT, "schema": {"$ref": f"schemas/{topic.name}.json"}},
        "bindings": _key_binding(f"{topic.key}. {PARTITIONING} {_elsewhere(topic)}"),
    }


def _elsewhere(topic: Topic) -> str:
    if topic.moved_by is None:
        return "A record that is elsewhere is refused."
    return f"A record without it, with another, or elsewhere is moved: {topic.moved_by} publishes it again, unchanged."


def _cloud_event_headers(topic: Topic) -> Json:
    """CloudEvents 1.0, Kafka binary mode: the required attributes."""
    return {
        "type": "object",
        "required": ["ce_specversion", "ce_source", "ce_type", "ce_id"],
        "properties": {
            "ce_specversion": {"type": "string", "const": "1.0"},
            "ce_source": {
                "type": "string",
                "format": "uri-reference",
                "description": f"Its {' or '.join(topic.produced_by)}.",
            },
            "ce_type": {"type": "string", "const": topic.event_type},
            "ce_id": {"type": "string", "description": "Application id and step: the same step twice has one id."},
        },
    }


def _dead_letter_message() -> Json:
    properties = {name: {"type": "string", "description": text} for name, text in DEAD_LETTER_HEADERS.items()}
    return {
        "name": "dead_letter",
        "title": "DeadLetter",
        "summary": "A refused record as it came, key and value untouched, with the reason and its source position.",
        "headers": {
            "type": "object",
            "required": [name for name in DEAD_LETTER_HEADERS if name not in _OPTIONAL_HEADERS],
            "properties": properties,
        },
        "payload": {"description": "The refused value, byte for byte; empty when it was too large to be kept."},
        "bindings": _key_binding("as the source's"),
    }


def _key_binding(key: str) -> Json:
    return {"kafka": {"key": {"type": "string", "description": key}, "bindingVersion": "0.5.0"}}


def _ref(*path: str) -> Json:
    return {"$ref": "#/" + "/".join(path)}
