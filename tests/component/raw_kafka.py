"""Kafka's requests as they are, each in the one version that the simulation answers, on connections of one's own.

aiokafka's clients retry, choose versions and keep members alive; a contract about answers must see every answer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from aiokafka.conn import create_conn
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from aiokafka.protocol import commit, coordination, fetch, group, metadata, offset, produce, transaction
from aiokafka.record.default_records import DefaultRecordBatchBuilder

EARLIEST, LATEST = -2, -1
# Kafka's error codes.
NO_ERROR, OUT_OF_RANGE, UNKNOWN_TOPIC = 0, 1, 3
LOADING, NO_COORDINATOR, NOT_COORDINATOR = 14, 15, 16
ILLEGAL_GENERATION, UNKNOWN_MEMBER, REBALANCE_IN_PROGRESS = 22, 25, 27
OUT_OF_ORDER, INVALID_EPOCH, MEMBER_ID_REQUIRED = 45, 47, 79
# A coordinator that has just been found, or has just begun, asks for patience by these.
NOT_YET = (LOADING, NO_COORDINATOR, NOT_COORDINATOR)
POLL_S = 0.05
WITHIN_S = 20
TIMESTAMP_MS = 1_760_000_000_000
T = TypeVar("T")


async def until(ask: Callable[[], Awaitable[T]], wanted: T) -> None:
    """Ask until the answer is the wanted one; raise `TimeoutError` if it does not come."""
    async with asyncio.timeout(WITHIN_S):
        answered = False
        while not answered:
            answered = await ask() == wanted
            await asyncio.sleep(0 if answered else POLL_S)


def batch_of(values: Sequence[bytes], *, producer: int = -1, epoch: int = -1, sequence: int = -1) -> bytes:
    """Return the bytes of one batch; with a producer, as an idempotent one numbers it."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, producer, epoch, sequence, 1_000_000)
    for number, value in enumerate(values):
        builder.append(number, TIMESTAMP_MS + number, None, value, [])
    return bytes(builder.build())


@dataclass(frozen=True, slots=True)
class _Exactly:
    """A request in its own version, whatever the broker announces."""

    request: Any

    def prepare(self, _: object) -> Any:
        return self.request


class Fetched(NamedTuple):
    """A fetch's answer for one partition, as Kafka names its fields."""

    partition: int
    error: int
    mark: int
    stable: int
    aborted: list[tuple[int, int]] | None
    data: bytes


class RawConnection:
    """A connection to the one broker; requests on it are answered in order, so who waits needs another."""

    def __init__(self, connection: Any, patience_s: float) -> None:
        self._connection, self._patience_s = connection, patience_s

    @property
    def versions(self) -> dict[int, tuple[int, int]]:
        """The lowest and highest version of each request that the broker announces."""
        announced: dict[int, tuple[int, int]] = self._connection._versions
        return announced

    async def ask(self, request: Any) -> Any:
        async with asyncio.timeout(self._patience_s):
            return await self._connection.send(_Exactly(request))

    async def described(self, topic: str) -> tuple[int, list[int]]:
        """Return error code and partitions."""
        answer = await self.ask(metadata.MetadataRequest_v5([topic], False))
        [(error, _, _, partitions)] = answer.topics
        return error, sorted(number for _, number, *_ in partitions)

    async def producer_id(self) -> int:
        request = transaction.InitProducerIdRequest_v0(None, 60_000)
        while True:
            answer = await self.ask(request)
            if answer.error_code not in NOT_YET:
                break
            await asyncio.sleep(POLL_S)
        assert (answer.error_code, answer.producer_epoch) == (NO_ERROR, 0)
        number: int = answer.producer_id
        return number

    async def produce(self, topic: str, batch: bytes, *, partition: int = 0) -> tuple[int, int]:
        """Return error code and first offset."""
        [answer] = await self.produce_all(topic, [(partition, batch)])
        return answer

    async def produce_all(self, topic: str, batches: list[tuple[int, bytes]]) -> list[tuple[int, int]]:
        """Write to several partitions in one request."""
        answer = await self.ask(produce.ProduceRequest_v7(None, -1, 5_000, [(topic, batches)]))
        [(_, partitions)] = answer.topics
        return [(error, first) for _, error, first, *_ in partitions]

    async def fetch(
        self,
        topic: str,
        at: int,
        *,
        committed: bool = False,
        max_wait_ms: int = 100,
        partition: int = 0,
        limit: int = 1_000_000,
    ) -> Fetched:
        wanted = [(topic, [(partition, at, limit)])]
        answer = await self.ask(fetch.FetchRequest_v4(-1, max_wait_ms, 1, 1_000_000, int(committed), wanted))
        [(_, [fields])] = answer.topics
        return Fetched(*fields)

    async def offset(self, topic: str, when: int, *, committed: bool = False, partition: int = 0) -> tuple[int, int]:
        """Return error code and the earliest or latest offset."""
        answer = await self.ask(offset.OffsetRequest_v2(-1, int(committed), [(topic, [(partition, when)])]))
        [(_, [(_, error, _, found)])] = answer.topics
        return error, found

    async def commit(
        self, name: str, topic: str, offsets: dict[int, int], *, member_id: str = "", generation: int = -1
    ) -> set[int]:
        """Return the partitions' error codes."""
        places = [(topic, [(number, at, "") for number, at in offsets.items()])]
        answer = await self.ask(commit.OffsetCommitRequest_v3(name, generation, member_id, -1, places))
        return {error for _, partitions in answer.topics for _, error in partitions}

    async def committed(self, name: str, topic: str, partition: int = 0) -> int:
        answer = await self.ask(commit.OffsetFetchRequest_v3(name, [(topic, [partition])]))
        [(_, [(_, at, _, error)])] = answer.topics
        assert (answer.error_code, error) == (NO_ERROR, NO_ERROR)
        found: int = at
        return found

    async def until_coordinated(self, name: str) -> None:
        """Wait until the broker coordinates a group."""
        async with asyncio.timeout(30):
            while True:
                found = await self.ask(coordination.FindCoordinatorRequest_v1(name, 0))
                answer = await self.ask(commit.OffsetFetchRequest_v3(name, []))
                if found.error_code == NO_ERROR and answer.error_code not in NOT_YET:
                    return
                await asyncio.sleep(POLL_S)


