"""How VNeID misbehaves: a frozen plan of shares, and two pure functions of plan, seed and subject.

`answers_from` is the fate of each component (event time: the answer's time moves with it); `deliveries` says when the
replies to one attempt are sent (wall time: no answer changes). Fates are drawn per application and never per attempt,
so what attempt n knows contains what attempt n-1 knew.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property, lru_cache
from math import exp, log
from statistics import NormalDist
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from contracts.codes import listed
from contracts.draws import DRAWS_PER_DIGEST, draws
from contracts.events import ApplicationSubmitted, DocumentsRequested, ProvinceCode, Slug
from domain import load_domain
from services.vneid_mock.registry import AT_ONCE, PERSONAS

# Whom a fault may fall on: an application, by its own record or by a request for its components.
Subject = ApplicationSubmitted | DocumentsRequested
Share = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
Seconds = Annotated[float, Field(strict=True, ge=0, le=600, allow_inf_nan=False)]
CitizenPrefix = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,12}$")]
Database = Annotated[Slug, listed("databases")]
FaultName = Literal[
    "late_answer_share",
    "very_late_answer_share",
    "never_answer_share",
    "silent_share",
    "duplicate_share",
    "duplicate_gap_max_s",
    "slow_share",
    "slow_delay_s",
    "slow_delay_max_s",
    "very_slow_share",
    "very_slow_delay_s",
]
_NORMAL = NormalDist()
_P99 = _NORMAL.inv_cdf(0.99)
# One digest serves the fates of an application's components and the deliveries of its first attempts. A ninth component
# would share its draw with a delivery: correlated, not wrong; no procedure has one.
_POSITIONS = 8
_DELIVERY_DRAWS = 4
# Half a step of a draw's grid: keeps a draw of exactly 0 inside the normal distribution's domain.
_HALF_STEP = 2.0**-33


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Faults(_Frozen):
    """The misbehaviours and how often each strikes; all zero is a VNeID that always answers at once.

    Shares are 0..1. The first three are of components and use event time, the others are of replies and use wall time.
    """

    late_answer_share: Share = Field(default=0.0, description="Components answered only from attempt 2 (event time).")
    very_late_answer_share: Share = Field(default=0.0, description="Components answered from attempt 3 (event time).")
    never_answer_share: Share = Field(default=0.0, description="Components that are never answered (event time).")
    silent_share: Share = Field(default=0.0, description="Attempts that get no reply at all (wall time).")
    duplicate_share: Share = Field(default=0.0, description="Replies that are sent twice (wall time).")
    duplicate_gap_max_s: Seconds = Field(default=0.5, description="The second copy follows within this time.")
    slow_share: Share = Field(default=0.0, description="Replies that are sent late, by a drawn delay (wall time).")
    slow_delay_s: Seconds = Field(default=0.0, description="Median of the drawn delay (log-normal).")
    slow_delay_max_s: Seconds = Field(default=0.0, description="99th percentile of the drawn delay, and its limit.")
    very_slow_share: Share = Field(default=0.0, description="Replies later than the caller's patience (wall time).")
    very_slow_delay_s: Seconds = Field(default=0.0, description="The delay of these; set it above the reply deadline.")

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        _at_most_one(self, "late_answer_share", "very_late_answer_share", "never_answer_share")
        _at_most_one(self, "silent_share", "slow_share", "very_slow_share")
        if self.slow_delay_max_s < self.slow_delay_s:
            raise ValueError("slow_delay_max_s is below slow_delay_s; raise it to the median or more")
        return self


class Match(_Frozen):
    """Whom an override is for; every key that is given must fit."""

    database: Database | None = Field(default=None, description="The database at which the look-up starts.")
    province: Annotated[ProvinceCode, listed("provinces")] | None = None
    citizen: CitizenPrefix | None = Field(default=None, description="First digits of the citizen number.")

    @model_validator(mode="after")
    def _names_someone(self) -> Self:
        if self.database is self.province is self.citizen is None:
            raise ValueError("matches nobody; give database, province or citizen")
        if self.database is not None:
            _known_database(self.database)
        if self.province is not None and self.province not in load_domain().provinces:
            raise ValueError(f"no province {self.province!r}; use a two-digit code of provinces.csv")
        return self

    def fits(self, subject: Subject, databases: Collection[str]) -> bool:
        """Whether it is for this subject and one of these first databases."""
        return (
            (self.database is None or self.database in databases)
            and (self.province is None or self.province == subject.province)
            and (self.citizen is None or subject.citizen_number.startswith(self.citizen))
        )


class Override(_Frozen):
    """Other values for some: `set` replaces these fields of the plan where `match` fits."""

    match: Match
    set: Annotated[Mapping[FaultName, Annotated[float, Field(strict=True)]], Field(min_length=1)]


class FaultPlan(Faults):
    """A named plan. Of the overrides the first that fits decides alone; fields that it does not set are the plan's.

    `unreachable` adds, per database, the share of components never answered because their look-up starts there.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,64}$")]
    sentence: Annotated[str, StringConstraints(max_length=400)] = ""
    unreachable: Mapping[Database, Share] = Field(default_factory=dict)
    overrides: Annotated[tuple[Override, ...], Field(max_length=64)] = ()

    @field_validator("unreachable")
    @classmethod
    def _databases_exist(cls, unreachable: Mapping[str, float]) -> Mapping[str, float]:
        for database in unreachable:
            _known_database(database)
        return unreachable

    @model_validator(mode="after")
    def _layers_fit(self) -> Self:
        layers = self.layers
        for database, unreachable in self.unreachable.items():
            _fits_beside_unreachable(self, database, unreachable)
            for match, faults in layers:
                if match.database in {None, database}:
                    _fits_beside_unreachable(faults, database, unreachable)
        return self

    # Read once per record, and a plan never changes: hence worked out once. `model_copy` would carry stale ones along.
    @cached_property
    def layers(self) -> tuple[tuple[Match, Faults], ...]:
        own = self.model_dump(include=set(Faults.model_fields))
        return tuple((override.match, _layer(own, override, place)) for place, override in enumerate(self.overrides))

    @cached_property
    def answers_at_once(self) -> bool:
        shares = (self.late_answer_share, self.very_late_answer_share, self.never_answer_share)
        return not (any(shares) or any(self.unreachable.values()) or self.overrides)

    @cached_property
    def worst_share(self) -> float:
        """A draw from here on is answered at once, whomever it is for."""
        faults = (self, *(faults for _, faults in self.layers))
        shares = [each.late_answer_share + each.very_late_answer_share + each.never_answer_share for each in faults]
        return max(shares) + max(self.unreachable.values(), default=0.0) + 1e-9

    @cached_property
    def delivers_at_once(self) -> bool:
        shares = (self.silent_share, self.duplicate_share, self.slow_share, self.very_slow_share)
        return not (any(shares) or self.overrides)

    def faults_for(self, subject: Subject, databases: Collection[str]) -> Faults:
        """The faults of the first override that fits, else the plan's own."""
        for match, faults in self.layers:
            if match.fits(subject, databases):
                return faults
        return self


