"""Rebuilds a scoring store from the log: scoring's own decoding and transactions, without its consumer group."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from contracts.errors import Reject
from contracts.records import partitions_of
from contracts.topics import APPLICATIONS_DECIDED, LOG_IDENTITY
from domain import Domain, load_domain
from paperless.verification.log_reader import LogReader
from paperless.verification.scoring_client import HEALTH, ask_async
from paperless.verification.verify import live_store
from runtime.log_identity import read_log_identity
from runtime.settings import KafkaAccess
from services.scoring.rollup.cells import Snapshot, difference
from services.scoring.rollup.outcome import decode
from services.scoring.store.errors import StoreRefusesError
from services.scoring.store.store import Positioned, Store

# How long the live store may take to come to where the log ended.
SETTLED_WITHIN_S = 30.0
_POLL_S = 0.5


class ReplayError(RuntimeError):
    """A store cannot be rebuilt there, or not be compared; says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What a replay came to: outcomes read and applied, those refused by reason, and the store's next offsets."""

    outcomes: int
    refused: Mapping[str, int]
    offsets: Mapping[int, int]
    snapshot: Snapshot


def check_fresh(store: Store, *, resume: bool) -> None:
    """Refuse a store that holds anything, unless an interrupted replay is to be continued.

    Raises:
        ReplayError: it does.

    """
    held = store.offsets()
    if held and not resume:
        raise ReplayError(
            f"store {store.url} is not empty: it has read {sum(held.values()):,} records; name another one, or pass"
            " --resume if a replay of this log was interrupted there"
        )


async def replay(access: KafkaAccess, store: Store, progress: Callable[[int, int], None]) -> Replay:
    """Apply `applications.decided` to a store, from where it stands to where each partition ends at first sight.

    Interrupted between two transactions it can be continued, and done again it finds nothing to do.

    Args:
        access: the broker, as a user who may read that topic and the log's identity.
        store: where to; it becomes this log's.
        progress: called with how many records are read, of how many.

    Raises:
        ReplayError: the log has no identity or no topics.
        StoreError: the store is of another log, or does not take what is written.

    """
    async with LogReader(access) as log:
        partitions = await log.partitions(APPLICATIONS_DECIDED.name)
        identity = await read_log_identity(access, LOG_IDENTITY) if partitions else None
        if identity is None:
            raise ReplayError(f"broker {access.kafka_servers}: no log with an identity; run `paperless topics`")
        store.bind_log(identity)
        begun = store.offsets()
        rebuilder, domain, read = _Rebuilder(store), load_domain(), 0
        starts = {number: begun.get(number, 0) for number in range(partitions)}
        async for piece in log.until_now(APPLICATIONS_DECIDED.name, starts):
            if piece.records:
                batch = list(_decoded(piece.records, partitions, domain, rebuilder.refused))
                advance = {piece.partition: piece.records[-1].offset + 1}
                # In a thread, so that Ctrl-C is not held up, and never in the middle of a transaction.
                await asyncio.shield(asyncio.to_thread(rebuilder.apply, batch, advance))
            read += len(piece.records)
            progress(read, piece.total)
    refused = dict(rebuilder.refused)
    return Replay(
        outcomes=read - sum(refused.values()), refused=refused, offsets=store.offsets(), snapshot=store.snapshot()
    )


def _decoded(records: Sequence[Any], partitions: int, domain: Domain, refused: Counter[str]) -> Iterable[Positioned]:
    """Yield what scoring would count of these records, and count by reason what it would refuse."""
    key_partitions = partitions_of([record.key or b"" for record in records], partitions)
    for record, key_partition in zip(records, key_partitions, strict=True):
        try:
            outcome = decode(record, partitions, domain, key_partition=key_partition)
        except Reject as reject:
            refused[reject.reason] += 1
        else:
            yield record.partition, record.offset, outcome


class _Rebuilder:
    def __init__(self, store: Store) -> None:
        self._store = store
        self.refused: Counter[str] = Counter()

    def apply(self, batch: Sequence[Positioned], advance: Mapping[int, int]) -> None:
        """Apply a batch; an outcome that the store has no place for is found by halving, and left out."""
        try:
            self._store.apply(batch, advance)
        except StoreRefusesError:
            if len(batch) > 1:
                half = len(batch) // 2
                self.apply(batch[:half], {})
                self.apply(batch[half:], advance)
            else:
                self.refused["store_refuses"] += len(batch)
                self._store.apply([], advance)


async def compared(
    access: KafkaAccess, store: Store, api: httpx.AsyncClient, progress: Callable[[int, int], None]
) -> tuple[Replay, list[str]]:
    """Return what a replay came to, and in what the live store differs from it: nothing, if both are of one log.

    Raises:
        ReplayError: outcomes keep coming, so that the two are never at the same place.
        VerifyError: the live store cannot be asked, or has closed months.

    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + SETTLED_WITHIN_S
    rebuilt = await replay(access, store, progress)
    while True:
        before = (await ask_async(api, HEALTH)).next_offsets
        live = await live_store(api)
        after = (await ask_async(api, HEALTH)).next_offsets
        if before == after == rebuilt.offsets:
            return rebuilt, list(map(str, difference(live.snapshot, rebuilt.snapshot)))
        if loop.time() > deadline:
            raise ReplayError(f"the live store is at {after}, the replay at {rebuilt.offsets}: compare them at rest")
        await asyncio.sleep(_POLL_S)
        again = await replay(access, store, progress)
        refused = Counter(rebuilt.refused) + Counter(again.refused)
        rebuilt = Replay(
            outcomes=rebuilt.outcomes + again.outcomes,
            refused=dict(refused),
            offsets=again.offsets,
            snapshot=again.snapshot,
        )
