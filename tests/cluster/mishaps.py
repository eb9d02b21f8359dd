"""What goes wrong in a history: drawn from its seed, each mishap by streams of its own, so that any may be left out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Protocol

from tests.cluster.draws import Draws
from tests.cluster.faults import Fault
from tests.cluster.kafka import (
    LOADING,
    NO_COORDINATOR,
    NOT_COORDINATOR,
    NOT_ENOUGH_REPLICAS,
    NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    NOT_LEADER,
    TIMED_OUT,
    UNKNOWN_SERVER_ERROR,
    KafkaCluster,
)
from tests.cluster.members import SupervisedMember
from tests.cluster.partition_log import OUT_OF_ORDER

# Mishaps begin after the first members have come up, and all have ended when the history is asked to come to rest.
FIRST_S, LAST_S = 1.0, 18.0
FEWEST, MOST = 2, 8
LONGEST_S = 18.0

PRODUCE, FETCH = frozenset({"Produce"}), frozenset({"Fetch"})
COORDINATION = frozenset({"JoinGroup", "SyncGroup", "Heartbeat", "OffsetCommit", "OffsetFetch", "FindCoordinator"})
COMMITS = frozenset({"OffsetCommit"})
LOOK_UPS = frozenset({"Offset", "OffsetFetch", "Metadata"})
CODES: dict[frozenset[str], tuple[int, ...]] = {
    # The client gives up on the last two: the publisher must make a new producer and send again.
    PRODUCE: (
        NOT_LEADER,
        TIMED_OUT,
        NOT_ENOUGH_REPLICAS,
        NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        UNKNOWN_SERVER_ERROR,
        OUT_OF_ORDER,
    ),
    FETCH: (NOT_LEADER,),
    COORDINATION: (LOADING, NO_COORDINATOR, NOT_COORDINATOR),
    COMMITS: (LOADING, NO_COORDINATOR, NOT_COORDINATOR, TIMED_OUT),
    LOOK_UPS: (NOT_COORDINATOR,),
}
EFFECTS = ("request lost", "answer lost", "never answered", "late", "answer late", "error")


class World(Protocol):
    """What a mishap may reach."""

    kafka: KafkaCluster
    members: dict[str, SupervisedMember]

    def tell(self, sentence: str) -> None:
        """Write a line of the history."""

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something later."""

    def store_away(self, how: str) -> None:
        """Let the store refuse, be slow, or leave it unsure whether a transaction was made; "" ends it."""

    def restore_store(self) -> None:
        """Put an earlier copy of the store in its place."""

    def add_member(self, service: str) -> None:
        """Let one more member join for good."""

    def refuse_outcome(self, draw: Random) -> None:
        """Let the store refuse all outcomes of one application that has none yet, for good."""

    def foreign_transaction(self, draw: Random) -> None:
        """Let another client write a transaction, committed or aborted, into a topic."""

    def unreadable_batch(self, draw: Random) -> None:
        """Let another client write records that no client can unpack."""

    def truncate_logs(self) -> None:
        """Delete what every group has committed, as retention does."""


@dataclass(frozen=True, slots=True)
class Mishap:
    """One mishap: its number in the history, its kind, when it begins and how long it lasts (simulated seconds)."""

    number: int
    kind: str
    at_s: float
    lasts_s: float

    def __str__(self) -> str:
        """Return it as the command line and the time line show it."""
        return f"{self.number}: {self.kind} at {self.at_s:.1f} s for {self.lasts_s:.1f} s"


Act = Callable[[World, Mishap, Random], None]


def planned(draws: Draws, kinds: tuple[str, ...] = ()) -> list[Mishap]:
    """Return a history's mishaps in the order of their beginning; `kinds` limits what may happen."""
    draw = draws.of("mishaps")
    count = draw.randint(FEWEST, MOST)
    return sorted(_planned(draws, count, kinds or tuple(KINDS)), key=lambda mishap: mishap.at_s)


