"""Reads the JSON of an event by msgspec where that comes to what pydantic reads, at half of the cost.

`contracts.events` alone says what an event is: from each one a msgspec struct is made, with its fields, types and
bounds. Texts are held to the model's patterns, times to how our services write them. What does not fit is None here,
and pydantic's to read or to refuse, so every refusal and its wording are pydantic's. What fits has the value that
pydantic would give it: `tests/unit/test_decoding.py` holds the two against each other.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from types import GenericAlias, NoneType, UnionType
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin

import msgspec
from pydantic import TypeAdapter

from contracts.events import (
    MAX_WORKING_MINUTES,
    Addressee,
    ApplicantAnswer,
    ApplicationDecided,
    ApplicationSubmitted,
    CorrectionRequested,
    DecidedComponent,
    DecidedPart,
    DocumentAnswer,
    DocumentsProvided,
    DocumentsRequested,
    Event,
    RequestedDocument,
    Slug,
)
from domain import VN

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
    # One zone object for all: comparing and converting times of two is several times as dear.
    return at.replace(tzinfo=VN)


_TIMES: Final = Remembered(_time_of)
_check_slug: Final = Remembered(TypeAdapter(Slug).validate_python).__getitem__


def _matching(payload: type[Event], names: Sequence[str]) -> Callable[[str], object]:
    """Return what tells whether these texts, a line each, match the patterns of their fields."""
    return re.compile(r"\n".join(_notes(payload, name)["pattern"][1:-1] for name in names)).fullmatch


def _notes(payload: type[Event], name: str) -> dict[str, Any]:
    """Return what a field's annotation says of it: bounds, and a text's pattern."""
    notes = payload.model_fields[name].metadata
    return {
        key: value for note in notes for key in (*_BOUNDS, "pattern") if (value := getattr(note, key, None)) is not None
    }


def event_struct(payload: type[Event], /, texts: Sequence[str] = (), **kinds: Any) -> Struct:
    """Return a struct with the fields, types, bounds and defaults of an event.

    Args:
        payload: the event's model.
        texts: the fields whose patterns are checked together.
        kinds: what msgspec reads fields as whose types say more than it checks; the rest is checked field by field.

    Raises:
        TypeError: a field is of such a type, and there is nothing that checks it.

    """
    described: list[Any] = []
    for name, field in payload.model_fields.items():
        bounds = _notes(payload, name)
        pattern = bounds.pop("pattern", None)
        if name not in kinds and (not _is_plain(field.annotation) or (pattern and name not in texts)):
            raise TypeError(f"{payload.__name__}.{name} needs a check of its own")
        kind: Any = Annotated[kinds.get(name, field.annotation), msgspec.Meta(**bounds)]
        described.append((name, kind) if field.is_required() else (name, kind, field.default))
    return _struct(payload, described)


def _is_plain(hint: Any) -> bool:
    """Whether msgspec checks a type as pydantic does: it is no time and no container, and has no rules inside."""
    if hint in {bool, int, str, NoneType} or get_origin(hint) is Literal:
        return True
    return get_origin(hint) in {Union, UnionType} and all(map(_is_plain, get_args(hint)))


def part_struct(part: type[Any], /, **kinds: Any) -> Struct:
    """Return a struct with the fields of a part of an event, all required; arguments and errors as of an event."""
    for field in fields(part):
        if field.name not in kinds and not _is_plain(field.type):
            raise TypeError(f"{part.__name__}.{field.name} needs a check of its own")
    return _struct(part, [(field.name, kinds.get(field.name, field.type)) for field in fields(part)])


def _struct(described: type[Any], fields: list[Any]) -> Struct:
    # What pydantic ignores msgspec would only skim, so it must be nothing.
    return msgspec.defstruct(described.__name__, fields, forbid_unknown_fields=True, gc=False)


def _many(struct: Struct) -> Any:
    return GenericAlias(tuple, (struct, ...))


def _submitted() -> tuple[Struct, Fit]:
    texts = "application_id", "dossier_code", "citizen_number", "province", "commune", "home_province", "procedure"
    matches = _matching(ApplicationSubmitted, texts)

    def fit(event: Any) -> None:
        if not matches(
            f"{event.application_id}\n{event.dossier_code}\n{event.citizen_number}\n{event.province}\n{event.commune}\n"
            f"{event.home_province}\n{event.procedure}"
        ):
            raise ValueError(event)
        for slug in event.components:
            _check_slug(slug)
        for slug in event.consent_refused:
            _check_slug(slug)
        for slug in event.part_minutes:
            _check_slug(slug)
        event.submitted_at = _TIMES[event.submitted_at]
        if event.filed_before_at is not None:
            event.filed_before_at = _TIMES[event.filed_before_at]

    struct = event_struct(
        ApplicationSubmitted,
        texts,
        components=dict[str, ApplicantAnswer],
        consent_refused=tuple[str, ...],
        part_minutes=dict[str, Annotated[int, msgspec.Meta(ge=0, le=MAX_WORKING_MINUTES)]],
        submitted_at=str,
        filed_before_at=str | None,
    )
    return struct, fit


def _requested() -> tuple[Struct, Fit]:
    texts = "application_id", "citizen_number", "procedure", "province"
    matches = _matching(DocumentsRequested, texts)

    def fit(event: Any) -> None:
        if not matches(f"{event.application_id}\n{event.citizen_number}\n{event.procedure}\n{event.province}"):
            raise ValueError(event)
        for document in event.documents:
            _check_slug(document.component)
            for database in document.databases:
                _check_slug(database)
        for slug in event.consent_refused:
            _check_slug(slug)
        event.as_of = _TIMES[event.as_of]
        if event.filed_before_at is not None:
            event.filed_before_at = _TIMES[event.filed_before_at]

    slugs = tuple[str, ...]
    documents = _many(event_struct(RequestedDocument, component=str, databases=slugs))
    kinds = {"documents": documents, "consent_refused": slugs, "as_of": str, "filed_before_at": str | None}
    return event_struct(DocumentsRequested, texts, **kinds), fit


def _provided() -> tuple[Struct, Fit]:
    texts = ("application_id",)
    matches = _matching(DocumentsProvided, texts)

    def fit(event: Any) -> None:
        if not matches(event.application_id):
            raise ValueError(event)
        for answer in event.answers:
            _check_slug(answer.component)
            _check_slug(answer.database)
            answer.at = _TIMES[answer.at]

    answer = part_struct(DocumentAnswer, component=str, database=str, at=str)
    return event_struct(DocumentsProvided, texts, answers=_many(answer)), fit


def _decided() -> tuple[Struct, Fit]:
    texts = "application_id", "submission", "province", "commune", "procedure"
    matches = _matching(ApplicationDecided, texts)

    def fit(event: Any) -> None:
        if not matches(
            f"{event.application_id}\n{event.submission}\n{event.province}\n{event.commune}\n{event.procedure}"
        ):
            raise ValueError(event)
        for reason in event.reasons:
            _check_slug(reason)
        for proof in event.components:
            _check_slug(proof.component)
            if proof.database is not None:
                _check_slug(proof.database)
        for part in event.parts:
            _check_slug(part.part)
            part.due_at, part.done_at = _TIMES[part.due_at], _TIMES[part.done_at]
        event.submitted_at, event.due_at = _TIMES[event.submitted_at], _TIMES[event.due_at]
        event.decided_at = _TIMES[event.decided_at]
        if event.index_due_at is not None:
            event.index_due_at = _TIMES[event.index_due_at]

    struct = event_struct(
        ApplicationDecided,
        texts,
        reasons=tuple[str, ...],
        components=_many(part_struct(DecidedComponent, component=str, database=str | None)),
        parts=_many(part_struct(DecidedPart, part=str, due_at=str, done_at=str)),
        **dict.fromkeys(("submitted_at", "due_at", "decided_at"), str),
        index_due_at=str | None,
    )
    return struct, fit


def _correction() -> tuple[Struct, Fit]:
    texts = "application_id", "submission", "procedure", "province"
    matches = _matching(CorrectionRequested, texts)

    def fit(event: Any) -> None:
        if not matches(f"{event.application_id}\n{event.submission}\n{event.procedure}\n{event.province}"):
            raise ValueError(event)
        _check_slug(event.component)
        _check_slug(event.database)
        event.requested_at, event.worked_off_at = _TIMES[event.requested_at], _TIMES[event.worked_off_at]

    kinds = {"addressees": tuple[Addressee, ...], "requested_at": str, "worked_off_at": str}
    return event_struct(CorrectionRequested, texts, component=str, database=str, **kinds), fit


def _reader(struct: Struct, fit: Fit) -> tuple[Callable[[bytes], Any], Fit]:
    return msgspec.json.Decoder(struct).decode, fit


_READERS: Final[Mapping[type[Event], tuple[Callable[[bytes], Any], Fit]]] = {
    ApplicationSubmitted: _reader(*_submitted()),
    DocumentsRequested: _reader(*_requested()),
    DocumentsProvided: _reader(*_provided()),
    ApplicationDecided: _reader(*_decided()),
    CorrectionRequested: _reader(*_correction()),
}
