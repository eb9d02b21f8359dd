"""One consumer group as Kafka's coordinator keeps it: members, generations, rebalances, evictions and offsets.

Kafka's own rules, from its group coordinator: a commit is checked by member and generation, never by which partitions
the member owns; whoever does not rejoin, and then sync, within the rebalance time-out is out; a member is alive while
it heartbeats or waits for an answer. tests/component/group_contract.py holds all of them against Kafka itself.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

# Kafka's error codes.
NO_ERROR, ILLEGAL_GENERATION, UNKNOWN_MEMBER, REBALANCE_IN_PROGRESS = 0, 22, 25, 27
MEMBER_ID_REQUIRED = 79
# `group.initial.rebalance.delay.ms` of the deployment.
FIRST_REBALANCE_DELAY_S = 0.2


@dataclass(slots=True, kw_only=True)
class Member:
    """A member, and what it waits for: `joining` and `syncing` get its answer when the group has one."""

    session_s: float
    rebalance_s: float
    protocols: list[tuple[str, bytes]] = field(default_factory=list)
    joining: "asyncio.Future[JoinAnswer] | None" = None
    syncing: "asyncio.Future[SyncAnswer] | None" = None
    assignment: bytes = b""
    expires: asyncio.TimerHandle | None = None


JoinAnswer = tuple[int, int, str, str, str, tuple[tuple[str, None, bytes], ...]]
SyncAnswer = tuple[int, bytes]
Position = tuple[str, int]


class ConsumerGroup:
    """A group. All answers are futures: Kafka holds back those to joins and syncs until all members have come.

    Args:
        loop: the simulated loop.
        tell: is called with a sentence per change, for the history's time line.
        offset_moved: is called with position, old and new offset whenever a commit is taken, and whether it is one that
            the same member has made before, in the same generation: tried again by its client, it arrived twice.

    """

    def __init__(
        self,
        name: str,
        loop: asyncio.AbstractEventLoop,
        tell: Callable[[str], None],
        offset_moved: Callable[[str, Position, int, int, bool], None],
    ) -> None:
        self.name, self._loop, self._tell, self._offset_moved = name, loop, tell, offset_moved
        self._taken: dict[tuple[str, int], set[frozenset[tuple[Position, int]]]] = defaultdict(set)
        self.state = "Empty"
        self.generation = 0
        self.members: dict[str, Member] = {}
        self.offsets: dict[Position, int] = {}
        # Names that were given and not come back with; each holds a rebalance up until it expires.
        self._awaited: dict[str, asyncio.TimerHandle] = {}
        self._unsynced: set[str] = set()
        self._leader = ""
        self._numbers = 0
        self._completes: asyncio.TimerHandle | None = None
        self._first = False

    @property
    def exists(self) -> bool:
        """Whether anybody has ever joined, or committed without."""
        return bool(self.generation or self.members or self._awaited or self.offsets)

    def join(
        self, member_id: str, client: str, session_s: float, rebalance_s: float, protocols: list[tuple[str, bytes]]
    ) -> "asyncio.Future[JoinAnswer]":
        """Return the answer to a join, which comes when the rebalance ends."""
        answer: asyncio.Future[JoinAnswer] = self._loop.create_future()
        if not member_id:
            self._numbers += 1
            name = f"{client}-{self._numbers}"
            self._awaited[name] = self._loop.call_at(self._loop.time() + session_s, self._await_no_longer, name)
            answer.set_result((MEMBER_ID_REQUIRED, -1, "", "", name, ()))
            return answer
        if member_id not in self.members and member_id not in self._awaited:
            answer.set_result((UNKNOWN_MEMBER, -1, "", "", "", ()))
            return answer
        if member_id in self._awaited:
            self._awaited.pop(member_id).cancel()
        member = self.members.setdefault(member_id, Member(session_s=session_s, rebalance_s=rebalance_s))
        member.session_s, member.rebalance_s = session_s, rebalance_s
        self._drop(member)
        unchanged = member.protocols == protocols
        if unchanged and (
            self.state == "CompletingRebalance" or (self.state == "Stable" and member_id != self._leader)
        ):
            self._live(member_id)
            answer.set_result(self._joined(member_id))
            return answer
        member.protocols, member.joining = protocols, answer
        self._live(member_id)
        if self.state != "PreparingRebalance":
            self._prepare(f"{member_id} joins")
        self._complete_if_all_came()
        return answer

    def _await_no_longer(self, name: str) -> None:
        self._awaited.pop(name).cancel()
        if self.state == "PreparingRebalance":
            self._complete_if_all_came()

    def _joined(self, member_id: str) -> JoinAnswer:
        protocol = self.members[self._leader].protocols[0][0]
        everyone = ((name, None, dict(member.protocols)[protocol]) for name, member in self.members.items())
        others = tuple(everyone) if member_id == self._leader else ()
        return (NO_ERROR, self.generation, protocol, self._leader, member_id, others)

    def _drop(self, member: Member) -> None:
        """Forget whoever waited for this member before: a client that asks again has given the old answer up."""
        for waiting in (member.joining, member.syncing):
            if waiting is not None and not waiting.done():
                waiting.cancel()
        member.joining = member.syncing = None

    def _prepare(self, why: str) -> None:
        first = self.state == "Empty"
        self.state = "PreparingRebalance"
        self._tell(f"group {self.name}: rebalance, {why}")
        for name in self.members:
            self._answer_sync(name, (REBALANCE_IN_PROGRESS, b""))
        if self._completes is not None:
            self._completes.cancel()
        self._first = first
        delay = FIRST_REBALANCE_DELAY_S if first else self._patience_s
        self._completes = self._loop.call_at(self._loop.time() + delay, self._complete)

    @property
    def _patience_s(self) -> float:
        return max(member.rebalance_s for member in self.members.values())

    def _answer_sync(self, name: str, answer: SyncAnswer) -> None:
        member = self.members[name]
        waiting, member.syncing = member.syncing, None
        if waiting is not None:
            if not waiting.done():
                waiting.set_result(answer)
            self._live(name)

    def _complete_if_all_came(self) -> None:
        if (
            not self._first
            and not self._awaited
            and all(member.joining is not None for member in self.members.values())
        ):
            self._complete()

    def _complete(self) -> None:
        """End the join phase: who did not come is out; one member is the leader and gets all subscriptions."""
        if self._completes is not None:
            self._completes.cancel()
        for name in [name for name, member in self.members.items() if member.joining is None]:
            self._remove(name)
        self.generation += 1
        if not self.members:
            self.state = "Empty"
            return
        self.state = "CompletingRebalance"
        if self._leader not in self.members:
            self._leader = next(iter(self.members))
        for name, member in self.members.items():
            joining, member.joining = member.joining, None
            member.assignment = b""
            if joining is not None and not joining.done():
                joining.set_result(self._joined(name))
            self._live(name)
        self._unsynced = set(self.members)
        self._loop.call_at(self._loop.time() + self._patience_s, self._lose_unsynced, self.generation)

    def _lose_unsynced(self, generation: int) -> None:
        """Let those go who have been told their generation and have not asked for its assignment in time."""
        if generation == self.generation and self.state in ("CompletingRebalance", "Stable"):
            for name in sorted(self._unsynced & self.members.keys()):
                self._lose(name, "did not sync")

    def sync(
        self, member_id: str, generation: int, assignments: Iterable[tuple[str, bytes]]
    ) -> "asyncio.Future[SyncAnswer]":
        """Return the answer to a sync: the member's assignment, once the leader has sent all of them."""
        answer: asyncio.Future[SyncAnswer] = self._loop.create_future()
        error = self._refused(member_id, generation)
        if error or self.state == "PreparingRebalance":
            answer.set_result((error or REBALANCE_IN_PROGRESS, b""))
            return answer
        self._unsynced.discard(member_id)
        member = self.members[member_id]
        if self.state == "Stable":
            self._live(member_id)
            answer.set_result((NO_ERROR, member.assignment))
            return answer
        member.syncing = answer
        self._live(member_id)
        if member_id == self._leader:
            given = dict(assignments)
            self.state = "Stable"
            for name, each in self.members.items():
                each.assignment = given.get(name, b"")
                self._answer_sync(name, (NO_ERROR, each.assignment))
            self._tell(f"group {self.name}: generation {self.generation} of {len(self.members)} members")
        return answer

    def _refused(self, member_id: str, generation: int) -> int:
        if member_id not in self.members:
            return UNKNOWN_MEMBER
        return ILLEGAL_GENERATION if generation != self.generation else NO_ERROR

    def heartbeat(self, member_id: str, generation: int) -> int:
        """Keep a member alive and return Kafka's error code: whether it must rejoin."""
        error = self._refused(member_id, generation)
        if error:
            return error
        self._live(member_id)
        return REBALANCE_IN_PROGRESS if self.state == "PreparingRebalance" else NO_ERROR

    def leave(self, member_id: str) -> int:
        """Let a member go at once, or a name that was given and not come back with."""
        if member_id in self._awaited:
            self._await_no_longer(member_id)
            return NO_ERROR
        if member_id not in self.members:
            return UNKNOWN_MEMBER
        self._lose(member_id, "leaves")
        return NO_ERROR

    def commit(self, member_id: str, generation: int, offsets: dict[Position, int]) -> int:
        """Store offsets and return Kafka's error code. It is not asked whose the partitions are."""
        if generation >= 0 and not self.exists:
            return ILLEGAL_GENERATION
        if generation >= 0 or self.state != "Empty":
            error = self._refused(member_id, generation)
            if error:
                return error
            if self.state == "CompletingRebalance":
                return REBALANCE_IN_PROGRESS
            self._live(member_id)
        commit, taken = frozenset(offsets.items()), self._taken[member_id, generation]
        for place, offset in offsets.items():
            before = self.offsets.get(place, 0)
            self.offsets[place] = offset
            self._offset_moved(self.name, place, before, offset, commit in taken)
        taken.add(commit)
        return NO_ERROR

    def _live(self, name: str) -> None:
        member = self.members[name]
        if member.expires is not None:
            member.expires.cancel()
        if member.joining is None and member.syncing is None:
            # Who waits for an answer cannot heartbeat, and is not missed.
            member.expires = self._loop.call_at(
                self._loop.time() + member.session_s, self._lose, name, "sent no heartbeat"
            )

    def _lose(self, name: str, why: str) -> None:
        member = self.members.get(name)
        if member is None:
            return
        self._tell(f"group {self.name}: {name} {why}")
        self._remove(name)
        if self.state in ("Stable", "CompletingRebalance") and self.members:
            self._prepare(f"{name} is gone")
        elif self.state == "PreparingRebalance":
            self._complete_if_all_came()
        elif not self.members:
            self.state, self.generation = "Empty", self.generation + 1

    def _remove(self, name: str) -> None:
        member = self.members.pop(name)
        if member.expires is not None:
            member.expires.cancel()
        self._drop(member)

    def restart_sessions(self) -> None:
        """Give every member its whole session again, as a coordinator does that has just taken the group over."""
        for name in self.members:
            self._live(name)
