"""Holding what was decoded against an event; a decoded value has its fields, not its type."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel


def same(read: Any, validated: Any) -> bool:
    """Whether two values read alike, down to the fields of their parts and the spelling of their times."""
    if isinstance(validated, tuple):
        pairs = zip(read, validated, strict=True)
        return type(read) is tuple and len(read) == len(validated) and all(same(*pair) for pair in pairs)
    if isinstance(validated, datetime):
        return isinstance(read, datetime) and read.isoformat() == validated.isoformat()
    names = type(validated).model_fields if isinstance(validated, BaseModel) else getattr(validated, "__slots__", ())
    if names:
        return all(same(getattr(read, name), getattr(validated, name)) for name in names)
    if isinstance(validated, dict):
        return type(read) is dict and [*read.items()] == [*validated.items()]
    return type(read) is type(validated) and bool(read == validated)
