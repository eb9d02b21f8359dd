"""How an event becomes a Kafka record and back: partition, headers, decoding, and the check that they agree.

Headers are CloudEvents 1.0 attributes in Kafka's binary mode: the four that the standard requires, and no more bytes.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b
from struct import Struct, unpack_from
from typing import NamedTuple, Protocol, TypeVar

from pydantic import ValidationError

from contracts.decoding import event_of
from contracts.errors import Misplaced, Reject
from contracts.events import APPLICATION_ID_PATTERN, Event
from contracts.topics import MAX_RECORD_BYTES

Headers = list[tuple[str, bytes]]
_APPLICATION_ID = re.compile(APPLICATION_ID_PATTERN.encode())
# Also in what is no JSON.
_NAMED = re.compile(rb'"application_id"\s*:\s*"(' + APPLICATION_ID_PATTERN.encode()[1:-1] + rb')"')
E = TypeVar("E", bound=Event)


# MurmurHash2 (32 bits) with Kafka's seed.
_FACTOR, _SEED = 0x5BD1E995, 0x9747B28C
_WORD, _POSITIVE = 0xFFFFFFFF, 0x7FFFFFFF
# An application id as text: nine words.
KEY_BYTES = 36
_KEY_WORDS = KEY_BYTES // 4
# Fewer keys are cheaper one by one, and of more than a block the integers no longer fit the nearest cache.
_FEW, _BLOCK = 4, 256


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a key as Kafka's clients choose it: murmur2, without its sign, modulo the count.

    About 4 µs, so whoever has many keys asks `partitions_of`.
    """
    factor, mask, words = _FACTOR, _WORD, len(key) // 4
    h = _SEED ^ len(key)
    for word in unpack_from(f"<{words}I", key):
        k = word * factor & mask
        h = (h * factor ^ (k ^ k >> 24) * factor) & mask
    if words * 4 < len(key):
        h = (h ^ int.from_bytes(key[words * 4 :], "little")) * factor & mask
    h = (h ^ h >> 13) * factor & mask
    return ((h ^ h >> 15) & _POSITIVE) % partitions


def partitions_of(keys: Sequence[bytes], partitions: int) -> list[int]:
    """Return the partition of each key; of application ids about 1 µs a key from 40 keys on."""
    if len(keys) < _FEW or {*map(len, keys)} != {KEY_BYTES}:
        return [partition_of(key, partitions) for key in keys]
    hashes: list[int] = []
    for start in range(0, len(keys), _BLOCK):
        hashes += _hashes_of(keys[start : start + _BLOCK])
    return [(each & _POSITIVE) % partitions for each in hashes]


def _hashes_of(keys: Sequence[bytes]) -> tuple[int, ...]:
    """Return murmur2 of keys of nine words.

    One long integer holds a word of every key, 64 bits apart, so each step of the hash is taken for all of them by one
    operation of Python.
    """
    lanes = _lanes(len(keys))
    words = lanes.words.unpack(b"".join(keys))
    h = lanes.seed
    for place in range(_KEY_WORDS):
        k = int.from_bytes(lanes.hashes.pack(*words[place::_KEY_WORDS]), "little") * _FACTOR & lanes.mask
        h = (h * _FACTOR ^ (k ^ k >> 24 & lanes.low_8) * _FACTOR) & lanes.mask
    h = (h ^ h >> 13 & lanes.low_19) * _FACTOR & lanes.mask
    h ^= h >> 15 & lanes.low_17
    return lanes.hashes.unpack(h.to_bytes(8 * len(keys), "little"))


def key_partitions(records: Iterable["Keyed"], partitions: int) -> dict[bytes | None, int]:
    """Return the partition of each record's key, by the key."""
    keys = [record.key or b"" for record in records]
    return dict(zip(keys, partitions_of(keys, partitions), strict=True))


class _Lanes(NamedTuple):
    """Constants repeated for a number of keys, 64 bits apart: a product of two words does not reach the next lane."""

    words: Struct
    hashes: Struct
    seed: int
    mask: int
    low_8: int
    low_17: int
    low_19: int


