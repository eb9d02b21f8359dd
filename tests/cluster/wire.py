"""Kafka's requests and answers as bytes, by aiokafka's own tables; one version of each."""

import struct
from functools import lru_cache
from io import BytesIO
from typing import Any, NamedTuple

from aiokafka.protocol import admin, commit, coordination, fetch, group, metadata, offset, produce, transaction

_REQUESTS = (
    produce.ProduceRequest_v7,
    fetch.FetchRequest_v4,
    offset.OffsetRequest_v2,
    metadata.MetadataRequest_v5,
    commit.OffsetCommitRequest_v3,
    commit.OffsetFetchRequest_v3,
    coordination.FindCoordinatorRequest_v1,
    group.JoinGroupRequest_v5,
    group.HeartbeatRequest_v1,
    group.LeaveGroupRequest_v1,
    group.SyncGroupRequest_v3,
    admin.ApiVersionRequest_v0,
    transaction.InitProducerIdRequest_v0,
)
_BY_KEY: dict[int, Any] = {request.API_KEY: request for request in _REQUESTS}
_HEADER = struct.Struct(">hhi")
_LENGTH = struct.Struct(">i")
# So many requests, and so many answers, are kept.
REMEMBERED = 512


class Request(NamedTuple):
    """A request of a client: its kind as Kafka calls it (`Fetch`, `JoinGroup`), and its fields."""

    kind: str
    correlation: int
    client: str
    body: Any


def api_versions() -> tuple[tuple[int, int, int], ...]:
    """Return key, lowest and highest version of every request that is answered."""
    return tuple((key, request.API_VERSION, request.API_VERSION) for key, request in sorted(_BY_KEY.items()))


def decode(frame: bytes) -> Request:
    """Return the request of a frame that has its length in front."""
    key, version, correlation = _HEADER.unpack_from(frame, _LENGTH.size)
    kind = _BY_KEY[key]
    if version != kind.API_VERSION:
        raise ValueError(f"{kind.__name__} is answered, version {version} was asked for")
    name, client, body = _decoded(kind, frame[_LENGTH.size + _HEADER.size :])
    return Request(name, correlation, client, body)


# Who waits asks for the same again and again, and is told the same.
@lru_cache(maxsize=REMEMBERED)
def _decoded(kind: Any, data: bytes) -> tuple[str, str, Any]:
    buffer = BytesIO(data)
    (length,) = struct.unpack(">h", buffer.read(2))
    client = buffer.read(max(0, length)).decode()
    return kind.__name__.rpartition("Request")[0], client, kind.decode(buffer)


def encode(request: Request, *fields: Any) -> bytes:
    """Return the frame of an answer with these fields, in the order of Kafka's table; lists are written as tuples."""
    message = _encoded(type(request.body).RESPONSE_TYPE, fields)
    return _LENGTH.pack(len(message) + _LENGTH.size) + _LENGTH.pack(request.correlation) + message


@lru_cache(maxsize=REMEMBERED)
def _encoded(kind: Any, fields: tuple[Any, ...]) -> bytes:
    message: bytes = kind(*fields).encode()
    return message
