"""The documentation's page on topics, from the registry and the roles."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from contracts.roles import acl_table, roles
from contracts.topics import ALL, DEFAULT_PARTITIONS, LOG_IDENTITY, Topic, dead_letter_topics

PAGE = """\
# Topics

Written by `make generate` from `contracts/topics.py`; do not edit.

```mermaid
{graph}
```

Boxes are services, rounded boxes are topics. Dashed arrows lead to dead letters; the one marked "moved" leads back.

{table}

Keys are partitioned as Kafka's clients do it by default: murmur2 without its sign, modulo the partition count
(`contracts/records.py`). So all work on one application is on one partition number. Whoever files an application may
leave the key out, or the partition to its client: intake publishes a submission that lies elsewhere again, unchanged,
under its application id and to its own partition ([0013](adr/0013-any-clients-partition.md)).

Records are deleted by age, never compacted; dead letters live as long as their source.
`{log_identity}` (one partition, kept for ever) holds one record: the id that tells a store whether it belongs to a log.

## Rights

Where the broker asks who somebody is, each part has a user of its own (`contracts/roles.py`) with these rights and no
others; R reads, W writes, C may create, D may see partitions. Who reads or writes may see, too. A consumer also has the
right to its own group. `paperless topics --acls` grants them.

{rights}

Values: JSON by the schemas in `contracts/schemas/`, examples in `contracts/examples/`, headers in
`contracts/asyncapi.json`.
"""


def files() -> Mapping[str, str]:
    """Return the page by its path in the project: graph, table, rights."""
    table = [
        "| topic | key | produced by | consumed by | personal data | kept | partitions |",
        "|---|---|---|---|---|---|---|",
        *(_row(topic) for topic in ALL),
        *(_dead_letter_row(name, source) for name, source in dead_letter_topics()),
    ]
    page = PAGE.format(
        graph="\n".join(_graph()), table="\n".join(table), rights="\n".join(_rights()), log_identity=LOG_IDENTITY
    )
    return {"docs/topics.md": page}


def _row(topic: Topic) -> str:
    consumers, personal = ", ".join(topic.consumed_by), "yes" if topic.personal_data else "no"
    cells = (f"`{topic.name}`", topic.key, ", ".join(topic.produced_by), consumers, personal)
    return f"| {' | '.join(cells)} | {topic.retention_days} days | {DEFAULT_PARTITIONS} |"


def _dead_letter_row(name: str, source: Topic) -> str:
    consumer = name.removeprefix(f"{source.name}.").removesuffix(".dlq")
    cells = (f"`{name}`", "as the source's", consumer, "`paperless verify`", "as the source's")
    return f"| {' | '.join(cells)} | {source.retention_days} days | {DEFAULT_PARTITIONS} |"


def _rights() -> Iterator[str]:
    users = [role.user for role in roles()]
    granted: defaultdict[tuple[str, str, str], str] = defaultdict(str)
    for grant in acl_table():
        granted[grant.resource, grant.name, grant.user] += grant.operation[0].upper()
    yield f"| | {' | '.join(users)} |"
    yield f"|---|{'---|' * len(users)}"
    for resource, name in dict.fromkeys((resource, name) for resource, name, _ in granted):
        place = f"`{name}`" if resource == "topic" else f"group `{name}`"
        yield f"| {place} | {' | '.join(granted.get((resource, name, user), '') for user in users)} |"


def _graph() -> Iterator[str]:
    yield "flowchart LR"
    for topic in ALL:
        place = topic.name.replace(".", "_")
        yield f"  {place}([{topic.name}])"
        for producer in topic.produced_by:
            yield f"  {producer} --> {place}"
        for consumer in topic.consumed_by:
            letters = topic.dead_letter(consumer)
            yield f"  {place} --> {consumer}"
            if topic.moved_by == consumer:
                yield f"  {consumer} -. moved .-> {place}"
            yield f"  {consumer} -.-> {letters.replace('.', '_')}([{letters}])"