@lru_cache(maxsize=_BLOCK)
def _lanes(keys: int) -> _Lanes:
    def repeated(word: int) -> int:
        return int.from_bytes(word.to_bytes(8, "little") * keys, "little")

    words, hashes = Struct(f"<{_KEY_WORDS * keys}I"), Struct(f"<{keys}Q")
    seeds_and_masks = map(repeated, (_SEED ^ KEY_BYTES, _WORD, 2**8 - 1, 2**17 - 1, 2**19 - 1))
    return _Lanes(words, hashes, *seeds_and_masks)


def short_digest(value: bytes) -> str:
    """Return 16 hexadecimal digits that name a record's value (64 bits of blake2b)."""
    return blake2b(value, digest_size=8).hexdigest()


def header_maker(source: str, event_type: str) -> Callable[[str], Headers]:
    """Return a function of the event id that gives a record's headers.

    An event id is derived from the application and the step, so the same step produced twice carries the same id.

    Args:
        source: the producing service, for example `/services/intake`.
        event_type: topic and version, for example `applications.decided.v1`.

    """
    constant: Headers = [
        ("ce_specversion", b"1.0"),
        ("ce_source", source.encode()),
        ("ce_type", event_type.encode()),
    ]

    def headers(event_id: str) -> Headers:
        return [*constant, ("ce_id", event_id.encode())]

    return headers


class Keyed(Protocol):
    """What decoding reads of a record: its partition, its key and its value."""

    @property
    def partition(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


def decode_event(record: Keyed, payload: type[E], partitions: int, *, key_partition: int | None = None) -> E:
    """Return the event of a record, as `event_of` or pydantic reads it.

    Args:
        record: as the log has it.
        payload: what its value must be.
        partitions: the partition count of the log.
        key_partition: the partition of the record's key, where it is known (`partitions_of`).

    Raises:
        Reject: `tombstone` (no value), `too_large`, `not_json`, `breaks_contract` (names the first wrong field).
        Misplaced: a `Reject` as `key_mismatch`: key, value and partition do not name one application.

    """
    value = record.value
    if value is None:
        raise Reject("tombstone", "value: null; an application cannot be deleted")
    if len(value) > MAX_RECORD_BYTES:
        raise Reject("too_large", f"value: {len(value)} bytes, the limit is {MAX_RECORD_BYTES}")
    event = event_of(value, payload) or _validated(value, payload)
    application_id: str = event.application_id  # type: ignore[attr-defined]
    key = application_id.encode()
    if record.key != key:
        place = f"on partition {record.partition}"
        raise Misplaced(f"value: {application_id}, key: {_named(record.key)}, {place}", event)
    check_partition(record, event, partition_of(key, partitions) if key_partition is None else key_partition)
    return event


def _validated(value: bytes, payload: type[E]) -> E:
    try:
        return payload.model_validate_json(value)
    except ValidationError as error:
        raise broken(error) from error


def check_partition(record: Keyed, event: Event, key_partition: int) -> None:
    """Hold a record's partition against that of its key.

    Raises:
        Misplaced: they are two.

    """
    if key_partition != record.partition:
        name = event.application_id  # type: ignore[attr-defined]
        raise Misplaced(f"key: {name} belongs on partition {key_partition}, not on {record.partition}", event)


def application_of(key: bytes | None, value: bytes | None) -> str | None:
    """Return the application that a record is of, however broken it is: as its value names it, else its key.

    Only an application id is returned, which is surely not personal; None where neither has one.
    """
    named = _NAMED.search(value) if value else None
    if named:
        return named[1].decode()
    return key.decode() if key and _APPLICATION_ID.fullmatch(key) else None


def _named(key: bytes | None) -> str:
    """Return a key as a refusal may show it: only an application id is surely not personal."""
    if key is None:
        return "none"
    return key.decode() if _APPLICATION_ID.fullmatch(key) else f"{len(key)} bytes that are no application id"


def broken(error: ValidationError) -> Reject:
    """Return the refusal that names the first field which breaks the contract; values are left out (personal data)."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return Reject("not_json", f"value: {first['msg']}")
    place = ".".join(map(str, first["loc"])) or "value"
    return Reject("breaks_contract", f"{place}: {first['msg']}")