def answers_from(plan: FaultPlan, seed: int, subject: Subject, starts: Sequence[tuple[int, str]]) -> list[int | None]:
    """Return the attempt from which each component is answered; None means never.

    The attempt that asks is no argument, so fates cannot depend on it. The clock is event time: an answer that comes
    from attempt k is dated k-1 look-up time-outs after the first attempt.

    Args:
        plan: shares of late, very late and unreachable components.
        seed: the run's seed.
        subject: whose application it is; a persona's fate is promised, whatever the plan.
        starts: per component its position in the procedure (1..16) and the database at which its look-up starts.

    """
    persona = PERSONAS.get(subject.citizen_number)
    if persona is not None:
        last = max(position for position, _ in starts)
        return [persona.last_answers_from if position == last else persona.answers_from for position, _ in starts]
    if plan.answers_at_once:
        return [1] * len(starts)
    chance = _chances(seed, subject.application_id)
    drawn = [chance[position - 1] for position, _ in starts]
    # Nearly all: whoever draws above every threshold is answered at once.
    if min(drawn) >= plan.worst_share:
        return [1] * len(starts)
    return [_fate(plan, subject, database, draw) for (_, database), draw in zip(starts, drawn, strict=True)]


@lru_cache(maxsize=64)
def _chances(seed: int, application_id: str) -> tuple[float, ...]:
    """Return an application's draws: first the fates by position, then those of the first two attempts' deliveries."""
    return draws(seed, "faults", _drawn_part(application_id))


