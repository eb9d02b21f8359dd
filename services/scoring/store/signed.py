"""SQL has no unsigned 64-bit integers: the same bits, read as signed."""

from typing import Final

_HALF: Final = 2**63
_SPAN: Final = 2**64


def signed(value: int) -> int:
    """Return an unsigned 64-bit integer as a signed one."""
    return value - _SPAN if value >= _HALF else value


def unsigned(value: int) -> int:
    """Return the unsigned 64-bit integer that `signed` took."""
    return value + _SPAN if value < 0 else value
