"""What the services really subscribe to and produce is what the registry says."""

from typing import Any, cast

from faststream.kafka import KafkaBroker

from contracts.topics import ALL, LOG_IDENTITY, Topic, by_name
from runtime.dead_letters import MAX_DEAD_LETTER_BYTES, dead_letter
from services.intake import app as intake
from services.intake.settings import IntakeSettings
from services.portal import app as portal
from services.scoring import app as scoring
from services.scoring.settings import ScoringSettings
from services.vneid_mock import app as vneid_mock
from services.vneid_mock.settings import VneidSettings
from tests.support.golden import golden
from tests.support.source import modules, name_of, strings
from tools.asyncapi import DEAD_LETTER_HEADERS

SERVICES = {"intake": intake, "vneid_mock": vneid_mock, "scoring": scoring, "portal": portal}


def brokers(tmp_path) -> dict[str, KafkaBroker]:
    apps = {
        "intake": intake.build(IntakeSettings()).app,
        "vneid_mock": vneid_mock.build(VneidSettings()).app,
        "scoring": scoring.build(ScoringSettings(store=f"sqlite:///{tmp_path}/scoring.db")).app,
    }
    return {name: app.broker for name, app in apps.items() if isinstance(app.broker, KafkaBroker)}


def test_every_declared_consumer_really_subscribes(tmp_path):
    actual = {
        (topic, service)
        for service, broker in brokers(tmp_path).items()
        for subscriber in broker.subscribers
        for topic in cast("Any", subscriber).topic_names
    }
    assert actual == {(topic.name, consumer) for topic in ALL for consumer in topic.consumed_by}


def test_a_service_declares_what_it_consumes():
    for name, app in SERVICES.items():
        assert tuple(topic for topic in ALL if name in topic.consumed_by) == getattr(app, "CONSUMES", ())


def test_a_service_declares_what_it_produces():
    for name, app in SERVICES.items():
        produces: tuple[Topic, ...] = getattr(app, "PRODUCES", ())
        assert set(produces) == {topic for topic in ALL if name in topic.produced_by}


def test_every_topic_has_a_producer_and_a_consumer():
    ends = {end for topic in ALL for end in (*topic.produced_by, *topic.consumed_by)}
    assert ends == {*SERVICES, "driver"}
    assert all(topic.consumed_by for topic in ALL)


def test_topics_are_found_by_name():
    assert [by_name(topic.name) for topic in ALL] == list(ALL)


def test_topic_names_are_written_in_one_place():
    names = [topic.name for topic in ALL] + [LOG_IDENTITY]
    places = {
        (name_of(path), name)
        for path in modules()
        for text in strings(path)
        for name in names
        if name in str(text.value)
    }
    assert places == {("contracts/topics.py", name) for name in names}


def test_a_dead_letter_has_the_headers_that_are_described():
    refused = golden(ALL[0], "birth-every-proof-by-data")._replace(value=b"x" * (MAX_DEAD_LETTER_BYTES + 1))
    _, _, _, headers = dead_letter(refused.record, topic="any.dlq", reason="too_large", detail="value")
    assert [name for name, _ in headers] == list(DEAD_LETTER_HEADERS)
