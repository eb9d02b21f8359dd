"""When and where applications arrive."""

from collections import Counter
from dataclasses import replace
from datetime import date
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import load_domain
from paperless.population.arrivals import Arrival, Mode, SimulatedDay, apportion, arrivals, province_weight
from paperless.population.scenario import load_scenario, simulated_days
from paperless.population.time_of_day import counter_day, online_working_day, played_share

DOMAIN = load_domain()
OFFICE = [(8 * 3600, 12 * 3600), (13 * 3600, 17 * 3600)]


def day_of(scenario: str = "national-day", *, seed: int = 7, applications: int = 20_000) -> SimulatedDay:
    return simulated_days(load_scenario(scenario, DOMAIN), DOMAIN, seed=seed, applications=applications)[0]


@pytest.fixture(scope="module")
def wednesday() -> SimulatedDay:
    return day_of()


@pytest.fixture(scope="module")
def filed(wednesday: SimulatedDay) -> list[Arrival]:
    return list(arrivals(wednesday))


def assert_share(found: int, of: int, expected: float) -> None:
    """Six standard deviations of a binomial: a fixed seed makes it a check of the table, not of luck."""
    assert abs(found - of * expected) <= 6 * sqrt(of * expected * (1 - expected)) + 1


@given(st.lists(st.floats(min_value=0, max_value=1e6), min_size=1, max_size=50), st.integers(0, 10**6))
def test_apportioned_counts_add_up_and_stay_near_their_share(weights: list[float], total: int):
    whole = sum(weights)
    if whole < 1e-9:
        return
    counts = apportion(weights, total)
    assert sum(counts) == total
    assert all(abs(count - total * weight / whole) < 1.001 for count, weight in zip(counts, weights, strict=True))


def test_weights_without_any_volume_are_refused():
    with pytest.raises(ValueError, match="add up to 0"):
        apportion([0.0, 0.0], 10)


@pytest.mark.parametrize("total", [0, 1, 33, 3_321, 20_001])
def test_a_day_has_exactly_the_applications_asked_for(total: int):
    assert sum(1 for _ in arrivals(day_of(applications=total))) == total


def test_the_same_seed_files_the_same_applications_again(filed: list[Arrival]):
    assert list(arrivals(day_of())) == filed


def test_another_seed_files_other_applications(filed: list[Arrival]):
    assert list(arrivals(day_of(seed=8))) != filed


def test_applications_come_in_the_order_of_event_time(filed: list[Arrival]):
    assert [arrival.second for arrival in filed] == sorted(arrival.second for arrival in filed)
    assert all(0 <= arrival.second < 86_400 for arrival in filed)


def test_each_commune_numbers_its_applications_without_gaps(wednesday: SimulatedDay, filed: list[Arrival]):
    numbers: dict[int, set[int]] = {}
    for arrival in filed:
        numbers.setdefault(arrival.commune, set()).add(arrival.number)
    assert sum(map(len, numbers.values())) == len(filed)
    assert all(found == set(range(1, len(found) + 1)) for found in numbers.values())
    assert max(numbers) < len(wednesday.communes)


def test_one_more_application_leaves_the_others_as_they_were(filed: list[Arrival]):
    more = {(a.commune, a.number): a for a in arrivals(day_of(applications=20_001))}
    same = [a for a in filed if (a.commune, a.number) in more]
    assert len(same) > 0.9 * len(filed)
    assert all(more[a.commune, a.number] == a for a in same)


def test_provinces_file_by_population_and_volume_factor(wednesday: SimulatedDay, filed: list[Arrival]):
    found = Counter(wednesday.communes[arrival.commune].province for arrival in filed)
    whole = sum(province_weight(DOMAIN, code) for code in DOMAIN.provinces)
    for code in DOMAIN.provinces:
        assert abs(found[code] - len(filed) * province_weight(DOMAIN, code) / whole) <= 1.01


def test_wards_file_more_than_rural_communes(wednesday: SimulatedDay, filed: list[Arrival]):
    counts = Counter(arrival.commune for arrival in filed)
    in_hanoi = [(i, c.kind) for i, c in enumerate(wednesday.communes) if c.province == "01"]
    mean = {
        kind: sum(counts[i] for i, k in in_hanoi if k == kind) / sum(1 for _, k in in_hanoi if k == kind)
        for kind in ("phuong", "xa")
    }
    assert mean["phuong"] > mean["xa"]


