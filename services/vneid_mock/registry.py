"""What the mock knows of citizens: what every database says of their documents, and who is promised an outcome.

What a database says is a pure function of seed, citizen, document and the world of the day: the same citizen and
document get the same answer in every application, at every attempt and in every run of one seed.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache, partial
from math import ceil, log
from statistics import NormalDist
from typing import Literal, NamedTuple, NoReturn

from contracts.draws import DRAWS_PER_DIGEST, WORD_SPAN, words
from contracts.errors import Reject
from domain import CalendarRangeError, Component, Domain

RegistryAnswer = Literal["found", "missing", "mismatch"]
# Components by slug, each with the databases that a request names for it; None: those of the domain.
Asked = tuple[tuple[str, tuple[str, ...] | None], ...]

# The last draw of a digest times the look-up; the others belong to the databases.
_LATENCY = DRAWS_PER_DIGEST - 1

AT_ONCE: tuple[float, ...] = (0.0,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """A citizen with a promised outcome, exempt from the fault plan: it holds under every plan and seed.

    `answer` is what every database says of every document. `answers_from` is the attempt from which the components are
    answered (None: never), `last_answers_from` that of the last component by position. `replies` holds, per attempt,
    the delays in seconds of wall time after which the reply is sent; its last entry repeats for all later attempts.
    """

    name: str
    sentence: str
    answer: Literal["found", "missing", "mismatch"] = "found"
    answers_from: int | None = 1
    last_answers_from: int | None = 1
    replies: tuple[tuple[float, ...], ...] = (AT_ONCE,)

    def delays(self, attempt: int) -> tuple[float, ...]:
        """Seconds of wall time until each reply to this attempt (counted from 1); empty means silence."""
        return self.replies[min(attempt, len(self.replies)) - 1]


# No province has the prefix 999, so no real or generated citizen number meets one. The demo, the tests and the README
# share them.
PERSONAS: Mapping[str, Persona] = {
    "999099000001": Persona(
        name="all_documents_found",
        sentence="Every database has matching data, at the first attempt.",
    ),
    "999099000002": Persona(
        name="all_missing",
        sentence="No database knows any document of this citizen.",
        answer="missing",
    ),
    "999099000003": Persona(
        name="record_mismatch",
        sentence="Every database has a record, and none matches the application.",
        answer="mismatch",
    ),
    "999099000004": Persona(
        name="found_from_the_second_attempt",
        sentence="The first reply has no answer; from the second attempt everything is found.",
        answers_from=2,
        last_answers_from=2,
    ),
    "999099000005": Persona(
        name="found_from_the_third_attempt",
        sentence="Two replies have no answer; from the third attempt everything is found.",
        answers_from=3,
        last_answers_from=3,
    ),
    "999099000006": Persona(
        name="never_answers",
        sentence="Every reply has no answer: the databases stay unreachable for ever.",
        answers_from=None,
        last_answers_from=None,
    ),
    "999099000007": Persona(
        name="slow_answer",
        sentence="Everything is found, and each reply is sent three seconds late.",
        replies=((3.0,),),
    ),
    "999099000008": Persona(
        name="duplicate_reply",
        sentence="Everything is found, and each reply is sent twice, the second 0.4 s after the first.",
        replies=((0.0, 0.4),),
    ),
    "999099000009": Persona(
        name="partial_first",
        sentence="The first reply lacks the last component (the only one, if there is one); the second has everything.",
        last_answers_from=2,
    ),
    "999099000010": Persona(
        name="silent_at_first",
        sentence="The first attempt gets no reply at all; from the second everything is found.",
        replies=((), AT_ONCE),
    ),
}


def number_of(name: str) -> str:
    """Return the citizen number of a persona.

    Raises:
        KeyError: no persona has this name; the message lists the known ones.

    """
    for number, persona in PERSONAS.items():
        if persona.name == name:
            return number
    known = ", ".join(persona.name for persona in PERSONAS.values())
    raise KeyError(f"no persona {name!r} (known: {known})")


class _Search(NamedTuple):
    """A database and its draw; rates are scaled to words, exactly: by a power of two."""

    database: str
    draw: int
    usable_below: float
    mismatch_below: float

    def wrong(self, answer: RegistryAnswer) -> tuple[float, float]:
        """Return between which words a record of this database is missing, or does not match."""
        return (self.usable_below, self.mismatch_below) if answer == "mismatch" else (self.mismatch_below, WORD_SPAN)


@dataclass(frozen=True, slots=True)
class LookUp:
    """A component made ready to be looked up.

    Attributes:
        slug: the component's.
        databases: in the order of look-up.
        start: the component's position in its procedure (1..16), and the database where its look-up starts.
        document: what draws name it by: its paper, or the component itself where no paper is named.
        searches: how each database is drawn for, in the order of look-up.

    """

    slug: str
    databases: tuple[str, ...]
    start: tuple[int, str]
    document: str
    searches: tuple[_Search, ...]

    @staticmethod
    def of(component: Component, domain: Domain) -> "LookUp":
        """Work out rates and draw positions.

        Raises:
            ValueError: the component has no database, so nothing can be looked up.

        """
        name = f"{component.procedure}/{component.slug}"
        if not component.databases:
            raise ValueError(f"component {name} has no database; ask the applicant for it")
        rates = zip(component.databases, component.usable_rates, strict=True)
        return LookUp(
            component.slug,
            component.databases,
            (component.position, component.databases[0]),
            component.paper or name,
            tuple([_search(database, rate, domain) for database, rate in rates]),
        )

    def find(self, seed: int, citizen_number: str) -> tuple[RegistryAnswer, str, float]:
        """Walk the databases in order; return the answer, its database, and where in 0..1 the latency lies.

        One digest per (citizen, document) gives every database its draw by its fixed place in databases.csv: below the
        usable rate the data are usable; above it, `lookup.mismatch_share_of_misses` of the rest are mismatches. Without
        a usable record the answer is `mismatch` if any record mismatched (its database), else `missing` (the first
        database).

        A persona's answer is promised and comes from the first database.
        """
        persona = PERSONAS.get(citizen_number)
        if persona is not None:
            return persona.answer, self.databases[0], 0.5
        drawn = words(seed, "registry", citizen_number, self.document)
        latency = drawn[_LATENCY] / WORD_SPAN
        mismatched = ""
        for database, draw, usable_below, mismatch_below in self.searches:
            word = drawn[draw]
            if word < usable_below:
                return "found", database, latency
            if word < mismatch_below:
                mismatched = mismatched or database
        return ("mismatch", mismatched, latency) if mismatched else ("missing", self.databases[0], latency)

    def corrected(
        self, seed: int, citizen_number: str, wrong: tuple[RegistryAnswer, str], success_share: float
    ) -> bool:
        """Whether a wrong record, given as answer and database, is right once its owner has worked off the correction.

        The draw that made it wrong says that too: the lower part of what is wrong can be corrected. What a database
        never has cannot (a paper not yet published), nor can what a persona is promised.
        """
        answer, database = wrong
        search = next(search for search in self.searches if search.database == database)
        if citizen_number in PERSONAS or not search.usable_below:
            return False
        low, high = search.wrong(answer)
        return words(seed, "registry", citizen_number, self.document)[search.draw] < low + success_share * (high - low)


def _search(database: str, rate: float, domain: Domain) -> _Search:
    # A rate of 0: it never has the document, such as before its paper was published (a reform); no record is wrong.
    mismatch_share = domain.number("lookup.mismatch_share_of_misses") if rate else 0.0
    databases = list(domain.databases)
    if len(databases) > _LATENCY:
        raise ValueError(f"databases.csv has {len(databases)} rows; one digest draws for {_LATENCY} at most")
    return _Search(
        database,
        databases.index(database),
        rate * WORD_SPAN,
        (rate + (1 - rate) * mismatch_share) * WORD_SPAN,
    )


@dataclass(frozen=True, slots=True)
class Registry:
    """The databases behind VNeID, made ready once from the data files; it has no state of its own.

    Attributes:
        databases: their slugs.
        look_ups: what is to be looked up, given a procedure's code and the components asked for; raises `Reject` with
            `unknown_procedure`, `unknown_component`, `databases_not_of_component` or `duplicate_component`.
        timeout: event time between two attempts (parameter lookup.timeout_s).
        latency_within: `latency_within[n]` is the chance that a look-up takes at most n + 1 seconds.
        waits: event time from the first attempt to an answer, by the attempt from which it is answered, then by the
            latency in whole seconds less one: a table, because it is read for every component.
        corrected_share: how many corrections succeed (parameter correction.success_share).
        domain: what it was made of.
        worlds: the registries of other days made so far, by the domain that holds then.

    """

    databases: frozenset[str]
    look_ups: Callable[[str, Asked], tuple[LookUp, ...]]
    timeout: timedelta
    latency_within: tuple[float, ...]
    waits: tuple[tuple[timedelta, ...], ...]
    corrected_share: float
    domain: Domain
    worlds: dict[int, "Registry"] = field(default_factory=dict, init=False, compare=False)

    def on(self, day: date) -> "Registry":
        """Return the registry of the day of an application: this one, unless reforms make it another world."""
        world = self.domain.on(day)
        if world is self.domain:
            return self
        registry = self.worlds.get(id(world))
        if registry is None:
            registry = self.worlds[id(world)] = Registry.of(world)
        return registry

    def worked_off(self, asked_at: datetime, at: datetime) -> bool:
        """Whether corrections asked for at one event time are worked off at another."""
        try:
            return self.domain.on(asked_at).correction_desk.worked_off_at(asked_at) <= at
        except CalendarRangeError:
            return False

    def check_database(self, database: str) -> None:
        """Refuse what is asked of a database that does not exist.

        Raises:
            Reject: `unknown_database`.

        """
        if database not in self.databases:
            raise Reject("unknown_database", f"database: {database!r} is not in databases.csv")

    @staticmethod
    def of(domain: Domain) -> "Registry":
        """Read rates and parameters of a domain."""
        timeout_s, median_s = domain.number("lookup.timeout_s"), domain.number("lookup.latency_median_s")
        spread = log(domain.number("lookup.latency_p99_s") / median_s) / NormalDist().inv_cdf(0.99)
        latency = NormalDist(log(median_s), spread)
        # The last whole second below the time-out takes the rest of the distribution.
        seconds = range(1, max(ceil(timeout_s), 2))
        known = {
            code: {
                slug: LookUp.of(component, domain)
                for slug, component in procedure.components.items()
                if component.replaceable
            }
            for code, procedure in domain.procedures.items()
        }
        return Registry(
            frozenset(domain.databases),
            # A day has some hundred combinations.
            lru_cache(maxsize=8192)(partial(_look_ups, known)),
            timedelta(seconds=timeout_s),
            tuple(latency.cdf(log(second)) for second in seconds[:-1]),
            tuple(tuple(timedelta(seconds=(fate - 1) * timeout_s + second) for second in seconds) for fate in range(4)),
            domain.number("correction.success_share"),
            domain,
        )


def _look_ups(known: Mapping[str, Mapping[str, LookUp]], procedure: str, asked: Asked) -> tuple[LookUp, ...]:
    by_slug = known.get(procedure)
    if by_slug is None:
        raise Reject("unknown_procedure", f"procedure {procedure!r} is in neither procedures.csv nor its companion")
    look_ups: dict[str, LookUp] = {}
    for slug, databases in asked:
        look_up = by_slug.get(slug) or _unknown_component(procedure, slug)
        if databases is not None and databases != look_up.databases:
            raise Reject("databases_not_of_component", _other_databases(procedure, look_up, databases))
        look_ups[slug] = look_up
    if len(look_ups) < len(asked):
        raise Reject("duplicate_component", f"documents of {procedure}: a component is asked for twice")
    return tuple(look_ups.values())


def _unknown_component(procedure: str, slug: str) -> NoReturn:
    raise Reject("unknown_component", f"documents: {slug!r} is no component of {procedure} that data may replace")


def _other_databases(procedure: str, look_up: LookUp, databases: Iterable[str]) -> str:
    asked, known = ", ".join(databases), ", ".join(look_up.databases)
    return f"documents.{look_up.slug}: databases {asked}; {procedure} looks it up in {known}, in this order"