def _planned(draws: Draws, count: int, kinds: tuple[str, ...]) -> Iterator[Mishap]:
    for number in range(count):
        draw = draws.of(f"mishap/{number}/plan")
        # Half of them together with another: what goes wrong at once is what nobody thought of.
        at_s = draw.uniform(FIRST_S, LAST_S) if number % 2 == 0 else draws.of("mishaps/together").uniform(3.0, 12.0)
        yield Mishap(number, draw.choice(kinds), at_s, draw.uniform(1.0, LONGEST_S))


def begin(mishap: Mishap, world: World, draw: Random) -> None:
    """Let a mishap happen; it ends by itself."""
    world.tell(f"MISHAP {mishap}")
    KINDS[mishap.kind](world, mishap, draw)


def _member(world: World, draw: Random) -> SupervisedMember:
    return world.members[draw.choice(sorted(world.members))]


def _kill(world: World, _: Mishap, draw: Random) -> None:
    member, again = _member(world, draw), draw.uniform(0.1, 8.0)
    if member.process is not None:
        # At an await: after so many of its callbacks.
        member.process.kill_after(draw.randint(1, 400), lambda: member.kill(again))


def _kill_twice(world: World, mishap: Mishap, draw: Random) -> None:
    _kill(world, mishap, draw)
    world.after(draw.uniform(0.5, 6.0), lambda: _kill(world, mishap, draw))


def _freeze(world: World, mishap: Mishap, draw: Random) -> None:
    process = _member(world, draw).process
    if process is None:
        return
    world.tell(f"{process.name} is frozen")
    process.freeze()

    def thaw() -> None:
        world.tell(f"{process.name} thaws")
        process.thaw(world.kafka.loop)

    world.after(mishap.lasts_s, thaw)


def _leave(world: World, _: Mishap, draw: Random) -> None:
    _member(world, draw).stop()


def _join(world: World, _: Mishap, draw: Random) -> None:
    world.add_member(draw.choice(("intake", "vneid_mock", "scoring")))


def _broker_down(world: World, mishap: Mishap, draw: Random) -> None:
    number = draw.randrange(world.kafka.size)
    if not world.kafka.brokers[number].up:
        return
    world.kafka.stop(number, election_s=draw.uniform(0.2, 6.0))
    world.after(mishap.lasts_s, lambda: world.kafka.start(number))


def _cut(world: World, mishap: Mishap, draw: Random) -> None:
    """Cut a member off from one broker or from all; what was sent arrives late."""
    name = _member(world, draw).name
    hosts = [broker.host for broker in world.kafka.brokers]
    for host in hosts if draw.random() < 0.5 else [draw.choice(hosts)]:
        world.tell(f"{name} is cut off from {host}")
        world.kafka.network.link(name, host).cut = True
        world.after(mishap.lasts_s, lambda host=host: world.kafka.network.mend(name, host))  # type: ignore[misc]


def _slow(world: World, mishap: Mishap, draw: Random) -> None:
    name = _member(world, draw).name
    for broker in world.kafka.brokers:
        link = world.kafka.network.link(name, broker.host)
        link.slower = draw.uniform(20, 300)
        world.after(mishap.lasts_s, lambda host=broker.host: world.kafka.network.mend(name, host))  # type: ignore[misc]


def _fault_of(kinds: frozenset[str] | None) -> Act:
    def act(world: World, mishap: Mishap, draw: Random) -> None:
        effects = EFFECTS if kinds in CODES else EFFECTS[:-1]
        effect = draw.choice(effects)
        codes = CODES.get(kinds, ()) if kinds else ()
        everyone = draw.random() < 0.4
        fault = Fault(
            effect=effect,
            share=draw.choice((0.1, 0.3, 0.7, 1.0)),
            kinds=kinds,
            processes=None if everyone else frozenset({_member(world, draw).name, "driver"}),
            delay_s=draw.choice((0.3, 2.0, 7.0, 12.0, 20.0)),
            code=draw.choice(codes) if codes else 0,
        )
        # Sometimes for longer than the client tries by itself.
        lasts_s = mishap.lasts_s * draw.choice((1, 1, 1, 2))
        world.tell(f"for {lasts_s:.1f} s {fault}")
        world.kafka.faults.append(fault)
        world.after(lasts_s, lambda: world.kafka.faults.remove(fault))

    return act


