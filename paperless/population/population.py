"""Who files and what they would do: one arrival becomes the encoded `ApplicationSubmitted`.

Pure, and the hot path of the driver: two digests give 32 draws, tables give everything else, and the value is encoded
from a plain dict. Tests prove that it is byte for byte what the event's own model would write.
"""

from bisect import bisect_right
from collections.abc import Container, Iterable, Sequence
from datetime import date, datetime, timedelta
from itertools import accumulate
from math import exp
from statistics import NormalDist
from typing import Any, NamedTuple

import orjson

from contracts.draws import DRAWS_PER_DIGEST, draws
from domain import VN, Commune, Component, Domain, Part, Procedure, spans
from paperless.population.arrivals import Arrival, Mode, SimulatedDay, commune_loads
from paperless.population.shares import Shares

MINUTES_PER_WORKING_DAY = 480
# ApplicationSubmitted refuses more.
MAX_MINUTES = 120_000
# Applicants are adults: of age on the day, and not older than 80.
_YOUNGEST, _AGE_RANGE = 18, 63
LEVEL_2 = 2
# Shares of which nothing is known; 0 unless a run supposes another one.
SUPPOSED = (
    "correction.files_again_share",
    "supplement.second_request_share",
    "handling.refused_share",
    "handling.withdrawn_share",
)
_STEPS = 1024
# One draw of consent serves the 16 components that a procedure has at most: each reads it from another start.
_CONSENT_STEP = 1 / DRAWS_PER_DIGEST
_WORD = 1 << 32
# A plain integer: comparing with an enum member costs three times as much.
_ASSISTED = int(Mode.ASSISTED)


