"""How far a system still is from rest, service by service, and for how long nothing has moved. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from contracts.topics import APPLICATIONS_SUBMITTED
from paperless.language import Message, message
from paperless.verification.members import Health, consumer_of, unowned

# Who has something to do and does nothing for so long is said to stand still.
STILL_S: Final = 10.0
# Between two of somebody else's applications; a pause as long ends a run of them.
_FILING_PAUSE_S: Final = 10.0


class ServiceBacklog(NamedTuple):
    """What is left to do for one consumer, all members together.

    `lag` counts records by topic, -1: not known yet; `open` asked for and not decided; `unsent` published and not yet
    acknowledged by the broker; `reasons` are why it does not do its work, in its own words; `still_s` are the seconds
    since it did anything.
    """

    name: str
    lag: Mapping[str, int]
    open: int
    unsent: int
    reasons: tuple[str, ...]
    still_s: float

    @property
    def records(self) -> int:
        return sum(max(lag, 0) for lag in self.lag.values())

    @property
    def rests(self) -> bool:
        return not (self.reasons or self.open or self.unsent or any(self.lag.values()))

    @property
    def stands_still(self) -> bool:
        return not self.rests and self.still_s >= STILL_S


class Backlog(NamedTuple):
    """All consumers; `still_s` are the seconds since any of them got on, `filing_s` since somebody files without end.

    `missing`: partitions that no member of a consumer has.
    """

    services: tuple[ServiceBacklog, ...] = ()
    missing: tuple[Message, ...] = ()
    still_s: float = 0.0
    filing_s: float = 0.0

    @property
    def rests(self) -> bool:
        return not self.missing and all(service.rests for service in self.services)

    @property
    def records(self) -> int:
        return sum(service.records for service in self.services)

    @property
    def open(self) -> int:
        return sum(service.open for service in self.services)

    def troubles(self) -> dict[str, list[str]]:
        """Return the consumers' names by what keeps them from working."""
        named: dict[str, list[str]] = defaultdict(list)
        for service in self.services:
            for reason in service.reasons:
                named[reason].append(service.name)
        return dict(named)


class BacklogWatch:
    """Looks at answers of `/health` one after the other, and remembers when something got on.

    Getting on is a position in the log that nobody had reached before: a service that falls back to its last commit,
    again and again, does not.
    """

    def __init__(self, partitions: int | None = None) -> None:
        self._partitions = partitions
        self._reached: dict[tuple[str, str, str], int] = {}
        self._counts: dict[str, tuple[Any, ...]] = {}
        self._moved: dict[str, float] = {}
        self._began: float | None = None
        self._got_on: float | None = None
        self._filed = 0
        self._filing: tuple[float, float] | None = None

    def see(self, health: Mapping[str, Health], now: float) -> Backlog:
        """Return the backlog that these answers tell; `now` in monotonic seconds."""
        self._began = now if self._began is None else self._began
        self._got_on = now if self._got_on is None else self._got_on
        consumers: dict[str, list[Health]] = defaultdict(list)
        for member, body in health.items():
            consumers[consumer_of(member)].append(body)
        services = tuple(self._service(name, bodies, now) for name, bodies in consumers.items())
        missing = tuple(unowned(health, self._partitions)) if self._partitions else ()
        return Backlog(services, missing, now - self._got_on, self._filing_s(health, now))

    def _service(self, name: str, bodies: list[Health], now: float) -> ServiceBacklog:
        lag: dict[str, int] = {}
        for body in bodies:
            for topic, records in body["lag"].items():
                known = records >= 0 and lag.get(topic, 0) >= 0
                lag[topic] = lag.get(topic, 0) + records if known else -1
        open_records, unsent = (sum(body[left] for body in bodies) for left in ("open", "unsent"))
        got_on = sum(self._gets_on(name, body) for body in bodies) > 0
        counts = (tuple(lag.items()), open_records, unsent)
        if self._counts.get(name) != counts or got_on or name not in self._moved:
            self._counts[name], self._moved[name] = counts, now
        if got_on:
            self._got_on = now
        reasons = tuple(dict.fromkeys(reason for body in bodies for reason in body["reasons"]))
        return ServiceBacklog(name, lag, open_records, unsent, reasons, now - self._moved[name])

    def _gets_on(self, name: str, body: Health) -> bool:
        got_on = False
        for topic, by_partition in body.get("positions", {}).items():
            for partition, offset in by_partition.items():
                key = (name, topic, partition)
                if offset > self._reached.get(key, -1):
                    got_on, self._reached[key] = True, offset
        return got_on

    def _filing_s(self, health: Mapping[str, Health], now: float) -> float:
        """Return for how long the log of applications has been growing, without a pause."""
        topic = APPLICATIONS_SUBMITTED.name
        filed = sum(
            sum(body.get("positions", {}).get(topic, {}).values()) + max(body["lag"].get(topic, 0), 0)
            for body in health.values()
        )
        if filed > self._filed:
            paused = self._filing is None or now - self._filing[1] > _FILING_PAUSE_S
            since = now if paused or self._filing is None else self._filing[0]
            self._filed, self._filing = filed, (since, now)
        if self._filing is None or now - self._filing[1] > _FILING_PAUSE_S:
            return 0.0
        return self._filing[1] - self._filing[0]


def moving(health: Mapping[str, Health]) -> list[Message]:
    """Return a message for each thing that keeps a member from rest."""
    return [each for name, body in health.items() for each in _moving(name, body)]


def _moving(name: str, body: Health) -> Iterator[Message]:
    for reason in body["reasons"]:
        yield message("backlog.reason", service=name, reason=reason)
    for topic, records in body["lag"].items():
        if records:
            yield message("backlog.lag", service=name, topic=topic, lag=records)
    if body["open"]:
        yield message("backlog.open", service=name, open=body["open"])
    if body["unsent"]:
        yield message("backlog.unsent", service=name, unsent=body["unsent"])