class Joined(NamedTuple):
    """A join's answer; `members` are the subscriptions, by name, that only the leader is given; they have no order."""

    error: int
    generation: int
    protocol: str
    leader: str
    member_id: str
    members: list[tuple[str, str | None, bytes]]


class GroupMember:
    """A member that says only what it is told to; it keeps its id and the generation of its last join.

    Args:
        connection: its own: a join holds back all that comes after it.
        session_ms: without a heartbeat for so long, it is out.
        rebalance_ms: what it has to rejoin, and then to sync.

    """

    def __init__(self, connection: RawConnection, name: str, *, session_ms: int, rebalance_ms: int) -> None:
        self.connection, self.group = connection, name
        self.session_ms, self.rebalance_ms = session_ms, rebalance_ms
        self.topics = ["applications"]
        self.member_id, self.generation, self.leader = "", -1, ""

    @property
    def subscription(self) -> bytes:
        encoded: bytes = ConsumerProtocolMemberMetadata(0, self.topics, b"").encode()
        return encoded

    async def ask_join(self) -> Joined:
        """Join once, whatever the answer."""
        answer = await self.connection.ask(
            group.JoinGroupRequest_v5(
                self.group,
                self.session_ms,
                self.rebalance_ms,
                self.member_id,
                None,
                "consumer",
                [("range", self.subscription)],
            )
        )
        joined = Joined(*(getattr(answer, field) for field in answer.SCHEMA.names[1:]))
        return joined._replace(members=sorted(joined.members))

    async def take_name(self) -> None:
        """Be given a member id, and not join with it yet."""
        answer = await self.ask_join()
        assert answer.error == MEMBER_ID_REQUIRED
        self.member_id = answer.member_id

    async def join(self) -> Joined:
        """Join, and wait for the generation that comes of it."""
        if not self.member_id:
            await self.take_name()
        answer = await self.ask_join()
        assert answer.error == NO_ERROR, answer
        self.generation, self.leader = answer.generation, answer.leader
        return answer

    @property
    def leads(self) -> bool:
        return self.leader == self.member_id

    async def sync(self, assignments: Iterable[tuple[str, bytes]] = ()) -> tuple[int, bytes]:
        """Return error code and assignment."""
        request = group.SyncGroupRequest_v3(self.group, self.generation, self.member_id, None, list(assignments))
        answer = await self.connection.ask(request)
        return answer.error_code, bytes(answer.member_assignment)

    async def heartbeat(self) -> int:
        answer = await self.connection.ask(
            group.HeartbeatRequest_v1(self.group, self.generation, self.member_id),
        )
        error: int = answer.error_code
        return error

    async def until_told(self, code: int) -> None:
        """Send heartbeats until one is answered so."""
        await until(self.heartbeat, code)

    async def alive_for(self, seconds: float) -> None:
        """Send heartbeats for a while, whatever is answered."""
        async with asyncio.timeout(seconds + 10):
            until = asyncio.get_running_loop().time() + seconds
            while asyncio.get_running_loop().time() < until:
                await self.heartbeat()
                await asyncio.sleep(2 * POLL_S)

    async def commit(self, topic: str, offsets: dict[int, int]) -> int:
        [error] = await self.connection.commit(
            self.group, topic, offsets, member_id=self.member_id, generation=self.generation
        )
        return error

    async def leave(self) -> int:
        answer = await self.connection.ask(group.LeaveGroupRequest_v1(self.group, self.member_id))
        error: int = answer.error_code
        return error


def assigned(members: Iterable[GroupMember]) -> list[tuple[str, bytes]]:
    """Return what a leader sends: to each member, bytes that no other gets."""
    return [(member.member_id, b"for " + member.member_id.encode()) for member in members]


async def synced(*members: GroupMember) -> None:
    """Let all members of a generation sync."""
    answers = await asyncio.gather(*(member.sync(assigned(members) if member.leads else ()) for member in members))
    assert answers == [(NO_ERROR, b"for " + member.member_id.encode()) for member in members]


async def rejoined(*members: GroupMember, new: GroupMember | None = None) -> None:
    """Let the members of a group rejoin, each once it is told to, with another that joins; all have synced then."""
    joining = [asyncio.create_task(new.join())] if new else []
    for member in members:
        await member.until_told(REBALANCE_IN_PROGRESS)
    await asyncio.gather(*(member.join() for member in members), *joining)
    await synced(*members, *([new] if new else []))


async def open_raw(host: str, port: int, stack: AsyncExitStack, patience_s: float) -> RawConnection:
    """Connect; the stack closes it. An answer that takes longer than `patience_s` raises `TimeoutError`."""
    opened = await create_conn(host, port, client_id="contract", request_timeout_ms=120_000)
    stack.push_async_callback(_closed, opened)
    return RawConnection(opened, patience_s)


async def _closed(connection: Any) -> None:
    await connection.close()
