"""Who may do what on the broker: the least each part needs, derived from the topic registry.

The creation of users and access rules, the Kubernetes users and the documentation's table read it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from contracts.topics import ALL, LOG_IDENTITY, dead_letter_topics

Resource = Literal["topic", "group"]
Operation = Literal["read", "write", "create", "describe"]
OPERATIONS: tuple[Operation, ...] = ("read", "write", "create", "describe")


class Grant(NamedTuple):
    """One right of one user on one topic or group, by its exact name."""

    user: str
    resource: Resource
    name: str
    operation: Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What one part may do; everything else is refused. Tuples hold exact names, in the registry's order.

    Attributes:
        name: the part, as the registry names it.
        purpose: what it needs its rights for.
        reads: topics it reads.
        writes: topics it writes; an idempotent producer needs no right beside it.
        describes: topics whose partitions it must know, beside those it reads or writes.
        creates: topics it may create.
        groups: consumer groups it joins, by the services' default settings.

    """

    name: str
    purpose: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    describes: tuple[str, ...] = ()
    creates: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    @property
    def user(self) -> str:
        """The broker's user; it may also be the name of a Kubernetes object, so it has no underscore."""
        return self.name.replace("_", "-")

    @property
    def principal(self) -> str:
        return f"User:{self.user}"

    def grants(self) -> Iterator[Grant]:
        """Yield its rights; the broker takes reading and writing to include describing."""
        for operation, topics in zip(OPERATIONS, (self.reads, self.writes, self.creates, self.describes), strict=True):
            for topic in topics:
                yield Grant(self.user, "topic", topic, operation)
        for group in self.groups:
            yield Grant(self.user, "group", group, "read")


def roles() -> tuple[Role, ...]:
    """Return every role: the parts that the registry names, and those that look after the log."""
    return (
        Role(
            name="driver",
            purpose="sends applications; looks at partitions and the log's identity first, reads nothing of anybody",
            reads=(LOG_IDENTITY,),
            writes=_produced_by("driver"),
            describes=_MAIN,
        ),
        Role(
            name="portal",
            purpose="takes applications from people, and reads where each stands",
            reads=(*_MAIN, *(name for name, _ in dead_letter_topics())),
            writes=_produced_by("portal"),
        ),
        _consumer("intake", "decides applications; moves a submission to its own partition"),
        _consumer("vneid_mock", "answers for the databases"),
        _consumer("scoring", "keeps the rates; asks the log's identity", also=(LOG_IDENTITY,)),
        Role(
            name="verifier",
            purpose="`paperless verify`: recounts the log, dead letters included, and changes nothing",
            reads=_EVERY,
        ),
        Role(
            name="operator",
            purpose="`paperless dlq`: reads dead letters, writes settlements beside them, and records back",
            reads=tuple(name for name, _ in dead_letter_topics()),
            writes=(*_MAIN, *(name for name, _ in dead_letter_topics())),
        ),
        Role(
            name="topics",
            purpose="`paperless topics`: creates topics and the log's identity, once; sees no record of anybody",
            reads=(LOG_IDENTITY,),
            writes=(LOG_IDENTITY,),
            creates=_EVERY,
            describes=_EVERY,
        ),
    )


def role(name: str) -> Role:
    """Return the role of this name.

    Raises:
        KeyError: there is none.

    """
    return {role.name: role for role in roles()}[name]


def acl_table() -> tuple[Grant, ...]:
    """Return every right of every role: all that the broker allows anybody but its administrator."""
    return tuple(grant for role in roles() for grant in role.grants())


def _produced_by(name: str) -> tuple[str, ...]:
    return tuple(topic.name for topic in ALL if name in topic.produced_by)


def _consumer(name: str, purpose: str, *, also: tuple[str, ...] = ()) -> Role:
    consumed = [topic for topic in ALL if name in topic.consumed_by]
    return Role(
        name=name,
        purpose=purpose,
        reads=(*(topic.name for topic in consumed), *also),
        writes=(
            *_produced_by(name),
            *(topic.name for topic in consumed if topic.moved_by == name),
            *(topic.dead_letter(name) for topic in consumed),
        ),
        groups=(name,),
    )


_MAIN = tuple(topic.name for topic in ALL)
_EVERY = (*_MAIN, *(name for name, _ in dead_letter_topics()), LOG_IDENTITY)