class Population:
    """The people and offices of one simulated day; `submission` depends on its arrival and the day's seed only."""

    def __init__(self, day: SimulatedDay) -> None:
        """Build the tables; about 20 ms for the whole country."""
        domain = day.domain
        self._day = day
        self._date = day.date.isoformat()
        midnight = datetime(day.date.year, day.date.month, day.date.day, tzinfo=VN)
        self._midnight_ms = int(midnight.timestamp()) * 1000
        self._minutes = [f"{self._date}T{minute // 60:02d}:{minute % 60:02d}:" for minute in range(1440)]
        self._places = _places(day)
        self._procedures = [_procedure_table(procedure, domain) for procedure in day.procedures]
        self._homes = list(domain.provinces)
        self._home_edges = list(accumulate(province.population for province in domain.provinces.values()))
        self._old_codes = {code: province.old_codes for code, province in domain.provinces.items()}
        median = domain.number("supplement.answer_median_working_days") * MINUTES_PER_WORKING_DAY
        sigma = domain.number("supplement.answer_sigma_log")
        self._supplement = [_minutes(median * factor) for factor in _log_normal(sigma)]
        self._youngest = day.date.year - _YOUNGEST
        shares = tuple(map(domain.number, SUPPOSED))
        self._supposed = shares if any(shares) else ()
        self._asked_since = (midnight - domain.correction_desk.begins_at) // timedelta(seconds=1)

    def submission(self, arrival: Arrival) -> tuple[bytes, bytes]:
        """Return key (the application id) and value of the record of one arrival."""
        event = self.event(arrival)
        if self._supposed:
            self._suppose(event)
        return event["application_id"].encode(), orjson.dumps(event)

    def event(self, arrival: Arrival) -> dict[str, Any]:
        """Return the fields of the event of one arrival."""
        second, position, number, kind, mode = arrival
        place, procedure = self._places[position], self._procedures[kind]
        shares = place.shares
        u = draws(self._day.seed, "application", self._date, place.commune, str(number))
        online = mode <= _ASSISTED
        home = self._home(u[2], place.province, shares.elsewhere_share)
        electronic = procedure.electronic_result and u[7] < shares.electronic_result_share
        event: dict[str, Any] = {
            "application_id": self._application_id(second, number, u[14], u[15]),
            "dossier_code": f"{place.code_prefix}{number:04d}",
            "citizen_number": self._citizen_number(home, u[3], u[4], u[5]),
            "account_level": _account_level(u[0], shares, online=online),
            "province": place.province,
            "commune": place.commune,
            "home_province": home,
            "procedure": procedure.code,
            "authority": procedure.authority,
            "channel": _CHANNELS[mode],
            "assisted": mode == _ASSISTED,
            "consent": True,
            "components": self._components(place, procedure, number, u[13], online=online),
            "fee_paid_online": (online and u[6] < shares.online_payment_share) if procedure.fee else None,
            "electronic_result": electronic,
            "result_delivery": _delivery(
                u[8], u[9], shares, place.by_post[procedure.result_by_post], electronic=electronic
            ),
            "asks_anyway": u[10] < place.paper_taken[procedure.in_list_25],
            "supplement_minutes": self._supplement[int(u[11] * _STEPS)],
            "handling_minutes": _handling_of(procedure.handling[int(u[12] * _STEPS)], place, procedure),
            "submitted_at": self._minutes[second // 60] + _SECONDS[second % 60],
            # From the other end, so that the two breaches exclude each other and a lever on one leaves the other alone.
            "asks_again": u[10] >= place.asked_again_from,
        }
        if u[1] % _CONSENT_STEP < shares.refused_consent_share:
            refused = _refused(procedure.proofs, event["components"], u[1], shares.refused_consent_share)
            if refused:
                event["consent_refused"] = refused
        if procedure.parts:
            minutes = self._part_minutes(place, procedure, number)
            event["part_minutes"] = minutes
            event["handling_minutes"] = max(end for _, end in spans(procedure.parts, minutes).values())
        return event

    def _part_minutes(self, place: "_Place", procedure: "_ProcedureTable", number: int) -> dict[str, int]:
        """Return how long each part of a linked service is handled; what a commune handles waits for its load."""
        u = draws(self._day.seed, "parts", self._date, place.commune, str(number))
        slowness = {True: place.slowness, False: 1.0}
        return {
            part.slug: _minutes(handling[int(drawn * _STEPS)] * slowness[part.level == "commune"])
            for part, handling, drawn in zip(procedure.parts, procedure.parts_handling, u, strict=False)
        }

    def _suppose(self, event: dict[str, Any]) -> None:
        """Add what only a run that supposes so knows of: who files again, who is asked twice, what has no result.

        Who filed for the same procedure before did so at any time since corrections are asked for; of whom may not file
        online, nothing was looked up then.
        """
        again, twice, refused, withdrawn = self._supposed
        u = draws(self._day.seed, "supposed", event["dossier_code"])
        looked_up = event["channel"] != "online" or event["account_level"] >= LEVEL_2
        if u[0] < again and looked_up and self._asked_since > 0:
            span = timedelta(seconds=1 + int(u[1] * self._asked_since))
            event["filed_before_at"] = (datetime.fromisoformat(event["submitted_at"]) - span).isoformat()
        if u[2] < twice:
            event["asks_twice"] = True
        if u[3] < refused + withdrawn:
            event["ending"] = "refused" if u[3] < refused else "withdrawn"

    def _application_id(self, second: int, number: int, first: float, last: float) -> str:
        """UUIDv7 (RFC 9562): 48 bits of milliseconds, the running number as its counter, 62 drawn bits."""
        at = self._midnight_ms + second * 1000
        high, low = int(first * _WORD), int(last * _WORD)
        tail = (high & 0xFFFF) << 32 | low
        fields = (at >> 16, at & 0xFFFF, number & 0xFFF, 0x8000 | high >> 18, tail)
        # The % operator takes two thirds of the time of an f-string with five formats.
        return "%08x-%04x-7%03x-%04x-%012x" % fields  # noqa: UP031

    def names(self, arrival: Arrival, drawn: Sequence[int]) -> tuple[str, str]:
        """Return application id and citizen number alone of `event`, given the words of the application's draws."""
        place, unit = self._places[arrival.commune], 1 / _WORD
        home = self._home(drawn[2] * unit, place.province, place.shares.elsewhere_share)
        application = self._application_id(arrival.second, arrival.number, drawn[14] * unit, drawn[15] * unit)
        return application, self._citizen_number(home, drawn[3] * unit, drawn[4] * unit, drawn[5] * unit)

    def _home(self, u: float, province: str, elsewhere: float) -> str:
        if u >= elsewhere:
            return province
        edges = self._home_edges
        return self._homes[bisect_right(edges, u / elsewhere * edges[-1])]

    def _citizen_number(self, home: str, origin: float, age: float, rest: float) -> str:
        """Twelve digits: `0` and the old province code, century and sex, year of birth, six drawn digits."""
        codes = self._old_codes[home]
        scaled = origin * len(codes)
        old = int(scaled)
        year = self._youngest - int(age * _AGE_RANGE)
        century_and_sex = 2 * (year >= 2000) + (scaled - old >= 0.5)
        return "0%s%d%02d%06d" % (codes[old], century_and_sex, year % 100, rest * 1_000_000)  # noqa: UP031  as above

    def _components(
        self, place: "_Place", procedure: "_ProcedureTable", number: int, silence: float, *, online: bool
    ) -> dict[str, str]:
        """Return what must be proved, with the answer if asked.

        One request names everything that is missing (NĐ 61/2018 Art. 15.3), so who does not answer leaves all of it
        open; paper or upload is drawn per component. A paper that no database knows comes with the filing.
        """
        if not procedure.proofs:
            return {}
        shares = place.shares
        silent = silence < shares.no_answer_share
        u = draws(self._day.seed, "components", self._date, place.commune, str(number))
        answers = {}
        for (slug, needed, known, original), drawn in zip(procedure.proofs, u, strict=False):
            if drawn >= needed:
                continue
            if silent and (known or (original and online)):
                answers[slug] = "none"
            elif not online or original or (known and drawn < needed * shares.paper_answer_share):
                answers[slug] = "paper"
            else:
                answers[slug] = "upload"
        return answers


class _Place(NamedTuple):
    """A commune; the pairs are chosen from by a property of the procedure, the second one where it has it."""

    commune: str
    province: str
    code_prefix: str
    shares: Shares
    by_post: tuple[float, float]
    paper_taken: tuple[float, float]
    asked_again_from: float
    slowness: float


class _ProcedureTable(NamedTuple):
    code: str
    authority: str
    fee: bool
    electronic_result: bool
    result_by_post: bool
    in_list_25: bool
    at_commune: bool
    proofs: tuple[tuple[str, float, bool, bool], ...]
    handling: tuple[int, ...]
    parts: tuple[Part, ...]
    parts_handling: tuple[tuple[int, ...], ...]


_SECONDS = tuple([f"{second:02d}+07:00" for second in range(60)])
_CHANNELS = ("online", "online", "post", "direct")


def _places(day: SimulatedDay) -> list[_Place]:
    """Rows in the order of `day.communes`; a commune's number in the dossier code is its position in its province."""
    prefixes = {}
    for province in day.shares:
        h_code = day.domain.provinces[province].h_code
        for index, commune in enumerate(day.domain.communes_of(province), start=1):
            prefixes[commune.code] = f"{h_code}.{index:02d}-{day.date:%y%m%d}-"
    exponent = day.domain.number("handling.load_exponent")
    return [
        _place(commune, day.shares[commune.province], prefixes[commune.code], load**exponent)
        for commune, load in zip(day.communes, commune_loads(day), strict=True)
    ]


def _place(commune: Commune, shares: Shares, code_prefix: str, slowness: float) -> _Place:
    return _Place(
        commune.code,
        commune.province,
        code_prefix,
        shares,
        (shares.post_return_share, shares.physical_by_post_share),
        (shares.paper_taken_other_share, shares.paper_taken_share),
        1 - shares.asked_again_share,
        slowness,
    )


def _procedure_table(procedure: Procedure, domain: Domain) -> _ProcedureTable:
    if len(procedure.proofs) > DRAWS_PER_DIGEST:
        raise ValueError(f"procedure {procedure.code}: {len(procedure.proofs)} proofs, but one digest draws 16")
    return _ProcedureTable(
        procedure.code,
        procedure.authority,
        procedure.fee_online_vnd > 0,
        procedure.electronic_result,
        procedure.result_by_post,
        procedure.in_list_25,
        procedure.level == "commune",
        tuple([_proof(component) for component in procedure.proofs]),
        _handling(procedure, domain),
        procedure.parts,
        tuple([_handling(part, domain) for part in procedure.parts]),
    )


def _proof(component: Component) -> tuple[str, float, bool, bool]:
    return component.slug, component.needed_rate, component.replaceable, component.fallback == "original"


def _handling(procedure: Procedure | Part, domain: Domain) -> tuple[int, ...]:
    """Quantiles of the handling time in working minutes: log-normal around a share of the limit."""
    unit = {"working_day": MINUTES_PER_WORKING_DAY, "hour": 60}.get(procedure.limit_unit)
    # A same-day limit leaves the time from the cut-off hour to the close, whoever comes last before it.
    same_day = domain.number("office.closes_minute") - 60 * domain.number("intake.cutoff_hour")
    limit = procedure.limit_value * unit if unit else same_day
    median = limit * domain.number("handling.median_share_of_limit")
    return tuple([_minutes(median * factor) for factor in _log_normal(domain.number("handling.sigma_log"))])


def _log_normal(sigma: float) -> list[float]:
    """Return equally likely factors around 1; the table ends at 3.3 standard deviations."""
    normal = NormalDist()
    return [exp(sigma * normal.inv_cdf((step + 0.5) / _STEPS)) for step in range(_STEPS)]


def _minutes(value: float) -> int:
    return min(max(round(value), 1), MAX_MINUTES)


def _handling_of(minutes: int, place: _Place, procedure: _ProcedureTable) -> int:
    """What a commune handles takes as long as its load makes it."""
    return _minutes(minutes * place.slowness) if procedure.at_commune else minutes


def _account_level(u: float, shares: Shares, *, online: bool) -> int:
    """Level 2 files online; the others come to a counter, where level 2 is what remains of its share."""
    if online:
        return 1 if u < shares.level1_online_share else 2
    without = 1 - shares.online_share
    level2 = max(shares.level2_share - shares.online_share, 0.0) / without if without else 0.0
    # Of those without level 2 half have level 1: assumed, and no rule tells 0 from 1.
    return 2 if u < level2 else 1 if u < (1 + level2) / 2 else 0


def _refused(
    proofs: Iterable[tuple[str, float, bool, bool]], needed: Container[str], u: float, share: float
) -> list[str]:
    """Return the needed components, of those that databases know, for which consent is refused.

    Each is refused with the chance `share`, and while that is at most a sixteenth, never two of one application.
    """
    return [
        slug
        for position, (slug, _, known, _) in enumerate(proofs)
        if known and slug in needed and (u - position * _CONSENT_STEP) % 1 < share
    ]


def _delivery(paper: float, drawn: float, shares: Shares, by_post: float, *, electronic: bool) -> str:
    if electronic and paper >= shares.paper_on_request_share:
        return "electronic"
    return "post" if drawn < by_post else "counter"


def submitted_at(day: date, second: int) -> datetime:
    """Return the event time of a second of a simulated day."""
    return datetime(day.year, day.month, day.day, tzinfo=VN) + timedelta(seconds=second)
