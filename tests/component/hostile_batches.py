"""Batches as bytes, and all that may be wrong with one below its records: codec, check sum, counts, offsets, marks."""

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from aiokafka.record import util
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder

from contracts.errors import UNREADABLE
from contracts.events import MAX_INTEGER

# What becomes of a record that is no dead letter: it is decided, or its reader never gets it.
GOOD, PASSED = "good", "passed over"
# Where a batch has its check sum, attributes, last offset's distance, record count and records.
_CRC, _ATTRIBUTES, _LAST_DELTA, _COUNT, _BODY = 17, 21, 23, 57, 61


class Hostile(NamedTuple):
    """A record; `verdict` is the reason of its dead letter, `GOOD` or `PASSED`."""

    kind: str
    verdict: str
    application: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    timestamp: int = 0


class Fate(NamedTuple):
    """What becomes of a record: `delta` is its offset from its batch's first."""

    delta: int
    kind: str
    verdict: str
    application: str


def built(records: Sequence[Hostile], codec: int = 0, deltas: Sequence[int] | None = None) -> bytes:
    """Return the batch of some records; `deltas` are their offsets from the first."""
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 10_000_000)
    for number, record in zip(deltas or range(len(records)), records, strict=False):
        builder.append(number, record.timestamp, record.key, record.value, record.headers)
    data = bytes(builder.build())
    return data if deltas is None else _with(data, _LAST_DELTA, ">i", max(deltas))


def _checked(data: bytes) -> bytes:
    changed = bytearray(data)
    struct.pack_into(">I", changed, _CRC, util.calc_crc32c(bytes(changed[_ATTRIBUTES:])))
    return bytes(changed)


