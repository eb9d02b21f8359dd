"""Who files, and what they would do."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime
from math import sqrt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import ApplicationSubmitted
from domain import load_domain, with_values
from paperless.population.arrivals import Arrival, Mode, SimulatedDay, arrivals, commune_loads
from paperless.population.population import Population
from paperless.population.scenario import load_scenario, simulated_days
from paperless.population.shares import NO_OVERRIDES, shares_of

DOMAIN = load_domain()


def day_of(shares: Mapping[str, float] = NO_OVERRIDES, *, applications: int = 12_000) -> SimulatedDay:
    scenario = load_scenario("national-day", DOMAIN).model_copy(update={"shares": dict(shares)})
    return simulated_days(scenario, DOMAIN, seed=7, applications=applications)[0]


@pytest.fixture(scope="module")
def filed() -> list[dict[str, Any]]:
    day = day_of()
    population = Population(day)
    return [json.loads(value) for _, value in map(population.submission, arrivals(day))]


def online(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["channel"] == "online"]


def assert_share(found: int, of: int, expected: float) -> None:
    assert of > 100
    assert abs(found - of * expected) <= 6 * sqrt(of * expected * (1 - expected)) + 1


def mean(field: str) -> float:
    """The share of a field over the country, weighted as its days are."""
    day = day_of()
    shares = Counter[str](day.communes[arrival.commune].province for arrival in arrivals(day))
    whole = sum(shares.values())
    return sum(count * float(getattr(day.shares[code], field)) for code, count in shares.items()) / whole


DAY = day_of()
POPULATIONS = {seed: Population(replace(DAY, seed=seed)) for seed in (0, 7, 2**64 - 1)}


@given(
    seed=st.sampled_from(sorted(POPULATIONS)),
    arrival=st.builds(
        Arrival,
        second=st.integers(0, 86_399),
        commune=st.integers(0, len(DAY.communes) - 1),
        number=st.integers(1, 2**20 - 1),
        procedure=st.integers(0, len(DAY.procedures) - 1),
        mode=st.sampled_from([int(mode) for mode in Mode]),
    ),
)
def test_every_application_keeps_the_contract_to_the_byte(seed: int, arrival: Arrival):
    key, value = POPULATIONS[seed].submission(arrival)
    event = ApplicationSubmitted.model_validate_json(value, strict=True)
    assert event.model_dump_json().encode() == value
    assert key == event.application_id.encode()
    place = DAY.communes[arrival.commune]
    assert (event.commune, event.province) == (place.code, place.province)
    assert event.procedure == DAY.procedures[arrival.procedure].code
    assert POPULATIONS[seed].submission(arrival) == (key, value)


def test_a_procedure_with_too_many_proofs_is_refused():
    procedure = DAY.procedures[0]
    crowded = replace(procedure, proofs=procedure.proofs[:1] * 17)
    with pytest.raises(ValueError, match=f"procedure {procedure.code}: 17 proofs"):
        Population(replace(DAY, procedures=(crowded,)))


def test_the_application_id_tells_the_second_of_submission(filed: list[dict[str, Any]]):
    for event in filed[::50]:
        milliseconds = int(event["application_id"].replace("-", "")[:12], 16)
        assert milliseconds == datetime.fromisoformat(event["submitted_at"]).timestamp() * 1000


def test_no_two_applications_share_an_id_or_a_code(filed: list[dict[str, Any]]):
    assert len({event["application_id"] for event in filed}) == len(filed)
    assert len({event["dossier_code"] for event in filed}) == len(filed)


def test_another_seed_has_other_people_at_the_same_place():
    arrival = Arrival(36_000, 5, 1, 3, 0)
    values = {population.submission(arrival)[1] for population in POPULATIONS.values()}
    assert len(values) == len(POPULATIONS) > 1


def test_the_dossier_code_names_province_commune_and_day():
    commune = next(i for i, c in enumerate(DAY.communes) if c.province == "79")
    _, value = POPULATIONS[7].submission(Arrival(36_000, commune, 12, 3, 0))
    event = json.loads(value)
    assert event["dossier_code"] == "H29.01-251008-0012"


def test_no_citizen_has_the_number_of_a_persona(filed: list[dict[str, Any]]):
    old_codes = {f"0{code}" for province in DOMAIN.provinces.values() for code in province.old_codes}
    assert all(event["citizen_number"][:3] in old_codes for event in filed)
    assert "999" not in old_codes


def test_citizens_are_adults_of_both_sexes_and_centuries(filed: list[dict[str, Any]]):
    digits = Counter(event["citizen_number"][3] for event in filed)
    assert set(digits) == {"0", "1", "2", "3"}
    years = {1900 + 100 * (int(n[3]) // 2) + int(n[4:6]) for n in (event["citizen_number"] for event in filed)}
    assert (min(years), max(years)) == (1945, 2007)
    assert_share(digits["0"] + digits["2"], len(filed), 0.5)


def test_most_people_file_where_they_live(filed: list[dict[str, Any]]):
    home = sum(1 for event in filed if event["home_province"] == event["province"])
    assert 0.88 < home / len(filed) < 0.95


def test_online_needs_level_two_bar_a_few(filed: list[dict[str, Any]]):
    levels = Counter(event["account_level"] for event in online(filed))
    assert set(levels) == {1, 2}
    assert_share(levels[1], len(online(filed)), 0.002)


def test_people_without_an_account_come_to_the_counter(filed: list[dict[str, Any]]):
    levels = Counter(event["account_level"] for event in filed if event["channel"] == "direct")
    assert set(levels) == {0, 1, 2}
    assert levels[0] + levels[1] > levels[2]


def looked_up(event: dict[str, Any]) -> list[str]:
    components = DOMAIN.procedures[event["procedure"]].components
    return [slug for slug in event["components"] if components[slug].replaceable]


def test_consent_is_refused_component_by_component_and_hardly_ever(filed: list[dict[str, Any]]):
    assert all(event["consent"] for event in filed)
    assert all({*event.get("consent_refused", ())} <= {*looked_up(event)} for event in filed)
    refused = [len(event["consent_refused"]) for event in filed if "consent_refused" in event]
    assert set(refused) == {1}
    assert_share(len(refused), sum(map(len, map(looked_up, filed))), DOMAIN.number("account.refused_consent_share"))


@pytest.mark.parametrize("share", [0.01, 0.3])
def test_every_component_is_refused_by_the_same_share(share: float):
    """Also where it is so large that some refuse several."""
    events = list(people_of(day_of({"refused_consent_share": share}, applications=20_000)).values())
    known, refused = (
        Counter((event["procedure"], slug) for event in events for slug in slugs(event))
        for slugs in (looked_up, lambda event: event.get("consent_refused", ()))
    )
    common = [key for key, count in known.items() if count >= 500]
    assert len(common) > 10
    for key in common:
        assert_share(refused[key], known[key], share)


def test_a_larger_share_refuses_what_a_smaller_one_does():
    less, more = (people_of(day_of({"refused_consent_share": share}, applications=5_000)) for share in (0.02, 0.2))
    refused, still_refused = (
        {(code, slug) for code, event in people.items() for slug in event.get("consent_refused", ())}
        for people in (less, more)
    )
    assert refused
    assert refused <= still_refused


def test_paper_filers_bring_what_no_database_knows(filed: list[dict[str, Any]]):
    answers = Counter(
        answer
        for event in filed
        if event["channel"] != "online"
        for slug, answer in event["components"].items()
        if not DOMAIN.procedures[event["procedure"]].components[slug].replaceable
    )
    assert set(answers) == {"paper"}


def test_online_filers_attach_what_no_database_knows(filed: list[dict[str, Any]]):
    answers = Counter(
        answer
        for event in online(filed)
        for slug, answer in event["components"].items()
        if not (component := DOMAIN.procedures[event["procedure"]].components[slug]).replaceable
        and component.fallback != "original"
    )
    assert set(answers) == {"upload"}


def test_an_original_is_brought_or_not_at_all(filed: list[dict[str, Any]]):
    answers = Counter(
        answer
        for event in filed
        for slug, answer in event["components"].items()
        if DOMAIN.procedures[event["procedure"]].components[slug].fallback == "original"
    )
    assert set(answers) == {"paper", "none"}


def test_an_original_that_no_database_knows_may_never_come(filed: list[dict[str, Any]]):
    # Certification of copies: the original has no database behind it, so who files online must still bring it.
    answers = Counter(event["components"]["ban_chinh"] for event in online(filed) if event["procedure"] == "X.900003")
    assert_share(answers["none"], sum(answers.values()), DOMAIN.number("supplement.no_answer_share"))


def asked(events: list[dict[str, Any]]) -> Counter[str]:
    """Answers of online filers on components that data may replace and an upload can answer."""
    return Counter(
        answer
        for event in online(events)
        for slug, answer in event["components"].items()
        if (component := DOMAIN.procedures[event["procedure"]].components[slug]).replaceable
        and component.fallback != "original"
    )


def test_some_online_filers_answer_on_paper_or_never(filed: list[dict[str, Any]]):
    answers = asked(filed)
    whole = sum(answers.values())
    no_answer = DOMAIN.number("supplement.no_answer_share")
    # Components of one application are silent together, so the bound is wider than for independent ones.
    assert abs(answers["none"] / whole - no_answer) < 0.02
    assert abs(answers["paper"] / (whole - answers["none"]) - mean("paper_answer_share")) < 0.03


def test_who_does_not_answer_answers_nothing(filed: list[dict[str, Any]]):
    for event in online(filed):
        components = DOMAIN.procedures[event["procedure"]].components
        answers = {answer for slug, answer in event["components"].items() if components[slug].replaceable}
        assert answers == {"none"} or "none" not in answers


def test_components_are_needed_at_their_rate(filed: list[dict[str, Any]]):
    code, slug = "1.004222", "quan_he_nhan_than"
    events = [event for event in filed if event["procedure"] == code]
    needed = sum(1 for event in events if slug in event["components"])
    assert_share(needed, len(events), DOMAIN.procedures[code].components[slug].needed_rate)
    assert all("mau_ct01" not in event["components"] for event in events)


def test_fees_are_unknown_only_where_none_is_due(filed: list[dict[str, Any]]):
    for event in filed:
        due = DOMAIN.procedures[event["procedure"]].fee_online_vnd > 0
        assert (event["fee_paid_online"] is not None) == due
        assert event["channel"] == "online" or not event["fee_paid_online"]


def test_most_online_fees_are_paid_online(filed: list[dict[str, Any]]):
    paid = [event["fee_paid_online"] for event in online(filed) if event["fee_paid_online"] is not None]
    assert abs(sum(paid) / len(paid) - mean("online_payment_share")) < 0.03


def test_a_physical_result_is_never_returned_electronically(filed: list[dict[str, Any]]):
    physical = [event for event in filed if not DOMAIN.procedures[event["procedure"]].electronic_result]
    assert physical
    assert not any(event["electronic_result"] for event in physical)
    assert {event["result_delivery"] for event in physical} == {"post", "counter"}


def test_an_electronic_result_is_fetched_on_paper_on_request(filed: list[dict[str, Any]]):
    electronic = [event for event in filed if event["electronic_result"]]
    delivered = sum(1 for event in electronic if event["result_delivery"] == "electronic")
    assert_share(delivered, len(electronic), 1 - DOMAIN.number("result.paper_on_request_share"))


def filed_with(parameter: str, value: float) -> list[dict[str, Any]]:
    domain = with_values(DOMAIN, {parameter: value})
    (day,) = simulated_days(load_scenario("national-day", domain), domain, seed=7, applications=12_000)
    return [json.loads(value) for _, value in map(Population(day).submission, arrivals(day))]


def test_offices_take_half_the_limit_in_the_median_where_load_costs_nothing():
    filed = filed_with("handling.load_exponent", 0)
    minutes = sorted(event["handling_minutes"] for event in filed if event["procedure"] == "2.001159")
    # A notification of stay: the limit is one hour.
    assert 27 <= minutes[len(minutes) // 2] <= 33
    # Births are registered the same day: what comes last at 15:00 has two hours until the close.
    same_day = sorted(event["handling_minutes"] for event in filed if event["procedure"] == "1.001193")
    assert 55 <= same_day[len(same_day) // 2] <= 65
    week = sorted(event["handling_minutes"] for event in filed if event["procedure"] == "1.004222")
    assert 0.9 * 3.5 * 480 <= week[len(week) // 2] <= 1.1 * 3.5 * 480


def test_a_commune_takes_as_much_longer_as_it_has_more_to_do(filed: list[dict[str, Any]]):
    unloaded = {event["dossier_code"]: handled_by_level(event) for event in filed_with("handling.load_exponent", 0)}
    loads = dict(zip([commune.code for commune in DAY.communes], commune_loads(DAY), strict=True))
    for event in filed:
        for (level, minutes), (_, before) in zip(handled_by_level(event), unloaded[event["dossier_code"]], strict=True):
            factor = loads[event["commune"]] if level == "commune" else 1
            # Both are rounded to whole minutes.
            assert abs(minutes - before * factor) <= 0.5 + 0.5 * factor


def handled_by_level(event: dict[str, Any]) -> list[tuple[str, int]]:
    procedure = DOMAIN.procedures[event["procedure"]]
    if procedure.parts:
        return [(part.level, event["part_minutes"][part.slug]) for part in procedure.parts]
    return [(procedure.level, event["handling_minutes"])]


def test_communes_of_a_province_have_a_load_of_one_on_average():
    loads: dict[str, float] = dict.fromkeys(DOMAIN.provinces, 0.0)
    for commune, load in zip(DAY.communes, commune_loads(DAY), strict=True):
        loads[commune.province] += load
    assert all(loads[code] == pytest.approx(len(DOMAIN.communes_of(code))) for code in DOMAIN.provinces)


def test_what_goes_by_post_is_a_property_of_the_procedure(filed: list[dict[str, Any]]):
    for by_post, parameter in ((True, "result.physical_by_post_share"), (False, "result.post_return_share")):
        sent = [
            event["result_delivery"] == "post"
            for event in filed
            if event["result_delivery"] != "electronic"
            and DOMAIN.procedures[event["procedure"]].result_by_post is by_post
        ]
        assert_share(sum(sent), len(sent), DOMAIN.number(parameter))


def test_a_supplement_takes_three_working_days_in_the_median(filed: list[dict[str, Any]]):
    minutes = sorted(event["supplement_minutes"] for event in filed)
    assert abs(minutes[len(minutes) // 2] - 3 * 480) < 60


def test_the_no_paper_rule_concerns_the_25_services_alone():
    before, after = (shares_of(DOMAIN, "01", day) for day in (date(2025, 9, 30), date(2025, 10, 1)))
    elsewhere = DOMAIN.number("channel.paper_taken_share")
    assert before.paper_taken_share == before.paper_taken_other_share == after.paper_taken_other_share == elsewhere
    assert after.paper_taken_share == DOMAIN.profiles["01"].paper_taken_share < elsewhere


def test_paper_is_taken_by_the_share_of_the_procedure():
    day = day_of({"paper_taken_share": 0.0, "paper_taken_other_share": 1.0, "asked_again_share": 0.0}, applications=500)
    events = [json.loads(value) for _, value in map(Population(day).submission, arrivals(day))]
    assert all(event["asks_anyway"] is not DOMAIN.procedures[event["procedure"]].in_list_25 for event in events)


def test_each_part_of_a_linked_service_is_drawn_and_the_last_one_ends_it():
    events = people_of(day_of(applications=30_000)).values()
    linked = [event for event in events if DOMAIN.procedures[event["procedure"]].parts]
    assert {event["procedure"] for event in linked} == {"2.002621", "2.002622"}
    assert not any("part_minutes" in event for event in events if event not in linked)
    for event in linked:
        minutes, (first, *others) = event["part_minutes"], DOMAIN.procedures[event["procedure"]].parts
        assert list(minutes) == [first.slug, *[part.slug for part in others]]
        assert event["handling_minutes"] == minutes[first.slug] + max(minutes[part.slug] for part in others)
    births = [event["part_minutes"] for event in linked if event["procedure"] == "2.002621"]
    # 120 minutes of the day, 2 working days: both are halved (handling.median_share_of_limit); a card knows no commune.
    assert sorted(each["the_bhyt"] for each in births)[len(births) // 2] == pytest.approx(480, rel=0.1)
    assert sorted(each["khai_sinh"] for each in births)[len(births) // 2] == pytest.approx(60, rel=0.4)
    assert len({(each["thuong_tru"] > 480, each["the_bhyt"] > 480) for each in births}) == 4


def test_no_office_both_takes_paper_and_asks_again(filed: list[dict[str, Any]]):
    assert not any(event["asks_anyway"] and event["asks_again"] for event in filed)
    again = DOMAIN.number("channel.asked_again_share")
    assert_share(sum(event["asks_again"] for event in filed), len(filed), again)


@pytest.mark.parametrize(
    ("share", "holds"),
    [
        ("refused_consent_share", lambda event: event.get("consent_refused", []) == looked_up(event)),
        ("asked_again_share", lambda event: event["asks_again"]),
    ],
)
def test_an_overridden_share_holds_in_every_province(share: str, holds: Callable[[dict[str, Any]], bool]):
    assert all(holds(event) for event in people_of(day_of({share: 1.0}, applications=500)).values())


# --- draws that do not move ---------------------------------------------------------------------------------------


def people_of(day: SimulatedDay) -> dict[str, dict[str, Any]]:
    events = [json.loads(value) for _, value in map(Population(day).submission, arrivals(day))]
    return {event["dossier_code"]: event for event in events}


def test_more_online_filing_moves_only_who_then_files_online():
    """The others keep everything; who moves keeps the drawn part of the id, by which faults are drawn."""
    before, after = (people_of(day_of({"online_share": share}, applications=3_000)) for share in (0.8, 0.9))
    moved = 0
    for code, event in before.items():
        assert after[code]["application_id"][14:] == event["application_id"][14:]
        if after[code]["channel"] == event["channel"]:
            assert {**after[code], "account_level": 2} == {**event, "account_level": 2}
        else:
            moved += 1
            assert (event["channel"], after[code]["channel"]) == ("direct", "online")
            assert after[code]["citizen_number"] == event["citizen_number"]
    assert 150 < moved < 450


def test_more_help_moves_nobody_to_another_channel():
    before, after = (people_of(day_of({"assisted_share": share}, applications=3_000)) for share in (0.2, 0.6))
    assert all(after[code]["channel"] == event["channel"] for code, event in before.items())
    assert not any(event["assisted"] and not after[code]["assisted"] for code, event in before.items())
