import math
from dataclasses import replace
from datetime import date

import pytest

from domain import Domain, DomainError, load, load_domain, with_values
from domain.models import Component

CERTIFICATE_OF_LAND = "1.013831"
PERMANENT_RESIDENCE = "1.004222"
INSURANCE_RENEWAL = "X.000017"


@pytest.fixture(scope="module")
def domain() -> Domain:
    return load_domain()


def weighted_mean(domain: Domain, name: str) -> float:
    weights = {code: domain.provinces[code].population * row.volume_factor for code, row in domain.profiles.items()}
    total = sum(weights.values())
    shares: dict[str, float] = {code: getattr(row, name) for code, row in domain.profiles.items()}
    return sum(weights[code] * share for code, share in shares.items()) / total


def test_the_country_has_34_provinces_and_3321_communes(domain):
    assert len(domain.provinces) == domain.facts["count.provinces"].value == 34
    assert len(domain.communes) == domain.facts["count.communes"].value == 3321
    assert sum(province.population for province in domain.provinces.values()) == domain.facts["population.total"].value


def test_the_list_has_25_services_with_98_components(domain):
    listed = [procedure for procedure in domain.procedures.values() if procedure.in_list_25]
    assert len(listed) == 25
    assert sum(len(procedure.components) for procedure in listed) == 98
    assert all(procedure.service_level == "full" for procedure in listed)


def test_communes_carry_their_kind_in_their_name(domain):
    words = {"xa": "Xã ", "phuong": "Phường ", "dac_khu": "Đặc khu "}
    assert all(commune.name_vi.startswith(words[commune.kind]) for commune in domain.communes.values())
    assert not any("  " in commune.name_vi for commune in domain.communes.values())


def test_every_province_lists_its_own_communes(domain):
    for code, province in domain.provinces.items():
        communes = domain.communes_of(code)
        assert len(communes) == province.communes
        assert {commune.province for commune in communes} == {code}


def test_cities_and_provinces_share_one_map_without_overlap(domain):
    assert len({(province.tile_row, province.tile_col) for province in domain.provinces.values()}) == 34


def test_citizen_prefixes_are_never_shared_by_provinces(domain):
    codes = [code for province in domain.provinces.values() for code in province.old_codes]
    assert len(codes) == len(set(codes)) == 63


def test_the_mix_of_dossiers_sums_to_one(domain):
    mix = domain.mix()
    assert math.isclose(sum(share for _, share in mix), 1, abs_tol=1e-12)
    assert [code for code, _ in mix] == list(domain.procedures)


def test_the_25_services_have_their_share_of_dossiers(domain):
    listed = sum(share for code, share in domain.mix() if domain.procedures[code].in_list_25)
    assert math.isclose(listed, domain.number("volume.share_25_services"), abs_tol=1e-12)


def test_ministries_run_most_of_the_25_services(domain):
    run = sum(p.volume_weight for p in domain.procedures.values() if p.in_list_25 and p.authority == "ministry")
    assert run == pytest.approx(domain.ministry_run_share(date(2025, 10, 8)), abs=0.002)


def test_the_counters_hold_what_the_parameters_say(domain):
    mix = dict(domain.mix())
    run = {code: share for code, share in mix.items() if domain.procedures[code].authority == "ministry"}
    groups = {code: share for code, share in mix.items() if not domain.procedures[code].in_list_25}
    levels = {code: domain.procedures[code].service_level for code in groups}
    full = sum(share for code, share in groups.items() if levels[code] == "full") / sum(groups.values())
    informing = sum(share for code, share in groups.items() if levels[code] == "information") / sum(groups.values())
    assert sum(run.values()) == pytest.approx(domain.number("volume.counter_ministry_run_share"))
    assert full == pytest.approx(domain.number("volume.full_groups_share"))
    assert informing == pytest.approx(domain.number("volume.information_group_share"))


def test_parts_of_the_counters_that_leave_less_than_nothing_are_refused(domain):
    with pytest.raises(DomainError, match=r"province is left -0\."):
        with_values(domain, {"volume.counter_ministry_run_share": 0.5}).mix()


def test_other_procedures_are_mostly_filed_at_communes(domain):
    others = {code: share for code, share in domain.mix() if not domain.procedures[code].in_list_25}
    communes = sum(share for code, share in others.items() if domain.procedures[code].level == "commune")
    assert communes / sum(others.values()) == pytest.approx(domain.facts["volume.commune_level_share"].value, abs=0.01)
    assert {domain.procedures[code].service_level for code in others} == {"full", "partial", "information"}


def test_a_moved_parameter_moves_every_province_inside_its_range(domain):
    changed = with_values(domain, {"result.electronic_share": 0.85, "supplement.no_answer_share": 0.1})
    before = domain.number("result.electronic_share")
    for code, profile in changed.profiles.items():
        expected = max(domain.profiles[code].electronic_result_share + 0.85 - before, 0.6)
        assert profile.electronic_result_share == pytest.approx(expected)
        assert profile.online_share == domain.profiles[code].online_share
    assert changed.number("supplement.no_answer_share") == 0.1
    with pytest.raises(DomainError, match="no parameter"):
        with_values(domain, {"result.electronic": 0.85})


def test_identity_card_and_marriage_never_count_as_end_to_end(domain):
    out = {code for code, p in domain.procedures.items() if p.in_list_25 and not p.can_be_end_to_end}
    assert out == {"1.014063", "1.000894"}