def _coordinator_moves(world: World, _: Mishap, draw: Random) -> None:
    up = [broker.number for broker in world.kafka.brokers if broker.up]
    world.kafka.move_coordinator(draw.choice(("intake", "vneid_mock", "scoring")), draw.choice(up), draw.uniform(0, 8))


def _coordinator_away(world: World, mishap: Mishap, draw: Random) -> None:
    """No coordinator answers, sometimes for as long as a member may go without saying that it does nothing."""
    lasts_s = mishap.lasts_s * draw.choice((1, 1, 1, 5))
    fault = Fault(
        effect=draw.choice(("never answered", "late", "error", "request lost")),
        kinds=COORDINATION,
        delay_s=lasts_s,
        code=NO_COORDINATOR,
    )
    world.tell(f"no coordinator answers for {lasts_s:.1f} s: {fault.effect}")
    world.kafka.faults.append(fault)
    world.after(lasts_s, lambda: world.kafka.faults.remove(fault))


def _commits_stuck_at_join(world: World, mishap: Mishap, draw: Random) -> None:
    """Refuse one member's commits while another joins, so that it still tries when its partitions are the other's."""
    member = _member(world, draw)
    fault = Fault(
        effect="error",
        kinds=COMMITS,
        processes=frozenset({member.name}),
        code=draw.choice(CODES[COMMITS]),
    )
    world.tell(f"no coordinator takes the commits of {member.name}")
    world.kafka.faults.append(fault)
    world.after(draw.uniform(0, 2), lambda: world.add_member(member.service))
    world.after(draw.uniform(9, 20), lambda: world.kafka.faults.remove(fault))


def _store_away(world: World, mishap: Mishap, draw: Random) -> None:
    world.store_away(draw.choice(("refuses", "slow", "unsure")))
    world.after(mishap.lasts_s, lambda: world.store_away(""))


def _store_away_at_join(world: World, mishap: Mishap, draw: Random) -> None:
    """Let the store go away just as one more scoring member joins, and go on away for longer than a session lasts."""
    world.store_away(draw.choice(("refuses", "slow")))
    world.after(draw.uniform(0, 1), lambda: world.add_member("scoring"))
    world.after(max(mishap.lasts_s, 12.0), lambda: world.store_away(""))


def _store_refuses_one(world: World, _: Mishap, draw: Random) -> None:
    world.refuse_outcome(draw)


def _restore(world: World, _: Mishap, __: Random) -> None:
    world.restore_store()


def _foreign(world: World, _: Mishap, draw: Random) -> None:
    world.foreign_transaction(draw)


def _unreadable(world: World, _: Mishap, draw: Random) -> None:
    world.unreadable_batch(draw)


def _truncate(world: World, _: Mishap, __: Random) -> None:
    world.truncate_logs()


def _connections_break(world: World, _: Mishap, draw: Random) -> None:
    share = draw.uniform(0.2, 1.0)
    world.kafka.network.break_connections(lambda _: draw.random() < share)


KINDS: dict[str, Act] = {
    "kill": _kill,
    "kill twice": _kill_twice,
    "freeze": _freeze,
    "leave": _leave,
    "join": _join,
    "broker down": _broker_down,
    "cut off": _cut,
    "slow link": _slow,
    "connections break": _connections_break,
    "produce faults": _fault_of(PRODUCE),
    "fetch faults": _fault_of(FETCH),
    "coordination faults": _fault_of(COORDINATION),
    "commit faults": _fault_of(COMMITS),
    "look-up faults": _fault_of(LOOK_UPS),
    "any faults": _fault_of(None),
    "coordinator moves": _coordinator_moves,
    "coordinator away": _coordinator_away,
    "commits stuck at join": _commits_stuck_at_join,
    "store away": _store_away,
    "store away at join": _store_away_at_join,
    "store refuses one": _store_refuses_one,
    "store restored": _restore,
    "foreign transaction": _foreign,
    "unreadable records": _unreadable,
    "retention": _truncate,
}
