"""The part of Strimzi's KafkaTopic and KafkaUser (kafka.strimzi.io/v1) that our manifests use, as JSON Schema.

Source: the operator's own definitions, packaging/install/cluster-operator/043-Crd-kafkatopic.yaml and
044-Crd-kafkauser.yaml of https://github.com/strimzi/strimzi-kafka-operator. Stricter where Kafka is: names, no fields
beyond those in use.
"""

from typing import Any

# A Kubernetes object's name (RFC 1123 subdomain), and a Kafka topic's.
OBJECT_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
TOPIC_NAME = r"^[a-zA-Z0-9._-]{1,249}$"
OPERATIONS = [
    *("Read", "Write", "Create", "Delete", "Alter", "Describe", "ClusterAction", "AlterConfigs", "DescribeConfigs"),
    *("IdempotentWrite", "All"),
]


def closed(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def strimzi_object(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    labels = {
        "type": "object",
        "required": ["strimzi.io/cluster"],
        "additionalProperties": {"type": "string", "maxLength": 63},
    }
    return closed(
        apiVersion={"const": "kafka.strimzi.io/v1"},
        kind={"const": kind},
        metadata=closed(name={"type": "string", "pattern": OBJECT_NAME, "maxLength": 253}, labels=labels),
        spec=spec,
    )


TOPIC = strimzi_object(
    "KafkaTopic",
    closed(
        topicName={"type": "string", "pattern": TOPIC_NAME},
        partitions={"type": "integer", "minimum": 1},
        replicas={"type": "integer", "minimum": 1, "maximum": 32767},
        # Kafka takes every value as text; a number would lose its digits on the way.
        config={"type": "object", "additionalProperties": {"type": "string"}},
    ),
)
USER = strimzi_object(
    "KafkaUser",
    closed(
        authentication=closed(type={"enum": ["tls", "tls-external", "scram-sha-512"]}),
        authorization=closed(
            type={"const": "simple"},
            acls={
                "type": "array",
                "items": closed(
                    resource=closed(
                        type={"enum": ["topic", "group", "cluster", "transactionalId"]},
                        name={"type": "string", "minLength": 1},
                        patternType={"enum": ["literal", "prefix"]},
                    ),
                    operations={"type": "array", "minItems": 1, "uniqueItems": True, "items": {"enum": OPERATIONS}},
                ),
            },
        ),
    ),
)
SCHEMAS = {"KafkaTopic": TOPIC, "KafkaUser": USER}
