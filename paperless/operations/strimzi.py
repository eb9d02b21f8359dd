"""Topics and users as Kubernetes objects of the Strimzi operator, written from the registry and the roles."""

from collections.abc import Iterator, Mapping

from aiokafka.admin import NewTopic

from contracts.roles import Role, roles
from contracts.topics import DEFAULT_PARTITIONS
from paperless.operations.topics import wanted

# Of the Kafka object that the operator manages, and of the API as Strimzi has it since 0.49.
CLUSTER = "paperless"
API = "kafka.strimzi.io/v1"
# Three brokers, any two of which must have a record: one may fail, and nothing acknowledged is lost.
REPLICATION, MIN_INSYNC = 3, 2
DURABLE = {"unclean.leader.election.enable": "false"}
HEAD = "# Written by `make generate` from {source}; do not edit."
FOLDER = "deploy/kubernetes/strimzi"


def files() -> Mapping[str, str]:
    """Return the manifests by their paths in the project."""
    topics = (_topic(topic) for topic in wanted(DEFAULT_PARTITIONS, REPLICATION, MIN_INSYNC))
    return {
        f"{FOLDER}/topics.yaml": _manifest("contracts/topics.py", topics),
        f"{FOLDER}/users.yaml": _manifest("contracts/roles.py", map(_user, roles())),
    }


def _manifest(source: str, documents: Iterator[str]) -> str:
    return "\n---\n".join([HEAD.format(source=source), *documents]) + "\n"


def _object(kind: str, name: str) -> str:
    return f"""\
apiVersion: {API}
kind: {kind}
metadata:
  name: {name}
  labels:
    strimzi.io/cluster: {CLUSTER}
    app.kubernetes.io/part-of: paperless
spec:"""


def _topic(topic: NewTopic) -> str:
    config = {**topic.topic_configs, **DURABLE}
    return "\n".join(
        (
            # An object's name has no underscore; `topicName` is what Kafka is told.
            _object("KafkaTopic", topic.name.replace("_", "-")),
            f"  topicName: {topic.name}",
            f"  partitions: {topic.num_partitions}",
            f"  replicas: {topic.replication_factor}",
            "  config:",
            *(f'    {key}: "{value}"' for key, value in config.items()),
        )
    )


def _user(role: Role) -> str:
    rights: dict[tuple[str, str], list[str]] = {}
    for grant in role.grants():
        rights.setdefault((grant.resource, grant.name), []).append(grant.operation.title())
    return "\n".join(
        (
            f"# {role.name}: {role.purpose}",
            _object("KafkaUser", role.user),
            # The operator draws the password and keeps it in a Secret of the user's name, under `password`.
            "  authentication:",
            "    type: scram-sha-512",
            "  authorization:",
            "    type: simple",
            "    acls:",
            *(line for (kind, name), operations in rights.items() for line in _rule(kind, name, operations)),
        )
    )


def _rule(kind: str, name: str, operations: list[str]) -> Iterator[str]:
    yield "      - resource:"
    yield f"          type: {kind}"
    yield f"          name: {name}"
    yield "          patternType: literal"
    yield f"        operations: [{', '.join(operations)}]"
