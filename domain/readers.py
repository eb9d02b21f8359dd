"""One reader per data file: rows in, models out, with the checks that need other files."""

from collections import Counter
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, get_args

from domain.models import (
    Commune,
    CommuneKind,
    Comparison,
    Database,
    Evidence,
    Holder,
    Holiday,
    HolidayKind,
    IndexComponent,
    IndexMeasure,
    Observation,
    Outage,
    Paper,
    Parameter,
    Province,
    ProvinceKind,
    ProvinceProfile,
    Target,
    TargetRole,
)
from domain.tables import Folder, Row, by_key, read_rows

MARKS: tuple[Evidence, ...] = get_args(Evidence)
PROVINCE_KINDS: tuple[ProvinceKind, ...] = get_args(ProvinceKind)
COMMUNE_KINDS: tuple[CommuneKind, ...] = get_args(CommuneKind)
COMPARISONS: tuple[Comparison, ...] = get_args(Comparison)
HOLIDAY_KINDS: tuple[HolidayKind, ...] = get_args(HolidayKind)
HOLDERS: tuple[Holder, ...] = get_args(Holder)
INDEX_MEASURES: tuple[IndexMeasure | Literal[""], ...] = (*get_args(IndexMeasure), "")
TARGET_ROLES: tuple[TargetRole, ...] = get_args(TargetRole)
SATURDAY = 5

PROFILE_SHARES = (
    "online_share",
    "paper_answer_share",
    "paper_taken_share",
    "level2_share",
    "online_payment_share",
    "electronic_result_share",
)

PROVINCE_COLUMNS = (
    *("code", "h_code", "name_vi", "name_en", "kind", "population", "communes", "old_codes", "tile_row", "tile_col"),
    "single_centre",
    *COMMUNE_KINDS,
)
COMMUNE_COLUMNS = ("code", "name_vi", "kind", "province")
DATABASE_COLUMNS = ("slug", "name_vi", "name_en", "owner", "usable_rate", "evidence")
PAPER_COLUMNS = (
    *("slug", "name_vi", "name_en", "holder", "database", "issuer"),
    *("integrated", "basis", "evidence"),
)
FACT_COLUMNS = ("name", "value", "unit", "low", "high", "basis", "evidence")
PARAMETER_COLUMNS = (*FACT_COLUMNS, "prior")
OBSERVATION_COLUMNS = (
    *("scope", "name", "h_code", "period_start", "period_end", "metric", "value", "unit"),
    *("comparison", "source", "evidence", "note"),
)
TARGET_KEY = ("metric", "scope", "name", "period_end")
TARGET_COLUMNS = (*TARGET_KEY, "value", "role", "tolerance_points", "day", "basis")
INDEX_COLUMNS = ("code", "group", "name_vi", "name_en", "points", "target", "measure", "evidence", "basis")
INDEX_POINTS = 100
PROFILE_FIELDS = ("volume_factor", *PROFILE_SHARES)
PROFILE_COLUMNS = ("code", "basis", *PROFILE_FIELDS, *(f"{name}_evidence" for name in PROFILE_FIELDS))
OUTAGE_COLUMNS = (
    *("no", "start_date", "end_date", "window_start", "window_end", "system", "kind", "duration_h"),
    *("effect", "scenario", "source", "evidence", "note"),
)
HOLIDAY_COLUMNS = ("date", "name_vi", "kind", "evidence", "basis")


def read_provinces(folder: Folder) -> list[tuple[Row, Province]]:
    """Provinces with their rows, because the communes are counted against them later."""
    pairs = [(row, _province(row)) for row in read_rows(folder, "provinces.csv", PROVINCE_COLUMNS)]
    by_key(pairs, "code", lambda province: province.code)
    by_key(pairs, "h_code", lambda province: province.h_code)
    return pairs


def _province(row: Row) -> Province:
    communes = row.whole("communes")
    parts = [row.whole(kind) for kind in COMMUNE_KINDS]
    if sum(parts) != communes:
        row.fail("communes", f"{communes} is not {' + '.join(map(str, parts))}", "correct it or xa, phuong, dac_khu")
    old_codes = row.listed("old_codes")
    if not old_codes:
        row.fail("old_codes", "is empty", "citizen numbers need at least one code from before the merger")
    return Province(
        code=row.code("code", 2),
        h_code=row.text("h_code"),
        name_vi=row.text("name_vi"),
        name_en=row.text("name_en"),
        kind=row.choice("kind", PROVINCE_KINDS),
        population=row.whole("population", 1),
        communes=communes,
        old_codes=old_codes,
        tile_row=row.whole("tile_row"),
        tile_col=row.whole("tile_col"),
        single_centre=row.flag("single_centre"),
    )


