"""Rights on the broker follow from the registry: each part may do its work, and nothing of another's."""

from contracts.roles import Grant, acl_table, role, roles
from contracts.topics import ALL, APPLICATIONS_SUBMITTED, LOG_IDENTITY, dead_letter_topics
from services.intake.settings import IntakeSettings
from services.scoring.settings import ScoringSettings
from services.vneid_mock.settings import VneidSettings


def test_every_end_of_a_topic_has_its_right():
    table = set(acl_table())
    for topic in ALL:
        for producer in topic.produced_by:
            assert Grant(role(producer).user, "topic", topic.name, "write") in table
        for consumer in topic.consumed_by:
            user = role(consumer).user
            assert Grant(user, "topic", topic.name, "read") in table
            assert Grant(user, "topic", topic.dead_letter(consumer), "write") in table


def test_only_the_registrys_ends_portal_verifier_and_operator_touch_a_topic():
    for topic in ALL:
        readers = {one.name for one in roles() if topic.name in one.reads}
        writers = {one.name for one in roles() if topic.name in one.writes}
        ends = {*topic.produced_by, topic.moved_by, "operator"} - {None}
        assert (readers, writers) == ({*topic.consumed_by, "portal", "verifier"}, ends)


def test_only_intake_portal_and_operator_write_what_they_read():
    both = {(one.name, topic) for one in roles() for topic in set(one.reads) & set(one.writes) - {LOG_IDENTITY}}
    settled = {("operator", name) for name, _ in dead_letter_topics()}
    assert both == {("intake", APPLICATIONS_SUBMITTED.name), ("portal", APPLICATIONS_SUBMITTED.name)} | settled


def test_nobody_reads_dead_letters_but_portal_verifier_and_operator():
    for name, _ in dead_letter_topics():
        assert [one.name for one in roles() if name in one.reads] == ["portal", "verifier", "operator"]


def test_the_operator_settles_dead_letters_and_reads_nothing_else():
    letters = {name for name, _ in dead_letter_topics()}
    assert set(role("operator").reads) == letters
    assert set(role("operator").writes) == letters | {topic.name for topic in ALL}


def test_the_logs_identity_is_written_by_one():
    assert [one.name for one in roles() if LOG_IDENTITY in one.writes] == ["topics"]


def test_personal_data_are_read_by_those_who_must():
    personal = {topic.name for topic in ALL if topic.personal_data}
    personal |= {name for name, source in dead_letter_topics() if source.personal_data}
    assert {one.name for one in roles() if personal & set(one.reads)} == {
        "portal",
        "intake",
        "vneid_mock",
        "verifier",
        "operator",
    }


def test_groups_are_those_of_the_services_settings():
    settings = {"intake": IntakeSettings(), "vneid_mock": VneidSettings(), "scoring": ScoringSettings()}
    assert {one.name: one.groups for one in roles() if one.groups} == {
        name: (one.group_id,) for name, one in settings.items()
    }


def test_nobody_may_create_but_the_topics_job():
    assert {grant.user for grant in acl_table() if grant.operation == "create"} == {"topics"}
