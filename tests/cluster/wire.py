"""Kafka's requests and answers as bytes, by aiokafka's own tables; one version of each."""

import struct
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


class Request(NamedTuple):
    """A request of a client: its kind as Kafka calls it (`Fetch`, `JoinGroup`), and its fields."""

    kind: str
    correlation: int
    client: str
    body: Any


def api_versions() -> list[tuple[int, int, int]]:
    """Return key, lowest and highest version of every request that is answered."""
    return [(key, request.API_VERSION, request.API_VERSION) for key, request in sorted(_BY_KEY.items())]


def decode(frame: bytes) -> Request:
    """Return the request of a frame that has its length in front."""
    buffer = BytesIO(frame[_LENGTH.size :])
    key, version, correlation = _HEADER.unpack(buffer.read(_HEADER.size))
    kind = _BY_KEY[key]
    if version != kind.API_VERSION:
        raise ValueError(f"{kind.__name__} is answered, version {version} was asked for")
    (length,) = struct.unpack(">h", buffer.read(2))
    client = buffer.read(max(0, length)).decode()
    name = kind.__name__.rpartition("Request")[0]
    return Request(name, correlation, client, kind.decode(buffer))


def encode(request: Request, *fields: Any) -> bytes:
    """Return the frame of an answer with these fields, in the order of Kafka's table."""
    message: bytes = _LENGTH.pack(request.correlation) + type(request.body).RESPONSE_TYPE(*fields).encode()
    return _LENGTH.pack(len(message)) + message