def _delivery_chances(seed: int, application_id: str, attempt: int) -> tuple[float, ...]:
    start = _POSITIONS + (attempt - 1) * _DELIVERY_DRAWS
    if start + _DELIVERY_DRAWS <= DRAWS_PER_DIGEST:
        return _chances(seed, application_id)[start : start + _DELIVERY_DRAWS]
    return draws(seed, "delivery", _drawn_part(application_id), attempt)[:_DELIVERY_DRAWS]


def _drawn_part(application_id: str) -> str:
    """Return an id without its milliseconds: who files at another hour keeps the fate of the application."""
    return application_id[14:]


def _fate(plan: FaultPlan, subject: Subject, database: str, drawn: float) -> int | None:
    faults = plan.faults_for(subject, (database,)) if plan.overrides else plan
    never = faults.never_answer_share + plan.unreachable.get(database, 0.0)
    # The worst fate has the lowest draws, so a harsher plan hits the same applications and more.
    if drawn < never:
        return None
    if drawn < never + faults.very_late_answer_share:
        return 3
    return 2 if drawn < never + faults.very_late_answer_share + faults.late_answer_share else 1


def deliveries(
    plan: FaultPlan, seed: int, subject: Subject, attempt: int, starts: Sequence[tuple[int, str]] = ()
) -> tuple[float, ...]:
    """Return after how many seconds of wall time each reply to this attempt is sent; () is silence.

    Args:
        plan: shares of silent, slow, very slow and duplicate replies.
        seed: the run's seed.
        subject: whose application it is; a persona's delivery is promised, whatever the plan.
        attempt: counted from 1; each attempt is drawn anew.
        starts: as of `answers_from`; an override for any of these databases fits.

    """
    persona = PERSONAS.get(subject.citizen_number)
    if persona is not None:
        return persona.delays(attempt)
    if plan.delivers_at_once:
        return AT_ONCE
    faults = plan.faults_for(subject, [database for _, database in starts]) if plan.overrides else plan
    kind, length, twice, gap = _delivery_chances(seed, subject.application_id, attempt)
    if kind < faults.silent_share:
        return ()
    delay = _delay(faults, kind - faults.silent_share, length)
    return (delay, delay + gap * faults.duplicate_gap_max_s) if twice < faults.duplicate_share else (delay,)


def _delay(faults: Faults, kind: float, length: float) -> float:
    if kind < faults.very_slow_share:
        return faults.very_slow_delay_s
    if kind >= faults.very_slow_share + faults.slow_share or faults.slow_delay_s == 0:
        return 0.0
    # In logarithms, and the limit before `exp`: a median near 0 would make the quotient and the power overflow.
    median, limit = log(faults.slow_delay_s), log(faults.slow_delay_max_s)
    drawn = median + (limit - median) / _P99 * _NORMAL.inv_cdf(length + _HALF_STEP)
    return min(exp(min(drawn, limit)), faults.slow_delay_max_s)


def _at_most_one(faults: Faults, *names: str) -> None:
    total = sum(getattr(faults, name) for name in names)
    if total > 1 + 1e-9:
        raise ValueError(f"{' + '.join(names)} is {total:g}; lower them until they sum to 1 at most")


def _fits_beside_unreachable(faults: Faults, database: str, unreachable: float) -> None:
    total = faults.late_answer_share + faults.very_late_answer_share + faults.never_answer_share + unreachable
    if total > 1 + 1e-9:
        raise ValueError(f"unreachable.{database} and the answering shares sum to {total:g}; lower them to 1 at most")


def _layer(own: Mapping[str, float], override: Override, place: int) -> Faults:
    try:
        return Faults.model_validate({**own, **override.set})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(["overrides", str(place), "set", *map(str, first["loc"])])
        raise ValueError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from None


def _known_database(slug: str) -> None:
    if slug not in load_domain().databases:
        raise ValueError(f"no database {slug!r}; use one of {', '.join(load_domain().databases)}")
