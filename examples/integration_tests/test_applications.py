"""What a project of its own tests against the whole system; `pytest`, or `pytest --paperless-on containers`."""

from paperless.testing.system import PaperlessSystem


async def test_a_citizen_whose_data_are_known_needs_no_paper(paperless_system: PaperlessSystem) -> None:
    application_id = paperless_system.submit(province="79", commune="25750")
    application = await paperless_system.outcome(application_id)
    assert (application.outcome, application.province) == ("end_to_end", "79")
    assert {component.source for component in application.components} == {"data"}


async def test_what_no_database_answers_is_presumed_to_need_paper(paperless_system: PaperlessSystem) -> None:
    paperless_system.change_plan(never_answer_share=1.0)
    application = await paperless_system.outcome(paperless_system.submit(citizen_number="001190004217"))
    assert (application.presumed, application.outcome) == (True, "partly_online")
    assert {component.cause for component in application.components} == {"unreachable"}
