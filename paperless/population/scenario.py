"""Scenarios: which days are played, how many applications, where, and with which mix of procedures.

A file holds the fields of `Scenario` as TOML. A share named under `[shares]` replaces the value in every province.
"""

import tomllib
from collections.abc import Iterable, Mapping
from datetime import date
from difflib import get_close_matches
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain import CalendarRangeError, Domain, Procedure
from paperless.population.arrivals import SimulatedDay, apportion, fileable_shares, province_weight, weights_on
from paperless.population.shares import Share, Shares, shares_of

DEFAULT_SCENARIO = "national-day"


class ScenarioError(ValueError):
    """A scenario that is unknown or cannot be played; names file and key, and what to do."""


class Scenario(BaseModel):
    """What one run plays.

    `applications_per_day` counts the whole scenario's applications; `provinces` as its value stands for what the
    provinces' counters record (parameter `volume.provinces_per_day`), of which a part of the provinces gets its part.
    With `calendar_factors` the figure is the mean calendar day, and each day gets `volume.working_day_factor` or
    `volume.weekend_factor` (holidays too); without, each day gets the figure. `procedures`: all of the domain's mix,
    the 25 services alone, or weights by code. `shares` overrides fields of `paperless.population.shares.Shares`. Each
    day is played in its own world (`Domain.on`). `plan` is the fault plan that belongs to the scenario: a name, or a
    TOML file whose path counts from the scenario's; None leaves the choice to whoever plays it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    title_vi: str
    sentence: str
    days: Annotated[tuple[date, ...], Field(min_length=1, max_length=366)]
    applications_per_day: Annotated[int, Field(ge=1, le=10_000_000)] | Literal["provinces"] = "provinces"
    calendar_factors: bool = False
    provinces: Annotated[tuple[str, ...], Field(min_length=1)] | Literal["all"] = "all"
    procedures: dict[str, Annotated[float, Field(gt=0)]] | Literal["all", "twenty_five"] = "all"
    shares: dict[str, Share] = {}
    plan: str | None = None


def scenario_names() -> tuple[str, ...]:
    """Return the names of the packaged scenarios, the default first."""
    names = sorted(entry.name.removesuffix(".toml") for entry in _folder().iterdir() if entry.name.endswith(".toml"))
    return tuple(sorted(names, key=lambda name: name != DEFAULT_SCENARIO))


def load_scenario(name: str, domain: Domain) -> Scenario:
    """Return a packaged scenario by name, or a user's by the path of a TOML file (recognised by `/` or `.toml`).

    Raises:
        ScenarioError: unknown name, unreadable file, or a value that cannot be played.

    """
    if name.endswith(".toml") or "/" in name:
        return _placed(parse_scenario(_read(Path(name)), name, domain), Path(name).parent)
    if name not in scenario_names():
        raise ScenarioError(
            f"scenario {name!r} is unknown; {_near(name, scenario_names())}"
            " A file of your own is named by its path, such as ./mine.toml."
        )
    text = _folder().joinpath(f"{name}.toml").read_text(encoding="utf-8")
    return _placed(parse_scenario(text, f"{name}.toml", domain), Path(str(_folder())))


def _placed(scenario: Scenario, folder: Path) -> Scenario:
    """Return a scenario whose plan, if it is a file, is found from anywhere."""
    if scenario.plan is None or not scenario.plan.endswith(".toml"):
        return scenario
    return scenario.model_copy(update={"plan": str((folder / scenario.plan).resolve())})


def parse_scenario(text: str, file: str, domain: Domain) -> Scenario:
    """Return the scenario of a TOML text; `file` names it in errors. Raises `ScenarioError`."""
    try:
        scenario = Scenario.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{file}: no TOML: {error}; correct that line") from error
    except ValidationError as error:
        raise ScenarioError(_explain(error, file)) from error
    _check(scenario, file, domain)
    return scenario


def simulated_days(
    scenario: Scenario, domain: Domain, *, seed: int, applications: int | None = None
) -> tuple[SimulatedDay, ...]:
    """Return the scenario's days in order, each with its exact total.

    Args:
        scenario: a loaded scenario.
        domain: the domain that it was loaded with.
        seed: the run's seed.
        applications: instead of the scenario's volume, the exact total of all days together.

    """
    volumes = [_volume(scenario, domain.on(day), day) for day in scenario.days]
    totals = [round(volume) for volume in volumes] if applications is None else apportion(volumes, applications)
    return tuple(
        _simulated_day(scenario, domain, day, seed, total) for day, total in zip(scenario.days, totals, strict=True)
    )


def _simulated_day(scenario: Scenario, domain: Domain, day: date, seed: int, total: int) -> SimulatedDay:
    world, open_ = domain.on(day), domain.calendar.is_working_day(day)
    provinces = _provinces(scenario, world)
    procedures, weights = _mix(scenario, world)
    return SimulatedDay(
        seed=seed,
        date=day,
        applications=total,
        office_open=open_,
        domain=world,
        communes=tuple(commune for commune in world.communes.values() if commune.province in provinces),
        shares={code: shares_of(world, code, day, scenario.shares) for code in provinces},
        procedures=procedures,
        weights=weights_on(procedures, weights, office_open=open_),
        # Of the base world: a reform of one procedure moves nobody who files another one.
        fileable=fileable_shares(*_mix(scenario, domain)),
    )


def _volume(scenario: Scenario, world: Domain, day: date) -> float:
    return _per_day(scenario, world) * _factor(scenario, world, day)


def _provinces(scenario: Scenario, domain: Domain) -> tuple[str, ...]:
    return tuple(domain.provinces) if scenario.provinces == "all" else scenario.provinces


def _per_day(scenario: Scenario, domain: Domain) -> float:
    if scenario.applications_per_day != "provinces":
        return scenario.applications_per_day
    part = sum(province_weight(domain, code) for code in _provinces(scenario, domain))
    whole = sum(province_weight(domain, code) for code in domain.provinces)
    return domain.number("volume.provinces_per_day") * part / whole


def _factor(scenario: Scenario, domain: Domain, day: date) -> float:
    if not scenario.calendar_factors:
        return 1.0
    open_ = domain.calendar.is_working_day(day)
    return domain.number("volume.working_day_factor" if open_ else "volume.weekend_factor")


def _mix(scenario: Scenario, domain: Domain) -> tuple[tuple[Procedure, ...], tuple[float, ...]]:
    mix: Iterable[tuple[str, float]] = domain.mix()
    if isinstance(scenario.procedures, dict):
        mix = scenario.procedures.items()
    elif scenario.procedures == "twenty_five":
        mix = [(code, weight) for code, weight in mix if domain.procedures[code].in_list_25]
    pairs = [(domain.procedures[code], weight) for code, weight in mix if weight]
    return tuple(procedure for procedure, _ in pairs), tuple(weight for _, weight in pairs)


def _check(scenario: Scenario, file: str, domain: Domain) -> None:
    """What only the domain can tell: provinces, procedures, the calendar's range; and the names of shares."""
    if isinstance(scenario.provinces, tuple):
        _known(scenario.provinces, domain.provinces, file, "provinces")
        _unique(scenario.provinces, file, "provinces")
    if isinstance(scenario.procedures, dict):
        _known(scenario.procedures, domain.procedures, file, "procedures")
    _known(scenario.shares, Shares.model_fields, file, "shares")
    _unique(scenario.days, file, "days")
    if list(scenario.days) != sorted(scenario.days):
        raise ScenarioError(f"{file}, key days: not in order; event time goes forward, so sort the days")
    for day in scenario.days:
        _check_day(scenario, day, file, domain)


