"""A key that everybody knows seals nothing that others could not seal as well."""

import pytest
from pydantic import SecretStr

from runtime.errors import FatalError
from services.intake.app import build
from services.intake.settings import IntakeSettings

OWN = SecretStr("a-key-of-our-own-making")


@pytest.mark.parametrize("servers", ["kafka:9092", "127.0.0.1:9092,kafka:9092", "10.0.0.7:9092"])
def test_intake_does_not_start_with_the_default_key_where_others_reach_the_broker(servers):
    with pytest.raises(FatalError, match="INTAKE_SIGNING_KEY_FILE"):
        build(IntakeSettings(kafka_servers=servers))


@pytest.mark.parametrize("servers", ["127.0.0.1:9092", "localhost:9092,127.0.0.1:9093", "[::1]:9092"])
def test_on_one_machine_the_default_key_will_do(servers):
    assert not IntakeSettings(kafka_servers=servers).forgeable


def test_a_key_of_ones_own_is_good_anywhere():
    assert not IntakeSettings(kafka_servers="kafka:9092", signing_key=OWN).forgeable
