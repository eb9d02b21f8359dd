"""The context: what a decision needs, carried by the request and echoed by the reply, so that intake keeps no database.

A text of `version,body.digest`: the body has no citizen number; the digest is keyed and covers the application id,
so a context can be neither forged nor moved to another application.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from hmac import compare_digest
from typing import NamedTuple

from contracts.events import ApplicantAnswer, ApplicationSubmitted, Authority, Channel, Ending, ResultDelivery

CONTEXT_VERSION = "2"
# Of an application that ends without a result, or is asked twice: an older member says that it cannot read it.
UNUSUAL_VERSION = "3"
# Of a linked service whose parts are told apart.
LINKED_VERSION = "4"
_CHANNELS: Mapping[str, Channel] = {"o": "online", "d": "direct", "p": "post"}
_ANSWERS: Mapping[str, ApplicantAnswer] = {"u": "upload", "p": "paper", "n": "none"}
_DELIVERIES: Mapping[str, ResultDelivery] = {"e": "electronic", "p": "post", "c": "counter"}
_AUTHORITIES: Mapping[str, Authority] = {"m": "ministry", "p": "province"}
_ENDINGS: Mapping[str, Ending | None] = {"-": None, "w": "withdrawn", "r": "refused"}
_FEES: Mapping[str, bool | None] = {"-": None, "1": True, "0": False}


class ContextError(ValueError):
    """The context is not one of ours: unreadable, of an unknown version, or its digest does not match."""


class SubmissionFacts(NamedTuple):
    """What the decision needs of a submission; see `ApplicationSubmitted` for the fields.

    `components` pairs a component's slug with what the applicant does if asked, `parts` a part's with its minutes;
    `submission` is the digest of the submitted record's value.
    """

    application_id: str
    submission: str
    submitted_at: datetime
    province: str
    commune: str
    procedure: str
    authority: Authority
    channel: Channel
    account_level: int
    assisted: bool
    fee_paid_online: bool | None
    electronic_result: bool
    result_delivery: ResultDelivery
    asks_anyway: bool
    asks_again: bool
    supplement_minutes: int
    handling_minutes: int
    components: tuple[tuple[str, ApplicantAnswer], ...]
    asks_twice: bool = False
    ending: Ending | None = None
    parts: tuple[tuple[str, int], ...] = ()


def facts_of(submitted: ApplicationSubmitted, submission: str) -> SubmissionFacts:
    """Return the facts of a submission; `submission` is the short digest of its record's value."""
    return SubmissionFacts(
        submitted.application_id,
        submission,
        submitted.submitted_at,
        submitted.province,
        submitted.commune,
        submitted.procedure,
        submitted.authority,
        submitted.channel,
        submitted.account_level,
        submitted.assisted,
        submitted.fee_paid_online,
        submitted.electronic_result,
        submitted.result_delivery,
        submitted.asks_anyway,
        submitted.asks_again,
        submitted.supplement_minutes,
        submitted.handling_minutes,
        tuple(submitted.components.items()),
        submitted.asks_twice,
        submitted.ending,
        tuple(submitted.part_minutes.items()),
    )


def seal(facts: SubmissionFacts, key: bytes) -> str:
    """Return the context of these facts; `key` is intake's signing key, 1 to 64 bytes."""
    fee = "-" if facts.fee_paid_online is None else "01"[facts.fee_paid_online]
    codes = (
        f"{facts.authority[0]}{facts.channel[0]}{facts.account_level}{'01'[facts.assisted]}{fee}"
        f"{'01'[facts.electronic_result]}{facts.result_delivery[0]}{'01'[facts.asks_anyway]}"
        f"{'01'[facts.asks_again]}"
    )
    version, handling = CONTEXT_VERSION, str(facts.handling_minutes)
    if facts.asks_twice or facts.ending is not None or facts.parts:
        version, codes = UNUSUAL_VERSION, f"{codes}{'01'[facts.asks_twice]}{(facts.ending or '-')[0]}"
    if facts.parts:
        version = LINKED_VERSION
        handling = ";".join([handling, *[f"{slug}={minutes}" for slug, minutes in facts.parts]])
    components = ";".join([f"{slug}={answer[0]}" for slug, answer in facts.components])
    body = (
        f"{version},{facts.submission},{facts.submitted_at.isoformat()},{facts.province},{facts.commune},"
        f"{facts.procedure},{codes},{facts.supplement_minutes},{handling},{components}"
    )
    return f"{body}.{_digest(body, facts.application_id, key)}"


def unseal(context: str, application_id: str, key: bytes) -> SubmissionFacts:
    """Return the facts that a context carries.

    Raises:
        ContextError: the digest does not match (a forged or moved context, another key) or the version is unknown.

    """
    body, _, digest = context.rpartition(".")
    if not compare_digest(digest.encode(), _digest(body, application_id, key).encode()):
        msg = "context: the digest does not match; it was not sealed by this intake for this application"
        raise ContextError(msg)
    version = body.partition(",")[0]
    if version not in _READERS:
        msg = f"context: version {version!r} is not readable (readable: {', '.join(_READERS)})"
        raise ContextError(msg)
    return _READERS[version](body, application_id)


def _digest(body: str, application_id: str, key: bytes) -> str:
    digest = _keyed(key).copy()
    digest.update(f"{application_id}|{body}".encode())
    return digest.hexdigest()


@lru_cache(maxsize=8)
def _keyed(key: bytes) -> blake2b:
    """Return a digest that has taken in the key, a third of the work, and nothing else."""
    return blake2b(key=key, digest_size=8)


def _read(body: str, application_id: str) -> SubmissionFacts:
    _, submission, at, province, commune, procedure, codes, supplement, handling, components = body.split(",")
    pairs = map(_pair, components.split(";")) if components else ()
    minutes, *parts = handling.split(";")
    return SubmissionFacts(
        application_id,
        submission,
        datetime.fromisoformat(at),
        province,
        commune,
        procedure,
        _AUTHORITIES[codes[0]],
        _CHANNELS[codes[1]],
        int(codes[2]),
        codes[3] == "1",
        _FEES[codes[4]],
        codes[5] == "1",
        _DELIVERIES[codes[6]],
        codes[7] == "1",
        # Version 1 ends here: nobody was asked again.
        codes[8:9] == "1",
        int(supplement),
        int(minutes),
        tuple([(slug, _ANSWERS[answer]) for slug, _, answer in pairs]),
        codes[9:10] == "1",
        _ENDINGS[codes[10:] or "-"],
        tuple([(slug, int(length)) for slug, _, length in map(_pair, parts)]),
    )


def _pair(text: str) -> tuple[str, str, str]:
    return text.partition("=")


# Contexts of the previous version stay readable while a rolling upgrade has both in flight.
_READERS: Mapping[str, Callable[[str, str], SubmissionFacts]] = {
    "1": _read,
    CONTEXT_VERSION: _read,
    UNUSUAL_VERSION: _read,
    LINKED_VERSION: _read,
}