def _with(data: bytes, at: int, fmt: str, number: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into(fmt, changed, at, number)
    return _checked(bytes(changed))


def _attributes(data: bytes, added: int) -> bytes:
    return _with(data, _ATTRIBUTES, ">h", struct.unpack_from(">h", data, _ATTRIBUTES)[0] | added)


def _body(data: bytes, body: bytes) -> bytes:
    return _with(data[:_BODY] + body, 8, ">i", _BODY + len(body) - 12)


def _legacy(magic: int, codec: int = 0) -> bytes:
    builder = LegacyRecordBatchBuilder(magic, codec, 100_000)
    for number in range(3 if codec else 1):
        builder.append(number, 1 if magic else None, b"key", b"{}" * 50)
    return bytes(builder.build())


Fates = Callable[[Sequence[Hostile]], list[Fate]]


def _at(*deltas: int) -> Fates:
    """Records are read at these offsets from the batch's first; what is left over nobody is given."""
    return lambda records: [
        Fate(delta, each.kind, each.verdict, each.application) for delta, each in zip(deltas, records, strict=False)
    ]


def as_they_are(records: Sequence[Hostile]) -> list[Fate]:
    return _at(*range(len(records)))(records)


def _unreadable_from(first: int) -> Fates:
    return lambda records: [
        fate if fate.delta < first else fate._replace(verdict=UNREADABLE) for fate in as_they_are(records)
    ]


def _passed(records: Sequence[Hostile]) -> list[Fate]:
    return [fate._replace(verdict=PASSED) for fate in as_they_are(records)]


ALL_UNREADABLE = _unreadable_from(0)
TANSU, KFAKE, KAFKA = "tansu", "kfake", "kafka"
EVERY, CHECKING = frozenset({TANSU, KFAKE, KAFKA}), frozenset({KFAKE, KAFKA})
ONLY_KAFKA, ONLY_TANSU = frozenset({KAFKA}), frozenset({TANSU})
NOBODY: frozenset[str] = frozenset()


class BatchKind(NamedTuple):
    """What is done to a batch of three, what becomes of its records, and which brokers refuse it.

    `hangs` are brokers that take it and answer no more: Tansu counts on as many records as offsets.
    """

    write: Callable[[Sequence[Hostile]], bytes]
    fates: Fates
    refused_by: frozenset[str] = NOBODY
    hangs: frozenset[str] = NOBODY


def _named(records: Sequence[Hostile], number: int) -> bytes:
    """Give one record of a batch a header whose name is not UTF-8."""
    marked = [
        record._replace(headers=[("a-name", b"v")]) if at == number else record for at, record in enumerate(records)
    ]
    return _checked(built(marked).replace(b"a-name", b"\xff\xfename", 1))


_CODEC_NAMES = {1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}


def _none_at_all(codec: int) -> BatchKind:
    return BatchKind(lambda r: _body(_attributes(built(r), codec), b"garbage!" * 9), ALL_UNREADABLE, ONLY_KAFKA)


def _cut(codec: int) -> BatchKind:
    return BatchKind(lambda r: _body(data := built(r, codec), data[_BODY:-9]), ALL_UNREADABLE, ONLY_KAFKA)


def _broken_codecs() -> Iterator[tuple[str, BatchKind]]:
    for codec, name in _CODEC_NAMES.items():
        yield f"{name} that is none", _none_at_all(codec)
        yield f"{name} that is cut", _cut(codec)


def _first(fates: Fates) -> Fates:
    return lambda records: fates(records[:1])


BATCHES: dict[str, BatchKind] = {
    "a first header name that is not UTF-8": BatchKind(lambda r: _named(r, 0), ALL_UNREADABLE),
    "a last header name that is not UTF-8": BatchKind(lambda r: _named(r, 2), _unreadable_from(2)),
    "codec 5": BatchKind(lambda r: _attributes(built(r), 5), as_they_are, EVERY, ONLY_TANSU),
    "codec 7": BatchKind(lambda r: _attributes(built(r), 7), as_they_are, EVERY, ONLY_TANSU),
    "a wrong check sum": BatchKind(lambda r: (d := built(r))[:-1] + bytes([d[-1] ^ 1]), ALL_UNREADABLE, CHECKING),
    **dict(_broken_codecs()),
    "a record too many counted": BatchKind(
        lambda r: _with(built(r), _COUNT, ">i", 4), as_they_are, CHECKING, ONLY_TANSU
    ),
    "2^31 - 1 counted": BatchKind(
        lambda r: _with(built(r), _COUNT, ">i", MAX_INTEGER), as_they_are, CHECKING, ONLY_TANSU
    ),
    "a record too few counted": BatchKind(
        lambda r: _with(built(r), _COUNT, ">i", 2), _unreadable_from(2), CHECKING, ONLY_TANSU
    ),
    "-1 counted": BatchKind(lambda r: _with(built(r), _COUNT, ">i", -1), ALL_UNREADABLE, CHECKING, ONLY_TANSU),
    "none counted": BatchKind(lambda r: _with(built(r), _COUNT, ">i", 0), ALL_UNREADABLE, CHECKING, ONLY_TANSU),
    "offsets beyond its records": BatchKind(
        lambda r: _with(built(r), _LAST_DELTA, ">i", 7), as_they_are, CHECKING, ONLY_TANSU
    ),
    "bytes behind the last record": BatchKind(
        lambda r: _body((d := built(r)), d[_BODY:] + b"xyz"), as_they_are, ONLY_KAFKA
    ),
    "a cut varint": BatchKind(
        lambda r: _body((d := built(r[:1])), d[_BODY : _BODY + 9]), _first(ALL_UNREADABLE), ONLY_KAFKA
    ),
    "an endless varint": BatchKind(lambda r: _body(built(r[:1]), b"\xff" * 40), _first(ALL_UNREADABLE), ONLY_KAFKA),
    "a key of 2 GiB": BatchKind(
        lambda r: _body(built(r[:1]), b"\x1e\0\0\0\xfe\xff\xff\xff\x0f" + b"x" * 10), _first(ALL_UNREADABLE), ONLY_KAFKA
    ),
    "more headers than it has": BatchKind(
        lambda r: _body((d := built([r[0]._replace(headers=[])])), d[_BODY:-1] + b"\x7e"),
        _first(ALL_UNREADABLE),
        ONLY_KAFKA,
    ),
    "times before 1970": BatchKind(lambda r: built([each._replace(timestamp=-5) for each in r]), as_they_are),
    "times in the far future": BatchKind(lambda r: built([each._replace(timestamp=2**62) for each in r]), as_they_are),
    "times of years ago": BatchKind(lambda r: built([each._replace(timestamp=2**40) for each in r]), as_they_are),
    "a marker that a client writes": BatchKind(
        lambda r: _attributes(built([r[0]._replace(key=bytes(4))]), 0x20), _first(_passed), CHECKING
    ),
    "a marker without key": BatchKind(
        lambda r: _attributes(built([r[0]._replace(key=None)]), 0x20), _first(ALL_UNREADABLE), CHECKING
    ),
    "of no transaction": BatchKind(lambda r: _attributes(built(r), 0x10), as_they_are, CHECKING),
    "attributes that are not used": BatchKind(lambda r: _attributes(built(r), 0x4000), as_they_are),
    "format 3": BatchKind(lambda r: _with(built(r), 16, ">b", 3), as_they_are, CHECKING),
    "format 1": BatchKind(lambda _: _legacy(1), as_they_are, EVERY),
    "format 0": BatchKind(lambda _: _legacy(0), as_they_are, EVERY),
    "format 1, gzip": BatchKind(lambda _: _legacy(1, 1), as_they_are, EVERY),
    "an offset of its own": BatchKind(lambda r: _with(built(r), 0, ">q", 77), as_they_are, CHECKING),
    "a length below its header": BatchKind(lambda r: _with(built(r), 8, ">i", 20), as_they_are, EVERY),
    "no bytes": BatchKind(lambda _: b"", as_they_are, EVERY),
    "nothing but zeros": BatchKind(lambda _: bytes(_BODY), as_they_are, EVERY),
    "two batches in one": BatchKind(lambda r: built(r[:1]) + built(r[1:]), as_they_are, CHECKING, ONLY_TANSU),
    "one offset for all": BatchKind(lambda r: _with(built(r, deltas=(0, 0, 0)), _LAST_DELTA, ">i", 2), _at(0)),
    "offsets that fall": BatchKind(lambda r: built(r, deltas=(2, 1, 0)), _at(2)),
    "offsets with gaps": BatchKind(lambda r: built(r, deltas=(0, 5, 9)), _at(0, 5, 9), CHECKING, ONLY_TANSU),
}