def read_communes(folder: Folder, provinces: Iterable[tuple[Row, Province]]) -> Mapping[str, Commune]:
    """Communes by code; their number of each kind must be what provinces.csv says."""
    expected = {(province.code, kind): (row, row.whole(kind)) for row, province in provinces for kind in COMMUNE_KINDS}
    codes = {code for code, _ in expected}
    pairs = [(row, _commune(row, codes)) for row in read_rows(folder, "communes.csv", COMMUNE_COLUMNS)]
    communes = by_key(pairs, "code", lambda commune: commune.code)
    counts = Counter((commune.province, commune.kind) for commune in communes.values())
    for (code, kind), (row, number) in expected.items():
        if counts[code, kind] != number:
            row.fail(kind, f"{number}, but communes.csv has {counts[code, kind]}", "correct one of the two files")
    return MappingProxyType(communes)


def _commune(row: Row, provinces: Container[str]) -> Commune:
    cells = row.cells
    return Commune(
        code=row.code("code", 5),
        name_vi=row.text("name_vi"),
        kind=row.choice("kind", COMMUNE_KINDS),
        province=row.known("province", cells["province"], provinces, "provinces.csv"),
    )


def read_databases(folder: Folder) -> Mapping[str, Database]:
    rows = read_rows(folder, "databases.csv", DATABASE_COLUMNS)
    return MappingProxyType(by_key([(row, _database(row)) for row in rows], "slug", lambda item: item.slug))


def _database(row: Row) -> Database:
    return Database(
        slug=row.text("slug"),
        name_vi=row.text("name_vi"),
        name_en=row.text("name_en"),
        owner=row.text("owner"),
        usable_rate=row.share("usable_rate"),
        evidence=row.choice("evidence", MARKS),
    )


def read_papers(folder: Folder, databases: Container[str]) -> Mapping[str, Paper]:
    rows = read_rows(folder, "papers.csv", PAPER_COLUMNS)
    return MappingProxyType(by_key([(row, _paper(row, databases)) for row in rows], "slug", lambda item: item.slug))


def _paper(row: Row, databases: Container[str]) -> Paper:
    return Paper(
        slug=row.text("slug"),
        name_vi=row.text("name_vi"),
        name_en=row.text("name_en"),
        holder=row.choice("holder", HOLDERS),
        database=row.known("database", row.text("database"), databases, "databases.csv"),
        issuer=row.text("issuer"),
        integrated=row.flag("integrated"),
        basis=row.text("basis"),
        evidence=row.choice("evidence", MARKS),
    )


def read_parameters(folder: Folder) -> Mapping[str, Parameter]:
    """What the model reads, by name."""
    return _by_name(read_rows(folder, "parameters.csv", PARAMETER_COLUMNS))


def read_facts(folder: Folder) -> Mapping[str, Parameter]:
    """What is only quoted, by name: in the same columns, but nothing is drawn, decided or counted by it."""
    return _by_name(read_rows(folder, "facts.csv", FACT_COLUMNS))


def _by_name(rows: Iterable[Row]) -> Mapping[str, Parameter]:
    return MappingProxyType(by_key([(row, _parameter(row)) for row in rows], "name", lambda item: item.name))


def _parameter(row: Row) -> Parameter:
    unit = row.optional("unit")
    low, high = row.maybe("low", row.real), row.maybe("high", row.real)
    value = None if unit == "date" else _value(row, "value", low, high)
    prior = _value(row, "prior", low, high) if row.cells.get("prior") else value
    return Parameter(
        name=row.text("name"),
        value=row.day("value") if value is None else value,
        prior=prior,
        unit=unit,
        low=low,
        high=high,
        basis=row.text("basis"),
        evidence=row.choice("evidence", MARKS),
    )


def _value(row: Row, field: str, low: float | None, high: float | None) -> float:
    value = row.share(field) if row.cells["unit"] == "share" else row.real(field)
    if (low is not None and value < low) or (high is not None and value > high):
        row.fail(field, f"{value} is outside {row.cells['low']}..{row.cells['high']}", "correct value, low or high")
    return value


def read_profiles(folder: Folder, provinces: Collection[str]) -> Mapping[str, ProvinceProfile]:
    rows = read_rows(folder, "province_profiles.csv", PROFILE_COLUMNS)
    pairs = [(row, _profile(row, provinces)) for row in rows]
    profiles = by_key(pairs, "code", lambda profile: profile.code)
    for code in provinces:
        if code not in profiles:
            pairs[-1][0].fail("code", f"province {code!r} has no row after this last one", "add it")
    return MappingProxyType(profiles)


def _profile(row: Row, provinces: Container[str]) -> ProvinceProfile:
    factor = row.real("volume_factor")
    if factor <= 0:
        row.fail("volume_factor", f"{factor} is not positive", "write the province's volume against the country's")
    return ProvinceProfile(
        code=row.known("code", row.text("code"), provinces, "provinces.csv"),
        volume_factor=factor,
        **{name: row.share(name) for name in PROFILE_SHARES},
        evidence=MappingProxyType({name: row.choice(f"{name}_evidence", MARKS) for name in PROFILE_FIELDS}),
        basis=row.text("basis"),
    )


