"""The system that the pytest plugin gives to tests, and what it says when something is wrong."""

import sys
from uuid import UUID

import pytest
from pydantic import ValidationError

from paperless.testing.plugin import _extra
from paperless.testing.system import PaperlessSystem, new_application

# One worker: another would start a system of its own.
pytestmark = [pytest.mark.timeout(120), pytest.mark.xdist_group("paperless_system")]


async def test_an_application_is_decided_as_it_was_filed(paperless_system: PaperlessSystem):
    name = paperless_system.submit(province="79", commune="25750", channel="post")
    application = await paperless_system.outcome(name)
    assert application.application_id == name
    assert (application.province, application.commune, application.channel) == ("79", "25750", "post")


async def test_a_changed_plan_holds_until_it_is_reset(paperless_system: PaperlessSystem):
    before = paperless_system.plan()
    assert (before["name"], before["silent_share"]) == ("calm", 0)
    assert paperless_system.use_plan("rough")["name"] == "rough"
    shares = {"never_answer_share": 1.0, "late_answer_share": 0.0, "very_late_answer_share": 0.0}
    changed = paperless_system.change_plan(**shares, silent_share=0.0, unreachable={})
    assert {name: changed[name] for name in shares} == shares
    application = await paperless_system.outcome(paperless_system.submit(citizen_number="001190004217"))
    assert application.presumed
    assert paperless_system.reset_plan() == before


def test_a_plan_that_cannot_be_is_refused_with_what_to_do(paperless_system: PaperlessSystem):
    with pytest.raises(ValueError, match=r"silent_share.*lower it"):
        paperless_system.change_plan(silent_share=2.0)


def test_an_application_that_breaks_the_contract_is_not_filed(paperless_system: PaperlessSystem):
    with pytest.raises(ValidationError, match="province"):
        paperless_system.submit(province="Hà Nội")


async def test_what_is_never_decided_is_told_with_where_to_look(paperless_system: PaperlessSystem):
    name = new_application().application_id
    with pytest.raises(TimeoutError, match=f"{name} is not decided after 0.1 s") as told:
        await paperless_system.outcome(name, within_s=0.1)
    assert str(paperless_system.logs) in str(told.value)
    assert (paperless_system.logs / "intake.log").exists()


def test_every_application_has_an_id_of_its_own_of_version_7():
    names = [new_application().application_id for _ in range(100)]
    assert len({*names}) == 100
    assert {UUID(name).version for name in names} == {7}


def test_without_the_extra_a_fixture_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "testcontainers", None)
    with pytest.raises(pytest.fail.Exception, match=r'testcontainers.*pip install "paperless\[testing\]"'), _extra():
        import testcontainers  # noqa: F401