def test_counters_and_helpers_work_in_office_hours_only(filed: list[Arrival]):
    at_counters = [a.second for a in filed if a.mode != Mode.ONLINE]
    assert len(at_counters) > 1_000
    assert all(any(opens <= second < closes for opens, closes in OFFICE) for second in at_counters)


def test_people_file_from_home_in_the_evening_too(filed: list[Arrival]):
    evening = [a for a in filed if a.second >= 18 * 3600]
    assert evening
    assert {a.mode for a in evening} == {Mode.ONLINE}


def test_four_fifths_of_a_day_come_before_the_cutoff(filed: list[Arrival]):
    before = sum(1 for arrival in filed if arrival.second < 15 * 3600)
    assert_share(before, len(filed), DOMAIN.number("volume.share_before_cutoff"))


def test_the_morning_peak_is_busier_than_noon(filed: list[Arrival]):
    hours = Counter(arrival.second // 3600 for arrival in filed)
    assert hours[8] > 3 * hours[11]
    assert hours[9] > 3 * hours[12]


def test_procedures_follow_the_mix(wednesday: SimulatedDay, filed: list[Arrival]):
    found = Counter(arrival.procedure for arrival in filed)
    for position, weight in enumerate(wednesday.weights):
        assert_share(found[position], len(filed), weight)


@pytest.mark.parametrize("province", ["01", "46", "79"])
def test_what_provinces_run_is_filed_online_at_the_published_share(province: str):
    """The share is of all that they run; what only informs is filed in person, and the rest online so more often."""
    scenario = load_scenario("one-province", DOMAIN).model_copy(update={"provinces": (province,)})
    (day,) = simulated_days(scenario, DOMAIN, seed=7, applications=20_000)
    run = [arrival for arrival in arrivals(day) if day.procedures[arrival.procedure].authority == "province"]
    online = sum(1 for arrival in run if arrival.mode <= Mode.ASSISTED)
    assert_share(online, len(run), DOMAIN.profiles[province].online_share)


def test_what_has_no_online_form_is_never_filed_online(wednesday: SimulatedDay, filed: list[Arrival]):
    modes = {a.mode for a in filed if wednesday.procedures[a.procedure].service_level == "information"}
    assert modes <= {Mode.POST, Mode.DIRECT}
    assert Mode.DIRECT in modes


def test_on_a_sunday_everything_is_filed_from_home():
    sunday = day_of("quiet-sunday")
    filed = list(arrivals(sunday))
    assert {arrival.mode for arrival in filed} == {Mode.ONLINE}
    assert all(sunday.procedures[a.procedure].service_level != "information" for a in filed)


def test_on_a_working_saturday_the_counters_are_open():
    saturday = date(2025, 4, 26)
    scenario = load_scenario("national-day", DOMAIN).model_copy(update={"days": (saturday,)})
    day = simulated_days(scenario, DOMAIN, seed=7, applications=2_000)[0]
    assert Mode.DIRECT in {arrival.mode for arrival in arrivals(day)}


def test_too_many_applications_of_one_commune_are_refused():
    day = day_of("one-province")
    crowded = replace(day, communes=day.communes[:1], applications=1_048_576)
    with pytest.raises(ValueError, match="1048576 applications of one commune on one day do not fit"):
        next(arrivals(crowded))


@given(st.floats(min_value=0, max_value=1, exclude_max=True))
def test_a_time_of_day_lies_inside_its_hours(u: float):
    assert 0 <= online_working_day(DOMAIN)(u) < 86_400
    assert any(opens <= counter_day(DOMAIN)(u) < closes for opens, closes in OFFICE)


@given(st.floats(min_value=0, max_value=0.999), st.floats(min_value=0, max_value=0.999))
def test_a_later_draw_is_a_later_time(first: float, second: float):
    low, high = sorted((first, second))
    at = online_working_day(DOMAIN)
    assert at(low) <= at(high)


@given(st.integers(0, 86_400), st.integers(0, 86_400))
def test_a_played_day_moves_forward_from_start_to_end(first: int, second: int):
    low, high = sorted((first, second))
    assert 0 <= played_share(low) <= played_share(high) <= 1


def test_the_night_takes_little_of_a_played_day():
    assert played_share(0) == 0
    assert played_share(86_400) == pytest.approx(1)
    assert played_share(6 * 3600) < 0.05
    assert played_share(22 * 3600) > 0.95