def read_observations(folder: Folder, h_codes: Container[str]) -> tuple[Observation, ...]:
    rows = read_rows(folder, "observations.csv", OBSERVATION_COLUMNS)
    return tuple(_observation(row, h_codes) for row in rows)


def _observation(row: Row, h_codes: Container[str]) -> Observation:
    h_code = row.optional("h_code")
    return Observation(
        scope=row.text("scope"),
        name=row.text("name"),
        h_code=row.known("h_code", h_code, h_codes, "provinces.csv") if h_code else "",
        period_start=row.maybe("period_start", row.day),
        period_end=row.maybe("period_end", row.day),
        metric=row.text("metric"),
        value=row.real("value"),
        unit=row.text("unit"),
        comparison=row.choice("comparison", COMPARISONS),
        source=row.text("source"),
        evidence=row.choice("evidence", MARKS),
        note=row.optional("note"),
    )


def read_targets(folder: Folder, observations: Iterable[Observation]) -> tuple[Target, ...]:
    """The published figures to compare with; each row names exactly one observation."""
    known: dict[tuple[str, ...], list[Observation]] = {}
    for each in observations:
        end = each.period_end.isoformat() if each.period_end else ""
        known.setdefault((each.metric, each.scope, each.name, end), []).append(each)
    rows = read_rows(folder, "targets.csv", TARGET_COLUMNS)
    return tuple(_target(row, known.get(tuple(row.cells[field] for field in TARGET_KEY), [])) for row in rows)


def _target(row: Row, named: Sequence[Observation]) -> Target:
    value = row.real("value")
    if len(named) != 1 or named[0].value != value:
        what = f"{[each.value for each in named]} of observations.csv have this metric, scope, name and period"
        row.fail("value", what, "name one observation, and write its value")
    return Target(
        observation=named[0],
        role=row.choice("role", TARGET_ROLES),
        tolerance=row.real("tolerance_points"),
        day=row.day("day"),
        basis=row.optional("basis"),
    )


def read_index(folder: Folder) -> tuple[IndexComponent, ...]:
    """The components of the index of Decision 766, in file order; their points sum to 100."""
    rows = read_rows(folder, "index.csv", INDEX_COLUMNS)
    pairs = [(row, _index_component(row)) for row in rows]
    components = tuple(by_key(pairs, "code", lambda item: item.code).values())
    total = sum(component.points for component in components)
    if total != INDEX_POINTS:
        rows[-1].fail("points", f"all points sum to {total}", f"make them sum to {INDEX_POINTS}")
    return components


def _index_component(row: Row) -> IndexComponent:
    return IndexComponent(
        code=row.text("code"),
        group=row.text("group"),
        name_vi=row.text("name_vi"),
        name_en=row.text("name_en"),
        points=row.whole("points", 1),
        target=row.maybe("target", row.share),
        measure=row.choice("measure", INDEX_MEASURES),
        evidence=row.choice("evidence", MARKS),
        basis=row.text("basis"),
    )


def read_outages(folder: Folder) -> tuple[Outage, ...]:
    return tuple(_outage(row) for row in read_rows(folder, "outages.csv", OUTAGE_COLUMNS))


def _outage(row: Row) -> Outage:
    return Outage(
        no=row.whole("no", 1),
        start_date=row.day("start_date"),
        end_date=row.day("end_date"),
        window_start=row.maybe("window_start", row.moment),
        window_end=row.maybe("window_end", row.moment),
        system=row.text("system"),
        kind=row.text("kind"),
        duration_h=row.maybe("duration_h", row.real),
        effect=row.text("effect"),
        scenario=row.text("scenario"),
        source=row.text("source"),
        evidence=row.choice("evidence", MARKS),
        note=row.optional("note"),
    )


def read_holidays(folder: Folder) -> tuple[Holiday, ...]:
    pairs = [(row, _holiday(row)) for row in read_rows(folder, "holidays.csv", HOLIDAY_COLUMNS)]
    return tuple(by_key(pairs, "date", lambda holiday: holiday.date.isoformat()).values())


def _holiday(row: Row) -> Holiday:
    day = row.day("date")
    kind = row.choice("kind", HOLIDAY_KINDS)
    if kind == "working_saturday" and day.weekday() != SATURDAY:
        row.fail("date", f"{day} is not a Saturday", "correct the date or the kind")
    return Holiday(
        date=day,
        name_vi=row.text("name_vi"),
        kind=kind,
        evidence=row.choice("evidence", MARKS),
        basis=row.text("basis"),
    )
