"""Application ids: one that follows from an idempotency key, and a fresh one. Both have the form of a UUIDv7."""

from uuid import NAMESPACE_URL, UUID, uuid5

# Of all that is derived here; another name would give every key another application.
_KEYS = uuid5(NAMESPACE_URL, "urn:paperless:idempotency-key")
_VERSION, _SEVEN = 0xF000 << 64, 0x7000 << 64
_VARIANT, _RFC_9562 = 0b11 << 62, 0b10 << 62


def id_of_key(key: str) -> str:
    """Return the application id of an idempotency key: the same for the same key, today and after a restart.

    A version 5 UUID (SHA-1 of a namespace and the key, RFC 9562) whose version digit is the contract's 7. So what would
    be its time is none.
    """
    return str(UUID(int=uuid5(_KEYS, key).int & ~_VERSION | _SEVEN))


def fresh_id(now_ms: int, drawn: int) -> str:
    """Return a UUIDv7 (RFC 9562): 48 bits of milliseconds since 1970, then 74 of the 80 bits in `drawn`."""
    low = drawn & (1 << 80) - 1 & ~_VERSION & ~_VARIANT
    return str(UUID(int=(now_ms & (1 << 48) - 1) << 80 | low | _SEVEN | _RFC_9562))
