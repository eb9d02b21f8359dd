"""What may happen to the system of this machine, and to one in containers; pure.

The lengths follow from the time-outs of the services: shorter or longer than a consumer's session, and longer than
intake waits for an answer with all its attempts.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from paperless.chaos.plan import Hazard, Kind

LOAD: Final = "load"
STORE: Final = "store"
# The first member's settings, and a number that nobody else has.
NEW_MEMBER: Final = "intake_9"
# So many times the steady rate arrive in a burst.
BURST: Final = 10.0
# A broker that is a Java machine, or a service that waits for it with growing pauses, takes that long to be back.
CONTAINER_REST_S: Final = 15.0
_BURST_S: Final = (1.0, 2.0)
# Three attempts of 1.5 s, and the group's way back.
_SILENCE_S: Final = (9.0, 12.0)


def local_hazards(parts: Sequence[str], *, disk_full: bool) -> tuple[Hazard, ...]:
    """Return what may happen to the embedded system.

    Its broker keeps the log in memory, so it is frozen and never killed. Sessions end after 3 s.

    Args:
        parts: the names of all processes: `broker`, `intake`, `intake_2`, `vneid_mock`, `scoring`, `scoring_api`.
        disk_full: whether this machine can take a process's room for files away, and give it back.

    """
    services = [part for part in parts if part != "broker"]
    return (
        *_each(Kind.KILL, services, 0.0, 0.0),
        *_each(Kind.STOP, services, 0.0, 0.0),
        *_each(Kind.FREEZE, parts, 0.5, 2.0),
        *_each(Kind.LONG_FREEZE, parts, 4.0, 7.0),
        Hazard(Kind.SILENCE, "vneid_mock", *_SILENCE_S),
        Hazard(Kind.STORE_LOCKED, STORE, 2.0, 8.0),
        *_each(Kind.DISK_FULL, ["scoring"] if disk_full else [], 2.0, 6.0),
        Hazard(Kind.MEMBER_JOINS, NEW_MEMBER, 5.0, 9.0),
        Hazard(Kind.BURST, LOAD, *_BURST_S),
    )


def container_hazards() -> tuple[Hazard, ...]:
    """Return what may happen to the containers of docker-compose.yml. Sessions end after 6 s.

    Kafka's log and PostgreSQL's store are on disk: both may be killed. How long one is down is the plan's, because the
    engine does not restart what was killed on purpose.
    """
    parts = ["intake", "vneid-mock", "scoring", "kafka", "postgres"]
    return (
        *_each(Kind.KILL, parts, 0.5, 5.0),
        *_each(Kind.STOP, parts, 0.5, 5.0),
        *_each(Kind.FREEZE, parts, 1.0, 4.0),
        *_each(Kind.LONG_FREEZE, parts, 8.0, 12.0),
        Hazard(Kind.SILENCE, "vneid-mock", *_SILENCE_S),
        *_each(Kind.DISCONNECT, ["intake/log", "vneid-mock/log", "scoring/log", "scoring/store"], 2.0, 10.0),
        Hazard(Kind.BURST, LOAD, *_BURST_S),
    )


def _each(kind: Kind, targets: Sequence[str], shortest_s: float, longest_s: float) -> Iterator[Hazard]:
    return (Hazard(kind, target, shortest_s, longest_s) for target in targets)
