"""The answer to a what-if question: what it says, how it is kept between runs, and how it is asked for."""

import json
from html import escape
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from domain import DomainError
from paperless.cli.main import app
from paperless.cli.whatif import setting_of
from paperless.fidelity.accepted_draws import read_accepted_draws
from paperless.language import texts
from paperless.whatif.answer import answer, gains_by_province
from paperless.whatif.answers import Answer
from paperless.whatif.levers import load_costs, load_levers
from paperless.whatif.model import Model, load_model
from paperless.whatif.pictures import pictures_of, waterfall
from paperless.whatif.uncertainty import Worlds


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Model:
    return load_model(applications=3_000, cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def asked(model: Model) -> Answer:
    return answer(model, {"fee_online": 0.5}, target=0.8)


def test_an_answer_is_json_as_it_stands(asked: Answer):
    told = json.loads(json.dumps(asked.to_json()))
    assert told["setting"] == {"fee_online": 0.5}
    assert told["target"]["target"] == 0.8
    assert len(told["provinces"]) == 34
    assert {row["name"] for row in told["levers"]} == set(load_levers())
    assert all(row["low"] == 0 and row["high"] == 1 and row["source"] and row["evidence"] for row in told["levers"])


def test_the_base_is_the_setting_of_nothing(model: Model):
    found = answer(model)
    assert all(each.base == each.d1 for each in found.rates.values())
    assert found.target is None
    assert found.levers[0].shapley is None


def test_the_country_is_weighed_by_the_published_mix(model: Model, asked: Answer):
    weight = model.day.domain.ministry_run_share(model.day.date)
    both = (1 - weight) * asked.rates["province"].d1 + weight * asked.rates["ministry"].d1
    assert asked.rates["all"].d1 == pytest.approx(both)


@pytest.mark.parametrize("run_by", ["province", "ministry", "all"])
def test_a_way_reaches_its_target_when_it_is_gone(model: Model, run_by):
    found = answer(model, target=0.7, run_by=run_by)
    assert found.target is not None
    for way in (found.target.smallest, found.target.cheapest):
        assert way is not None
        there = answer(model, dict.fromkeys(way.levers, 1.0), run_by=run_by)
        assert there.rates[run_by].d1 == pytest.approx(way.d1)
        assert way.d1 >= 0.7
        assert way.steps[-1] == way.d1
        assert way.cost == sum(load_costs()[name] for name in way.levers)


def test_every_answer_says_what_it_hangs_on(asked: Answer, model: Model):
    assert {caveat.name for caveat in asked.caveats} == {
        *("simulated", "assumed", "invented", "procedures", "costs", "ignorance"),
    }
    assert all(caveat.vi and caveat.en and caveat.vi != caveat.en for caveat in asked.caveats)
    assert {caveat.name for caveat in answer(model, {"fee_online": 1.0}).caveats} == {"simulated", "ignorance"}


def test_the_accepted_draws_surround_the_answer_and_name_what_matters(model: Model):
    found = answer(model, {"nothing_asked_anyway": 1.0}, target=0.8, uncertain=True).uncertainty
    assert found is not None
    assert found.draws == len(read_accepted_draws().draws) >= 200
    assert found.base.low < found.base.middle < found.base.high
    assert found.gain.low > 0
    assert found.way is not None
    assert found.reaches is not None
    assert 0.5 < found.reaches <= 1
    assert {each.parameter for each in found.unknowns} == set(read_accepted_draws().parameters)
    moved = [each.d1_points for each in found.unknowns]
    assert moved == sorted(moved, reverse=True)


def test_the_draw_in_use_is_the_answer_itself(model: Model):
    accepted = read_accepted_draws()
    worlds = Worlds(model.scenario, model.day, model.evaluator, model.levers, "province", None)
    in_use = {name: model.day.domain.number(name) for name in accepted.parameters}
    assert worlds.rates(in_use, [{}]) == [answer(model).rates["province"].base]


def test_values_that_leave_no_mix_are_left_out(model: Model):
    worlds = Worlds(model.scenario, model.day, model.evaluator, model.levers, "province", None)
    assert worlds.rates({"volume.share_25_services": 0.0}, [{}]) is None


def test_drawn_days_are_kept_and_read_again(tmp_path: Path):
    first = load_model(applications=300, cache=tmp_path)
    (kept,) = tmp_path.iterdir()
    assert answer(load_model(applications=300, cache=tmp_path)) == answer(first)
    load_model(applications=300, seeds=[2], cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    kept.write_bytes(b"broken")
    assert answer(load_model(applications=300, cache=tmp_path)) == answer(first)


def test_a_single_province_pools_ten_seeds():
    found = answer(load_model(province="46", applications=100, cache=None))
    assert found.place == "46"
    assert found.seeds == tuple(range(1, 11))
    assert found.applications == 1_000
    assert found.provinces[0].province.noise_points > 0


def test_an_unknown_province_is_refused():
    with pytest.raises(DomainError, match="no province"):
        load_model(province="99", cache=None)


def test_a_setting_is_read_from_the_command_line():
    assert setting_of(["fee_online=1", "land_data=0.25"]) == {"fee_online": 1.0, "land_data": 0.25}
    for wrong in (["fee_online"], ["fee_online=much"], ["fee_online=1", "fee_online=0"]):
        with pytest.raises(Exception, match="--lever"):
            setting_of(wrong)


def test_the_command_answers_in_both_languages_and_as_json(tmp_path: Path):
    run = CliRunner()
    options = ["whatif", "--province", "46", "--seeds", "1", "--target", "0.8", "--cache", str(tmp_path)]
    english = run.invoke(app, [*options, "--lang", "en"]).stdout
    assert "fewest levers to 80 %" in english
    assert "Shapley" in english
    assert "ít đòn bẩy nhất" in run.invoke(app, [*options, "--lang", "vi"]).stdout
    told = json.loads(run.invoke(app, [*options, "--lever", "fee_online=1", "--json"]).stdout)
    assert told["place"] == "46"
    assert told["rates"]["province"]["d1"] > told["rates"]["province"]["base"]


def test_the_list_names_every_lever_with_mark_and_cost():
    listed = CliRunner().invoke(app, ["whatif", "--list", "--wide", "--lang", "en"]).stdout
    assert all(name in listed for name in load_levers())


def test_costs_of_ones_own_are_checked(tmp_path: Path):
    (tmp_path / "mine.csv").write_text("name,cost,basis,evidence\nfee_online,1,x,C\n", "utf-8")
    with pytest.raises(DomainError, match="not in both files"):
        load_costs(tmp_path / "mine.csv")


@pytest.mark.parametrize("language", ["vi", "en"])
def test_pictures_ask_nobody_and_name_every_lever(model: Model, asked: Answer, language):
    drawn = pictures_of(texts(language), asked, gains_by_province(model, "province"))
    assert set(drawn) == {"tornado.svg", "waterfall.svg", "provinces.svg", "whatif.html"}
    for name, text in drawn.items():
        if name.endswith(".svg"):
            ET.fromstring(text)
        assert "http" not in text.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert all(escape(texts(language).name(row)) in drawn["tornado.svg"] for row in asked.levers)
    assert all(texts(language).name(each) in drawn["provinces.svg"] for each in asked.provinces)
    assert all(escape(caveat.vi if language == "vi" else caveat.en) in drawn["whatif.html"] for caveat in asked.caveats)


def test_the_waterfall_ends_where_the_way_does(asked: Answer):
    assert asked.target is not None
    assert asked.target.smallest is not None
    drawn = waterfall(texts("en"), asked.target.smallest, 0.1, 0.8, asked.levers)
    assert texts("en").percent(asked.target.smallest.d1, 1) in drawn
    assert drawn.count('class="gain"') == len(asked.target.smallest.levers)


def test_pictures_without_a_target_are_refused(tmp_path: Path):
    said = CliRunner().invoke(app, ["whatif", "--pictures", str(tmp_path)])
    assert said.exit_code == 2
