"""A value as a person reads and changes it: pretty printed, in hexadecimal, changed at a path, compared."""

import json
import re
import textwrap
from collections.abc import Iterable, Sequence
from difflib import unified_diff
from functools import partial
from itertools import islice, product
from typing import Any, NamedTuple

from paperless.dead_letters.errors import DeadLetterError

# More of it helps nobody at a terminal; JSON has all.
MAX_SHOWN_BYTES = 16 * 1024
HEX_SHOWN_BYTES = 512
_AROUND = 30
MAX_READINGS = 64
_JSON_PLACE = re.compile(r"at line (\d+) column (\d+)")


class Change(NamedTuple):
    """A value to put at a path of a document; a step is a name, or an index of an array."""

    path: tuple[str, ...]
    value: Any


def readings(assignments: Sequence[str]) -> list[tuple[Change, ...]]:
    """Return what assignments `path=value` may mean, steps parted by dots: each value as JSON, or as text.

    Of `province=79` the contract knows whether a number or a text is meant.

    Raises:
        DeadLetterError: one has no path.

    """
    return list(islice(product(*map(_reading, assignments)), MAX_READINGS))


def _reading(assignment: str) -> list[Change]:
    path, equals, text = assignment.partition("=")
    steps = tuple(path.split("."))
    if not equals or not all(steps):
        raise DeadLetterError(f"--set {assignment!r}: write PATH=VALUE, for example components.to_khai=upload")
    as_text = Change(steps, text)
    try:
        return [Change(steps, json.loads(text)), as_text]
    except ValueError:
        return [as_text]


def document_of(value: bytes | None) -> Any:
    """Return the JSON document of a value.

    Raises:
        ValueError: it has none.

    """
    return json.loads((value or b"").decode("utf-8", errors="strict"))


def written(document: Any) -> bytes:
    """Return a document as a value, the same bytes for the same content."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def changed(document: Any, changes: Iterable[Change]) -> Any:
    """Return a copy of a document with values put at paths; all but a path's last step must be there.

    Raises:
        DeadLetterError: a path leads nowhere.

    """
    copy = json.loads(json.dumps(document))
    for path, value in changes:
        parent = copy
        for place, step in enumerate(path[:-1], start=1):
            parent = _at(parent, step, path[:place])
        _put(parent, path, value)
    return copy


def _at(parent: Any, step: str, path: Sequence[str]) -> Any:
    try:
        return parent[int(step)] if isinstance(parent, list) else parent[step]
    except (KeyError, IndexError, ValueError, TypeError):
        raise DeadLetterError(f"--set {'.'.join(path)}: the document has no such place") from None


def _put(parent: Any, path: Sequence[str], value: Any) -> None:
    if isinstance(parent, list):
        _at(parent, path[-1], path)
        parent[int(path[-1])] = value
    elif isinstance(parent, dict):
        parent[path[-1]] = value
    else:
        raise DeadLetterError(f"--set {'.'.join(path)}: the document has no such place")


def difference(before: bytes | None, after: bytes) -> list[str]:
    """Return the lines in which two values differ, with a line around each."""
    lines = unified_diff(pretty(before), pretty(after), "refused", "repaired", lineterm="", n=1)
    return [line for line in lines if not line.startswith("@@")]


def pretty(value: bytes | None) -> list[str]:
    """Return a value's lines: JSON indented, other text as it is, everything else in hexadecimal.

    No character of it can command a terminal.
    """
    if value is None:
        return ["null (a tombstone)"]
    try:
        return _cut(json.dumps(document_of(value), ensure_ascii=False, indent=2))
    except (ValueError, RecursionError):
        pass
    try:
        return _cut(value.decode())
    except UnicodeDecodeError:
        return hexadecimal(value)


_wrap = partial(textwrap.wrap, width=76, replace_whitespace=False, drop_whitespace=False)


def _cut(text: str) -> list[str]:
    lines = [piece for line in text[:MAX_SHOWN_BYTES].splitlines() for piece in _wrap(printable(line)) or [""]]
    left_out = len(text) - MAX_SHOWN_BYTES
    return [*lines, f"… {left_out:,} more characters: --json has them all"] if left_out > 0 else lines


def hexadecimal(value: bytes) -> list[str]:
    """Return the first bytes as offset, hexadecimal digits and ASCII, 16 a line."""
    shown = value[:HEX_SHOWN_BYTES]
    pieces = ((start, shown[start : start + 16]) for start in range(0, len(shown), 16))
    lines = [f"{start:06x}  {piece.hex(' '):<47}  {_ascii(piece)}" for start, piece in pieces]
    left_out = len(value) - len(shown)
    return [*lines, f"… {left_out:,} more bytes: --json has them all"] if left_out else lines


def _ascii(piece: bytes) -> str:
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in piece)


def printable(text: str) -> str:
    """Return a text in which what is not meant to be seen is written as an escape."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def place_of(detail: str, value: bytes | None) -> list[str]:
    """Return what the value has at the place that a refusal's detail names; empty where it names none."""
    at = _JSON_PLACE.search(detail)
    if at and value:
        return _excerpt(value, int(at[1]), int(at[2]))
    path, colon, _ = detail.partition(": ")
    if not colon or path == "value":
        return []
    try:
        place = document_of(value)
        for step in path.split("."):
            place = _at(place, step, ())
    except (ValueError, RecursionError):
        return []
    except DeadLetterError:
        return [f"{printable(path)}: not in the document"]
    return [f"{printable(path)} = {printable(json.dumps(place, ensure_ascii=False))[:200]}"]


def _excerpt(value: bytes, line: int, column: int) -> list[str]:
    """Return the text around a place of a value, and a mark below it; columns count bytes from 1."""
    lines = value.splitlines()
    bad = lines[line - 1] if 0 < line <= len(lines) else b""
    before = printable(bad[max(column - 1 - _AROUND, 0) : column - 1].decode(errors="replace"))
    after = printable(bad[column - 1 : column - 1 + _AROUND].decode(errors="replace"))
    return [before + after, " " * len(before) + "^"]