def _check_day(scenario: Scenario, day: date, file: str, domain: Domain) -> None:
    try:
        open_ = domain.calendar.is_working_day(day)
    except CalendarRangeError as error:
        raise ScenarioError(f"{file}, key days: {error}; choose days inside that range") from error
    procedures, _ = _mix(scenario, domain)
    if not open_ and all(procedure.service_level == "information" for procedure in procedures):
        raise ScenarioError(
            f"{file}, key procedures: on {day} the counters are closed and none of these can be filed online;"
            " choose a working day or add a procedure"
        )


def _known(names: Iterable[str], known: Mapping[str, object], file: str, key: str) -> None:
    for name in names:
        if name not in known:
            raise ScenarioError(f"{file}, key {key}: {name!r} is unknown; {_near(name, known)}")


def _unique(values: tuple[object, ...], file: str, key: str) -> None:
    for value in values:
        if values.count(value) > 1:
            raise ScenarioError(f"{file}, key {key}: {value} is listed twice; list it once")


def _near(name: str, known: Iterable[str]) -> str:
    names = list(known)
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}Known: {', '.join(names)}."


def _explain(error: ValidationError, file: str) -> str:
    first = error.errors(include_url=False)[0]
    # Alternatives of one key (a number or a word) are told apart below the key, which says nothing to a reader.
    key = ".".join(str(part) for part in first["loc"][:1]) or "?"
    if first["type"] == "extra_forbidden":
        return f"{file}, key {key}: no such key; {_near(key, Scenario.model_fields)}"
    if first["type"] == "missing":
        return f"{file}, key {key}: missing; add it"
    return f"{file}, key {key}: {first['msg']} (got {first['input']!r}); correct the value"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ScenarioError(f"{path}: cannot be read ({reason}); check the path of the scenario file") from error


def _folder() -> Traversable:
    return files("paperless.population") / "scenarios"
