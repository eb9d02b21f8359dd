"""Reads the JSON of an event by msgspec where that comes to what pydantic reads, at half of the cost.

`contracts.events` alone says what an event is: from each one a msgspec struct is made, with its fields, types and
bounds. Texts are held to the model's patterns, times to how our services write them. What does not fit is None here,
and pydantic's to read or to refuse, so every refusal and its wording are pydantic's. What fits has the value that
pydantic would give it: `tests/unit/test_decoding.py` holds the two against each other.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime
from types import GenericAlias
from typing import Annotated, Any, Final, TypeVar

import msgspec
from pydantic import TypeAdapter

from contracts.events import (
    ApplicationDecided,
    ApplicationSubmitted,
    CorrectionRequested,
    DecidedComponent,
    DocumentAnswer,
    DocumentsProvided,
    DocumentsRequested,
    Event,
    RequestedDocument,
    Slug,
)

E = TypeVar("E", bound=Event)
Fit = Callable[[Any], None]
Struct = type[msgspec.Struct]

# A day has 86,400 times; a flood of others must not fill the memory.
MOST_REMEMBERED: Final = 100_000
# What msgspec and pydantic raise for a value, and msgspec for one that is nested too deep.
_UNFIT: Final = (msgspec.MsgspecError, ValueError, RecursionError)
_BOUNDS: Final = ("ge", "le", "min_length", "max_length")


def event_of(value: bytes, payload: type[E]) -> E | None:
    """Return what reads like the event of a record's value, None where only pydantic knows whether it is one.

    It has the fields of `payload` with equal values, and is only to be read: it cannot be dumped, copied or compared.
    """
    decode, fit = _READERS[payload]
    try:
        event: E = decode(value)
        fit(event)
    except _UNFIT:
        return None
    return event


class Remembered(dict[str, Any]):
    """What a text stands for, worked out once for each; `read` raises `ValueError` for what it does not read."""

    def __init__(self, read: Callable[[str], Any]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, text: str) -> Any:
        """Return the meaning of a text that was not asked for before, or was forgotten."""
        meaning = self._read(text)
        if len(self) >= MOST_REMEMBERED:
            self.clear()
        self[text] = meaning
        return meaning


def _time_of(text: str) -> datetime:
    """Return a time as our services write it; pydantic knows other spellings, and cuts what msgspec would round."""
    at = datetime.fromisoformat(text)
    if at.isoformat() != text or not text.endswith("+07:00"):
        raise ValueError(text)
    return at


_TIMES: Final = Remembered(_time_of)
_check_slug: Final = Remembered(TypeAdapter(Slug).validate_python).__getitem__


def _matching(payload: type[Event], *names: str) -> Callable[[str], object]:
    """Return what tells whether these texts, a line each, match the patterns of their fields."""
    return re.compile(r"\n".join(_notes(payload, name)["pattern"][1:-1] for name in names)).fullmatch


def _notes(payload: type[Event], name: str) -> dict[str, Any]:
    """Return what a field's annotation says of it: bounds, and a text's pattern."""
    notes = payload.model_fields[name].metadata
    return {
        key: value for note in notes for key in (*_BOUNDS, "pattern") if (value := getattr(note, key, None)) is not None
    }


def _event_struct(payload: type[Event], **kinds: Any) -> Struct:
    """Return a struct with the fields, types, bounds and defaults of an event; some are of other `kinds`."""
    described: list[Any] = []
    for name, field in payload.model_fields.items():
        bounds = {key: value for key, value in _notes(payload, name).items() if key != "pattern"}
        kind: Any = Annotated[kinds.get(name, field.annotation), msgspec.Meta(**bounds)]
        described.append((name, kind) if field.is_required() else (name, kind, field.default))
    return _struct(payload, described)


def _part_struct(part: type[Any], **kinds: Any) -> Struct:
    """Return a struct with the fields of a part of an event, all required."""
    return _struct(part, [(field.name, kinds.get(field.name, field.type)) for field in fields(part)])


def _struct(described: type[Any], fields: list[Any]) -> Struct:
    # What pydantic ignores msgspec would only skim, so it must be nothing.
    return msgspec.defstruct(described.__name__, fields, forbid_unknown_fields=True, gc=False)


def _many(struct: Struct) -> Any:
    return GenericAlias(tuple, (struct, ...))


def _submitted() -> tuple[Struct, Fit]:
    names = "application_id", "dossier_code", "citizen_number", "province", "commune", "home_province", "procedure"
    matches = _matching(ApplicationSubmitted, *names)

    def fit(event: Any) -> None:
        if not matches(
            f"{event.application_id}\n{event.dossier_code}\n{event.citizen_number}\n{event.province}\n{event.commune}\n"
            f"{event.home_province}\n{event.procedure}"
        ):
            raise ValueError(event)
        for slug in event.components:
            _check_slug(slug)
        event.submitted_at = _TIMES[event.submitted_at]
        if event.filed_before_at is not None:
            event.filed_before_at = _TIMES[event.filed_before_at]

    return _event_struct(ApplicationSubmitted, submitted_at=str, filed_before_at=str | None), fit


def _requested() -> tuple[Struct, Fit]:
    matches = _matching(DocumentsRequested, "application_id", "citizen_number", "procedure", "province")

    def fit(event: Any) -> None:
        if not matches(f"{event.application_id}\n{event.citizen_number}\n{event.procedure}\n{event.province}"):
            raise ValueError(event)
        for document in event.documents:
            _check_slug(document.component)
            for database in document.databases:
                _check_slug(database)
        event.as_of = _TIMES[event.as_of]
        if event.filed_before_at is not None:
            event.filed_before_at = _TIMES[event.filed_before_at]

    documents = _many(_event_struct(RequestedDocument))
    return _event_struct(DocumentsRequested, documents=documents, as_of=str, filed_before_at=str | None), fit


def _provided() -> tuple[Struct, Fit]:
    matches = _matching(DocumentsProvided, "application_id")

    def fit(event: Any) -> None:
        if not matches(event.application_id):
            raise ValueError(event)
        for answer in event.answers:
            _check_slug(answer.component)
            _check_slug(answer.database)
            answer.at = _TIMES[answer.at]

    return _event_struct(DocumentsProvided, answers=_many(_part_struct(DocumentAnswer, at=str))), fit


def _decided() -> tuple[Struct, Fit]:
    matches = _matching(ApplicationDecided, "application_id", "submission", "province", "commune", "procedure")

    def fit(event: Any) -> None:
        if not matches(
            f"{event.application_id}\n{event.submission}\n{event.province}\n{event.commune}\n{event.procedure}"
        ):
            raise ValueError(event)
        for reason in event.reasons:
            _check_slug(reason)
        for part in event.components:
            _check_slug(part.component)
            if part.database is not None:
                _check_slug(part.database)
        event.submitted_at, event.due_at = _TIMES[event.submitted_at], _TIMES[event.due_at]
        event.decided_at = _TIMES[event.decided_at]
        if event.index_due_at is not None:
            event.index_due_at = _TIMES[event.index_due_at]

    times = dict.fromkeys(("submitted_at", "due_at", "decided_at"), str)
    components = _many(_part_struct(DecidedComponent))
    return _event_struct(ApplicationDecided, components=components, index_due_at=str | None, **times), fit


def _correction() -> tuple[Struct, Fit]:
    matches = _matching(CorrectionRequested, "application_id", "submission", "procedure", "province")

    def fit(event: Any) -> None:
        if not matches(f"{event.application_id}\n{event.submission}\n{event.procedure}\n{event.province}"):
            raise ValueError(event)
        _check_slug(event.component)
        _check_slug(event.database)
        event.requested_at, event.worked_off_at = _TIMES[event.requested_at], _TIMES[event.worked_off_at]

    return _event_struct(CorrectionRequested, requested_at=str, worked_off_at=str), fit


def _reader(struct: Struct, fit: Fit) -> tuple[Callable[[bytes], Any], Fit]:
    return msgspec.json.Decoder(struct).decode, fit


_READERS: Final[Mapping[type[Event], tuple[Callable[[bytes], Any], Fit]]] = {
    ApplicationSubmitted: _reader(*_submitted()),
    DocumentsRequested: _reader(*_requested()),
    DocumentsProvided: _reader(*_provided()),
    ApplicationDecided: _reader(*_decided()),
    CorrectionRequested: _reader(*_correction()),
}
