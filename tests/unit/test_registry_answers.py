"""What the databases know: the same for everyone who asks, and as often as published."""

from collections import Counter
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import Component, load_domain
from services.vneid_mock.registry import LookUp

# A rate of 0 is of a database that never has the document.
NEARLY_NEVER = 1e-9
REPLACEABLE = [
    component
    for procedure in load_domain().procedures.values()
    for component in procedure.components.values()
    if component.replaceable
]
seeds = st.integers(0, 2**64 - 1)
citizens = st.from_regex(r"0\d{11}", fullmatch=True)


def look_up(seed: int, citizen_number: str, component: Component) -> tuple[str, str]:
    """The answer of a component's databases, and which of them gave it."""
    answer, database, _ = LookUp.of(component, load_domain()).find(seed, citizen_number)
    return answer, database


def component_of(procedure: str, slug: str) -> Component:
    return load_domain().procedures[procedure].components[slug]


@given(seeds, citizens, st.sampled_from(REPLACEABLE))
def test_the_answer_names_one_of_the_components_databases(seed, citizen, component):
    look = LookUp.of(component, load_domain())
    answer = look.find(seed, citizen)
    assert answer[1] in component.databases
    assert answer == look.find(seed, citizen)


@given(seeds, citizens)
def test_one_paper_gets_one_answer_in_every_procedure(seed, citizen):
    at_birth = component_of("1.001193", "ket_hon_cha_me")
    in_the_linked_service = component_of("2.002621", "ket_hon_cha_me")
    assert at_birth.paper == in_the_linked_service.paper
    assert look_up(seed, citizen, at_birth) == look_up(seed, citizen, in_the_linked_service)


def test_land_data_are_found_as_often_as_published():
    found = [look_up(7, f"0{number:011d}", LAND)[0] for number in range(4000)]
    assert found.count("found") / len(found) == pytest.approx(load_domain().databases["dat_dai"].usable_rate, abs=0.03)
    share = found.count("mismatch") / (len(found) - found.count("found"))
    assert share == pytest.approx(load_domain().number("lookup.mismatch_share_of_misses"), abs=0.05)


@given(seeds, citizens)
def test_a_usable_second_database_makes_up_for_the_first(seed, citizen):
    rates = replace(TWO_DATABASES, usable_rates=(0.0, 1.0))
    assert look_up(seed, citizen, rates) == ("found", TWO_DATABASES.databases[1])


@given(seeds, citizens)
def test_nothing_usable_is_never_called_found(seed, citizen):
    answer, database = look_up(seed, citizen, replace(TWO_DATABASES, usable_rates=(NEARLY_NEVER, NEARLY_NEVER)))
    assert answer in {"missing", "mismatch"}
    if answer == "missing":
        assert database == TWO_DATABASES.databases[0]


def test_a_mismatch_names_the_first_database_with_a_wrong_record():
    without = replace(TWO_DATABASES, usable_rates=(NEARLY_NEVER, NEARLY_NEVER))
    findings = Counter(look_up(1, f"0{number:011d}", without) for number in range(3000))
    first, second = without.databases
    wrong = load_domain().number("lookup.mismatch_share_of_misses")
    assert findings["mismatch", first] / 3000 == pytest.approx(wrong, abs=0.03)
    assert findings["mismatch", second] / 3000 == pytest.approx((1 - wrong) * wrong, abs=0.03)
    assert findings["missing", first] / 3000 == pytest.approx((1 - wrong) ** 2, abs=0.03)


@given(seeds, citizens)
def test_a_better_database_loses_no_citizen(seed, citizen):
    poor, good = (replace(LAND, usable_rates=(rate,)) for rate in (0.4, 0.7))
    if look_up(seed, citizen, poor)[0] == "found":
        assert look_up(seed, citizen, good)[0] == "found"


def test_a_look_up_for_a_paper_not_yet_published_replaces_nothing():
    """The insurance number is the citizen number from 2025-08-01; before that no look-up of it finds anything."""
    before, after = (load_domain().on(date(2025, 7, 31)), load_domain().on(date(2025, 8, 1)))
    books = [world.procedures["1.014748"].components["so_bhxh"] for world in (before, after)]
    answers = [{look_up(1, f"0{number:011d}", book) for number in range(300)} for book in books]
    assert answers[0] == {("missing", "bao_hiem")}
    assert ("found", "bao_hiem") in answers[1]
    elsewhere = replace(books[0], databases=("dan_cu", "bao_hiem"), usable_rates=(1.0, 0.0))
    assert look_up(1, "001099000001", elsewhere) == ("found", "dan_cu")


def test_rules_after_the_autumn_hide_no_civil_status_data():
    """QĐ 3458/QĐ-BTP is of 2025-12-10; components.csv names civil status data for these papers already."""
    certificate = replace(component_of("1.001193", "ket_hon_cha_me"), usable_rates=(1.0,))
    assert look_up(1, "001099000001", certificate) == ("found", "ho_tich")


def test_a_form_without_databases_cannot_be_looked_up():
    form = component_of("1.001193", "to_khai_khai_sinh")
    with pytest.raises(ValueError, match=r"1\.001193/to_khai_khai_sinh has no database; ask the applicant"):
        look_up(1, "001099000001", form)


def test_every_component_has_a_place_among_the_draws():
    assert all(1 <= component.position <= 16 for component in REPLACEABLE)
    look_ups = [LookUp.of(component, load_domain()) for component in REPLACEABLE]
    assert all(0 <= search.draw < 16 for look in look_ups for search in look.searches)


LAND = next(component for component in REPLACEABLE if component.databases == ("dat_dai",))
TWO_DATABASES = component_of("1.000894", "tinh_trang_hon_nhan")
