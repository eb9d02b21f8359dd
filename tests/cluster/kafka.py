"""Simulated Kafka: brokers that share a replicated log, answer aiokafka's requests, and misbehave when told to."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.cluster import wire
from tests.cluster.consumer_group import REBALANCE_IN_PROGRESS, ConsumerGroup, Position
from tests.cluster.draws import Draws
from tests.cluster.faults import Fault
from tests.cluster.network import Connection, Network
from tests.cluster.partition_log import PartitionLog, split
from tests.cluster.simulated_loop import EPOCH_S, SimulatedLoop
from tests.cluster.wire import Request

# Kafka's error codes.
UNKNOWN_SERVER_ERROR = -1
OUT_OF_RANGE, UNKNOWN_TOPIC, NOT_LEADER, TIMED_OUT = 1, 3, 6, 7
LOADING, NO_COORDINATOR, NOT_COORDINATOR = 14, 15, 16
NOT_ENOUGH_REPLICAS, NOT_ENOUGH_REPLICAS_AFTER_APPEND = 19, 20
HANDLING_S = (0.0002, 0.003)
REPLICATION_S = (0.0005, 0.005)
PORT = 9092
EARLIEST, LATEST = -2, -1


# Takes the fields of an answer; None: there is none.
Reply = Callable[[tuple[Any, ...] | None], None]


def _at_once(answer: Callable[[Request, int], tuple[Any, ...]]) -> Callable[[Request, int, Reply], None]:
    return lambda request, error, reply: reply(answer(request, error))


class Broker:
    """One broker's address. It answers what leads or coordinates here, and refuses the rest."""

    def __init__(self, number: int, cluster: "KafkaCluster") -> None:
        self.number, self.host, self.up = number, f"kafka-{number}", True
        self._cluster = cluster
        self._answers: dict[str, Callable[[Request, int, Reply], None]] = {
            "ApiVersion": _at_once(self._api_versions),
            "Metadata": _at_once(self._metadata),
            "InitProducerId": _at_once(self._init_producer_id),
            "Produce": self._produce,
            "Fetch": self._fetch,
            "Offset": _at_once(self._list_offsets),
            "FindCoordinator": _at_once(self._find_coordinator),
            "JoinGroup": self._join_group,
            "SyncGroup": self._sync_group,
            "Heartbeat": _at_once(self._heartbeat),
            "LeaveGroup": _at_once(self._leave_group),
            "OffsetCommit": _at_once(self._commit_offsets),
            "OffsetFetch": _at_once(self._fetch_offsets),
        }

    def receive(self, frame: bytes, connection: Connection) -> None:
        """Answer a request when it is handled; what is lost, and what keeps silent, is answered with None."""
        request, cluster = wire.decode(frame), self._cluster
        cluster.requests[request.kind] += 1
        draw = cluster.draws.of(("broker", self.host, connection.client, request.kind))
        fault = cluster.fault_of(request, self.host, connection.client, draw.random())
        late_s = fault.delay_s if fault and fault.effect == "late" else 0.0
        after_s = draw.uniform(*HANDLING_S) + late_s
        cluster.loop.in_world(self._handle, request, fault, connection, after=after_s)

    def _handle(self, request: Request, fault: Fault | None, connection: Connection) -> None:
        effect = fault.effect if fault else ""
        if effect == "request lost":
            connection.reset()
        if effect == "request lost" or not self.up:
            connection.answer(None)
            return
        delay_s = fault.delay_s if fault and effect == "answer late" else 0.0

        def reply(fields: tuple[Any, ...] | None) -> None:
            if delay_s:
                self._cluster.loop.in_world(self._reply, request, effect, connection, fields, after=delay_s)
            else:
                self._reply(request, effect, connection, fields)

        self._answers[request.kind](request, fault.code if fault and effect == "error" else 0, reply)

    def _reply(self, request: Request, effect: str, connection: Connection, fields: tuple[Any, ...] | None) -> None:
        if effect == "answer lost":
            connection.reset()
        silent = effect in ("answer lost", "never answered") or fields is None or not self.up
        connection.answer(None if fields is None or silent else wire.encode(request, *fields))

    def _api_versions(self, _: Request, __: int) -> tuple[Any, ...]:
        return 0, wire.api_versions()

    def _metadata(self, request: Request, _: int) -> tuple[Any, ...]:
        cluster = self._cluster
        names = sorted({topic for topic, _ in cluster.logs}) if request.body.topics is None else request.body.topics
        # With a rack: the client keeps brokers in a set, and the hash of None differs from run to run.
        brokers = tuple((each.number, each.host, PORT, "rack") for each in cluster.brokers if each.up)
        return 0, brokers, "simulated", brokers[0][0], tuple(self._topic(name) for name in names)

    def _topic(self, name: str) -> tuple[Any, ...]:
        cluster = self._cluster
        everyone = tuple(broker.number for broker in cluster.brokers)
        partitions: tuple[tuple[Any, ...], ...] = tuple(
            (0, number, cluster.leaders[name, number], everyone, everyone, ())
            for number in range(cluster.partitions.get(name, 0))
        )
        return (0 if partitions else UNKNOWN_TOPIC, name, False, partitions)

    def _init_producer_id(self, _: Request, error: int) -> tuple[Any, ...]:
        self._cluster.producers += 1
        return 0, error, self._cluster.producers, 0

    def _log(self, topic: str, number: int, error: int) -> tuple[PartitionLog | None, int]:
        log = self._cluster.logs.get((topic, number))
        if log is None:
            return None, UNKNOWN_TOPIC
        if error or self._cluster.leaders[topic, number] != self.number:
            return None, error or NOT_LEADER
        return log, 0

    def _produce(self, request: Request, error: int, reply: Reply) -> None:
        after = NOT_ENOUGH_REPLICAS_AFTER_APPEND
        topics: list[Any] = []
        written: list[PartitionLog] = []
        for topic, partitions in request.body.topics:
            answers: list[Any] = []
            for number, data in partitions:
                log, code = self._log(topic, number, 0 if error == after else error)
                offset = -1
                if log is not None:
                    for batch in split(data):
                        code, first = log.append(batch)
                        offset = first if offset < 0 else offset
                    written.append(log)
                answers.append((number, code or (after if error == after else 0), offset, -1, log.start if log else -1))
            topics.append((topic, tuple(answers)))

        def replicated() -> None:
            for log in written:
                log.show(self._cluster.loop.time())
            reply((tuple(topics), 0))

        after_s = self._cluster.draws.of(("replication", self.host)).uniform(*REPLICATION_S)
        self._cluster.loop.in_world(replicated, after=after_s)

    def _fetch(self, request: Request, error: int, reply: Reply) -> None:
        body, loop = request.body, self._cluster.loop
        deadline = loop.time() + body.max_wait_time / 1000
        logs = [
            log
            for topic, parts in body.topics
            for number, *_ in parts
            if (log := self._cluster.logs.get((topic, number))) is not None
        ]
        timer: asyncio.TimerHandle | None = None

        def look() -> None:
            nonlocal timer
            if timer is not None:
                timer.cancel()
                for log in logs:
                    log.waiting.pop(look, None)
            topics, size = self._read(body, error)
            wait_s = deadline - loop.time()
            if size or error or wait_s <= 0.0005:
                reply((0, tuple(topics)))
                return
            for log in logs:
                log.waiting[look] = None
            timer = loop.in_world(look, after=wait_s)

        look()

    def _read(self, body: Any, error: int) -> tuple[list[Any], int]:
        """Return the partitions' answers and how much there is to hand over: bytes, and one for each error."""
        topics: list[Any] = []
        size = 0
        draw = self._cluster.draws.of(("fetch", self.host))
        for topic, partitions in body.topics:
            answers: list[Any] = []
            for number, offset, _ in partitions:
                log, code = self._log(topic, number, error)
                if log is not None and not log.start <= offset <= log.end:
                    code = OUT_OF_RANGE
                if log is None or code:
                    answers.append((number, code, -1, -1, None, b""))
                    size += 1
                    continue
                # As many batches as the broker likes, of as many partitions as it likes; but some, if there are any.
                batches = draw.choice((0, 1, 2, 100)) if size else draw.choice((1, 2, 100))
                data, aborted = log.read(offset, committed=body.isolation_level == 1, batches=batches)
                answers.append((number, 0, log.mark, log.stable, aborted or None, data))
                size += len(data)
            topics.append((topic, tuple(answers)))
        return topics, size

    def _list_offsets(self, request: Request, error: int) -> tuple[Any, ...]:
        topics: list[Any] = []
        for topic, partitions in request.body.topics:
            answers: list[Any] = []
            for number, timestamp in partitions:
                if timestamp not in (EARLIEST, LATEST):
                    raise NotImplementedError("offsets are not looked up by time")
                log, code = self._log(topic, number, error)
                end = 0 if log is None else log.stable if request.body.isolation_level else log.mark
                offset = -1 if log is None else end if timestamp == LATEST else log.start
                answers.append((number, code, -1, offset))
            topics.append((topic, tuple(answers)))
        return 0, tuple(topics)

    def _find_coordinator(self, request: Request, error: int) -> tuple[Any, ...]:
        coordinator = self._cluster.brokers[self._cluster.coordinator_of(request.body.coordinator_key)]
        if error or not coordinator.up:
            return 0, error or NO_COORDINATOR, None, -1, "", -1
        return 0, 0, None, coordinator.number, coordinator.host, PORT

    def _group(self, name: str, error: int) -> tuple[ConsumerGroup, int]:
        cluster = self._cluster
        if not error and cluster.coordinator_of(name) != self.number:
            error = NOT_COORDINATOR
        if not error and cluster.loading_until.get(name, 0) > cluster.loop.time():
            error = LOADING
        return cluster.group(name), error

    def _join_group(self, request: Request, error: int, reply: Reply) -> None:
        body = request.body
        group, code = self._group(body.group, error)
        if code:
            reply((0, code, -1, "", "", body.member_id, ()))
            return
        if body.group_instance_id is not None:
            raise NotImplementedError("static members are not simulated")
        timeouts_s = body.session_timeout / 1000, body.rebalance_timeout / 1000
        joining = group.join(body.member_id, request.client, *timeouts_s, body.group_protocols)
        self._when_known(joining, reply)

    def _sync_group(self, request: Request, error: int, reply: Reply) -> None:
        body = request.body
        group, code = self._group(body.group, error)
        if code:
            reply((0, REBALANCE_IN_PROGRESS if code == LOADING else code, b""))
            return
        self._when_known(group.sync(body.member_id, body.generation_id, body.group_assignment), reply)

    def _when_known(self, answer: "asyncio.Future[Any]", reply: Reply) -> None:
        """Reply when the group has an answer; it has none to who has asked again since."""

        def known(_: object) -> None:
            reply(None if answer.cancelled() else (0, *answer.result()))

        answer.add_done_callback(known, context=self._cluster.loop.world)

    def _heartbeat(self, request: Request, error: int) -> tuple[Any, ...]:
        body = request.body
        group, code = self._group(body.group, error)
        # A coordinator that still reads the group lets its members live.
        return 0, 0 if code == LOADING else code or group.heartbeat(body.member_id, body.generation_id)

    def _leave_group(self, request: Request, error: int) -> tuple[Any, ...]:
        group, code = self._group(request.body.group, error)
        return 0, code or group.leave(request.body.member_id)

    def _commit_offsets(self, request: Request, error: int) -> tuple[Any, ...]:
        body = request.body
        group, code = self._group(body.consumer_group, error)
        places = {(topic, number): offset for topic, parts in body.topics for number, offset, _ in parts}
        known = {place: offset for place, offset in places.items() if place in self._cluster.logs}
        if not code and known:
            code = group.commit(body.consumer_id, body.consumer_group_generation_id, known)
        codes = {place: code if place in known else UNKNOWN_TOPIC for place in places}
        return 0, tuple(
            (topic, tuple((number, codes[topic, number]) for number, *_ in parts)) for topic, parts in body.topics
        )

    def _fetch_offsets(self, request: Request, error: int) -> tuple[Any, ...]:
        body = request.body
        group, code = self._group(body.consumer_group, error)
        topics = tuple(
            (topic, tuple((n, -1 if code else group.offsets.get((topic, n), -1), "", code) for n in numbers))
            for topic, numbers in body.topics
        )
        return 0, topics, code