def test_partly_online_services_never_count_as_end_to_end(domain):
    partly = [procedure for procedure in domain.procedures.values() if procedure.service_level != "full"]
    assert partly
    assert not any(procedure.can_be_end_to_end for procedure in partly)


def test_a_plain_form_needs_no_proof(domain):
    form = domain.procedures[PERMANENT_RESIDENCE].components["mau_ct01"]
    assert (form.needs_proof, form.replaceable) == (False, False)


def test_a_form_backed_by_data_needs_proof(domain):
    form = domain.procedures[INSURANCE_RENEWAL].components["ma_so_bhxh"]
    assert form.kind == "form"
    assert (form.needs_proof, form.replaceable) == (True, True)


def test_a_paper_no_database_knows_still_needs_proof(domain):
    paper = domain.procedures[PERMANENT_RESIDENCE].components["hop_dong_thue_muon"]
    assert (paper.needs_proof, paper.replaceable) == (True, False)


def test_lodging_is_looked_up_in_three_databases_in_order(domain):
    lodging = domain.procedures[PERMANENT_RESIDENCE].components["cho_o_hop_phap"]
    assert lodging.databases == ("dan_cu", "cu_tru", "dat_dai")
    assert lodging.usable_rates == (0.3, 0.4, 0.69)


def test_a_component_without_override_takes_the_database_rate(domain):
    certificate = domain.procedures[CERTIFICATE_OF_LAND].components["gcn_qsdd"]
    assert certificate.usable_rates == (domain.databases["dat_dai"].usable_rate,)
    assert certificate.fallback == "original"


def test_proofs_are_the_components_that_need_proof(domain):
    for procedure in domain.procedures.values():
        expected: list[Component] = [item for item in procedure.components.values() if item.needs_proof]
        assert list(procedure.proofs) == expected
        assert [item.position for item in procedure.components.values()] == list(
            range(1, len(procedure.components) + 1)
        )


@pytest.mark.parametrize(
    ("field", "parameter"),
    [
        ("online_share", "channel.online_share_oct_2025"),
        ("paper_answer_share", "supplement.paper_answer_share"),
        ("paper_taken_share", "channel.paper_taken_share_no_paper_rule"),
        ("level2_share", "account.level2_share_of_applicants"),
        ("online_payment_share", "payment.online_share"),
        ("electronic_result_share", "result.electronic_share"),
    ],
)
def test_the_provinces_together_meet_the_national_figure(domain, field, parameter):
    assert weighted_mean(domain, field) == pytest.approx(domain.number(parameter), abs=0.001)
    bounds = domain.parameters[parameter]
    assert all(bounds.low <= getattr(row, field) <= bounds.high for row in domain.profiles.values())


def test_volume_factors_average_one_by_population(domain):
    people = sum(province.population for province in domain.provinces.values())
    dossiers = sum(domain.provinces[code].population * row.volume_factor for code, row in domain.profiles.items())
    assert dossiers / people == pytest.approx(1, abs=0.001)


@pytest.mark.parametrize(("province", "online"), [("79", 0.965), ("01", 0.597), ("46", 0.95)])
def test_a_published_online_share_is_kept_as_published(domain, province, online):
    profile = domain.profiles[province]
    assert (profile.online_share, profile.evidence["online_share"]) == (online, "B")
    published = domain.published("online_share", h_code=domain.provinces[province].h_code)
    assert round(published[0].value, 3) == online


@pytest.mark.parametrize(
    ("on", "share"),
    [(date(2025, 1, 1), 0.675), (date(2025, 6, 18), 0.675), (date(2025, 10, 8), 0.614), (date(2025, 12, 1), 0.585)],
)
def test_the_published_mix_of_the_country_moves(domain, on, share):
    assert domain.ministry_run_share(on) == share


def test_every_target_is_a_published_figure(domain):
    assert {target.role for target in domain.targets} == {"fit", "held out"}
    assert all(target.observation in domain.observations for target in domain.targets)
    fitted = [target.observation for target in domain.targets if target.role == "fit"]
    assert {row.metric for row in fitted} == {"d1_rate", "on_time_share"}


def test_published_rates_are_found_by_metric_and_scope(domain):
    found = domain.published("d1_rate", "all_provinces", name="34 tỉnh, thành phố")
    assert [row.value for row in found] == [0.1694, 0.1181, 0.1521, 0.2117]
    assert domain.published("d1_rate", "province", h_code="H26") == ()


def test_a_misspelled_parameter_gets_a_suggestion(domain):
    with pytest.raises(DomainError, match=r"did you mean .*supplement\.paper_answer_share"):
        domain.number("supplement.paper_anser_share")


def test_a_misspelled_metric_gets_a_suggestion(domain):
    with pytest.raises(DomainError, match="did you mean d1_rate"):
        domain.published("d1_rat")


def test_an_unknown_province_is_named_with_its_file(domain):
    with pytest.raises(DomainError, match=r"provinces\.csv row -, field code: no province '02'"):
        domain.communes_of("02")


def test_a_date_is_no_number(domain):
    dated = replace(domain, parameters={**domain.parameters, "date.ct24": domain.facts["date.ct24"]})
    with pytest.raises(DomainError, match=r"is a date; make it the date of a reform"):
        dated.number("date.ct24")


def test_facts_cannot_be_changed_by_accident(domain):
    with pytest.raises(TypeError):
        domain.provinces["99"] = domain.provinces["01"]
    with pytest.raises(AttributeError):
        domain.provinces["01"].population = 0


def test_the_packaged_facts_are_loaded_once(domain):
    assert load_domain() is domain
    assert load() == domain
    assert load() is not domain
