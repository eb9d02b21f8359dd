"""Writes what is derived from the contracts: JSON Schemas, the AsyncAPI document, the documentation's graph.

`python -m tools.contract_files` writes the files; with `--check` it writes nothing and names those that differ.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from contracts.roles import acl_table, roles
from contracts.topics import ALL, DEFAULT_PARTITIONS, LOG_IDENTITY, Topic, dead_letter_topics
from tools.asyncapi import Json, document, json_schema

ROOT = Path(__file__).resolve().parent.parent
TOPICS_PAGE = """\
# Topics

Written by `make generate` from `contracts/topics.py`; do not edit.

```mermaid
{graph}
```

Boxes are services, rounded boxes are topics, dashed arrows lead to dead letters.

{table}

Keys are partitioned by CRC-32 modulo the partition count (`contracts/records.py`), so all work on one application is
on one partition number. Records are deleted by age, never compacted; dead letters live as long as their source.
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
    """Return the text of every derived file by its path in the project."""
    schemas = {f"contracts/schemas/{topic.name}.json": _json(json_schema(topic)) for topic in ALL}
    return {**schemas, "contracts/asyncapi.json": _json(document()), "docs/topics.md": topics_page()}


def topics_page() -> str:
    """Return the documentation's page on topics: graph and table."""
    table = [
        "| topic | key | produced by | consumed by | personal data | kept | partitions |",
        "|---|---|---|---|---|---|---|",
        *(_row(topic) for topic in ALL),
        *(_dead_letter_row(name, source) for name, source in dead_letter_topics()),
    ]
    return TOPICS_PAGE.format(
        graph="\n".join(_graph()), table="\n".join(table), rights="\n".join(_rights()), log_identity=LOG_IDENTITY
    )


def _row(topic: Topic) -> str:
    consumers, personal = ", ".join(topic.consumed_by), "yes" if topic.personal_data else "no"
    cells = (f"`{topic.name}`", topic.key, topic.produced_by, consumers, personal)
    return f"| {' | '.join(cells)} | {topic.retention_days} days | {DEFAULT_PARTITIONS} |"


def _dead_letter_row(name: str, source: Topic) -> str:
    consumer = name.removeprefix(f"{source.name}.").removesuffix(".dlq")
    cells = (f"`{name}`", "as the source's", consumer, "`paperless verify`", "as the source's")
    return f"| {' | '.join(cells)} | {source.retention_days} days | {DEFAULT_PARTITIONS} |"


def _rights() -> Iterator[str]:
    users = [one.user for one in roles()]
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
        yield f"  {topic.produced_by} --> {place}"
        for consumer in topic.consumed_by:
            letters = topic.dead_letter(consumer)
            yield f"  {place} --> {consumer}"
            yield f"  {consumer} -.-> {letters.replace('.', '_')}([{letters}])"


def _json(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def publish(texts: Mapping[str, str], *, check: bool, root: Path = ROOT) -> list[str]:
    """Write the texts to their paths below `root`, or only compare; return the paths that differed."""
    differ = [path for path, text in texts.items() if _present(root / path) != text]
    for path in [] if check else differ:
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(texts[path], "utf-8")
    return differ


def _present(path: Path) -> str | None:
    return path.read_text("utf-8") if path.exists() else None


def run(texts: Mapping[str, str], program: str, arguments: Sequence[str] | None = None) -> int:
    """Publish as the command line says; return the exit code: 1 when `--check` finds a difference."""
    parser = argparse.ArgumentParser(prog=program, description="Write the derived files of the project.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is out of date")
    check = parser.parse_args(arguments).check
    differ = publish(texts, check=check)
    for path in differ:
        sys.stdout.write(f"{path}: {'out of date; run make generate' if check else 'written'}\n")
    return 1 if check and differ else 0


if __name__ == "__main__":
    sys.exit(run(files(), "python -m tools.contract_files"))