@dataclass
class KafkaCluster:
    """Brokers, logs and groups.

    Attributes:
        tell: is called with a sentence per event, for the history's time line.
        faults: what goes wrong now.
        requests: requests answered, by kind.

    """

    loop: SimulatedLoop
    draws: Draws
    network: Network
    topics: Mapping[str, int]
    tell: Callable[[str], None]
    offset_moved: Callable[[str, Position, int, int, bool], None] = lambda *_: None
    size: int = 3
    faults: list[Fault] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)
    producers: int = 0

    def __post_init__(self) -> None:
        """Make brokers and logs."""
        self.brokers = [Broker(number, self) for number in range(self.size)]
        self.network.servers.update({broker.host: broker for broker in self.brokers})
        self.logs: dict[Position, PartitionLog] = {}
        self.leaders: dict[Position, int] = {}
        self._preferred: dict[Position, int] = {}
        self.partitions: dict[str, int] = {}
        for topic, count in self.topics.items():
            self.add_topic(topic, count)
        self._groups: dict[str, ConsumerGroup] = {}
        self._coordinators: dict[str, int] = {}
        self.loading_until: dict[str, float] = {}

    def add_topic(self, topic: str, partitions: int) -> None:
        """Make a topic; its partitions are led by one broker after the other."""
        self.partitions[topic] = partitions
        for place in [(topic, number) for number in range(partitions)]:
            self.logs[place] = PartitionLog(*place)
            self.leaders[place] = self._preferred[place] = len(self._preferred) % self.size

    @property
    def address(self) -> str:
        """The bootstrap servers."""
        return ",".join(f"{broker.host}:{PORT}" for broker in self.brokers)

    def fault_of(self, request: Request, host: str, process: str, drawn: float) -> Fault | None:
        """Return the fault that a request meets; `drawn` is in [0, 1)."""
        for fault in self.faults:
            if fault.applies(request, host, process) and drawn < fault.share:
                fault.met += 1
                return fault
        return None

    def group(self, name: str) -> ConsumerGroup:
        """Return a group; it exists from its first mention."""
        if name not in self._groups:
            self._groups[name] = ConsumerGroup(name, self.loop, self.tell, self.offset_moved)
        return self._groups[name]

    def coordinator_of(self, group: str) -> int:
        """Return the number of the broker that coordinates a group."""
        return self._coordinators.setdefault(group, len(self._coordinators) % self.size)

    def stop(self, number: int, election_s: float) -> None:
        """Take a broker away; after the election others lead and coordinate."""
        broker = self.brokers[number]
        broker.up = False
        self.tell(f"{broker.host} is down")
        self.network.break_connections(lambda connection: connection.server is broker)
        self.loop.in_world(self._elect, after=election_s)

    def start(self, number: int) -> None:
        """Bring a broker back; it leads again what it prefers to lead a little later."""
        self.brokers[number].up = True
        self.tell(f"{self.brokers[number].host} is back")
        self.loop.in_world(self._elect, after=1.0)

    def _elect(self) -> None:
        for place, preferred in self._preferred.items():
            self.leaders[place] = self._first_up(preferred)
        for group, coordinator in list(self._coordinators.items()):
            chosen = self._first_up(coordinator)
            if chosen != coordinator:
                self.move_coordinator(group, chosen, loading_s=0.5)

    def _first_up(self, wanted: int) -> int:
        order = [(wanted + step) % self.size for step in range(self.size)]
        return next((number for number in order if self.brokers[number].up), wanted)

    def move_coordinator(self, group: str, number: int, loading_s: float) -> None:
        """Give a group to another broker, which reads its members and offsets for a while and then answers for it."""
        self._coordinators[group] = number
        self.loading_until[group] = self.loop.time() + loading_s
        self.group(group).restart_sessions()
        self.tell(f"group {group}: coordinated by {self.brokers[number].host}")

    def append(self, topic: str, number: int, batch: bytes) -> None:
        """Write a batch as another client, at once."""
        log = self.logs[topic, number]
        log.append(batch)
        log.show(self.loop.time())

    def wall_ms(self) -> int:
        """Return the brokers' time."""
        return int((EPOCH_S + self.loop.time()) * 1000)
