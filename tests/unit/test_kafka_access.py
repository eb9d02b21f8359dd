"""How a process reaches the broker: what is refused at start, and where a password may not show."""

import ssl

import pytest
from faststream.security import BaseSecurity, SASLScram512
from pydantic import SecretStr, ValidationError

from paperless.cli.options import access_to
from paperless.verification.verify import VerifyError
from runtime.broker import faststream_security
from runtime.settings import ServiceSettings
from services.intake.settings import IntakeSettings

PASSWORD = "dragon-fruit-7"


def secured(protocol: str = "SASL_SSL") -> ServiceSettings:
    return ServiceSettings.model_validate(
        {"kafka_security_protocol": protocol, "kafka_username": "intake", "kafka_password": PASSWORD}
    )


def test_without_settings_a_client_speaks_plain():
    options = ServiceSettings().client_options()
    assert (options["security_protocol"], options["ssl_context"]) == ("PLAINTEXT", None)
    assert type(faststream_security(ServiceSettings())) is BaseSecurity


def test_user_password_and_encryption_reach_every_client():
    access = secured()
    options, security = access.client_options(), faststream_security(access)
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("intake", PASSWORD)
    assert isinstance(security, SASLScram512)
    assert (security.username, security.password, security.use_ssl) == ("intake", PASSWORD, True)
    for context in (options["ssl_context"], security.ssl_context):
        assert context is not None
        assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)


def test_login_without_encryption_is_possible_and_encrypts_nothing():
    options, security = secured("SASL_PLAINTEXT").client_options(), secured("SASL_PLAINTEXT")
    assert (options["security_protocol"], options["ssl_context"]) == ("SASL_PLAINTEXT", None)
    assert faststream_security(security).use_ssl is False


@pytest.mark.parametrize("missing", ["kafka_username", "kafka_password"])
def test_login_without_a_user_or_password_is_refused_at_start(missing):
    given = {"kafka_security_protocol": "SASL_SSL", "kafka_username": "intake", "kafka_password": PASSWORD}
    del given[missing]
    with pytest.raises(ValidationError, match="set …KAFKA_USERNAME, and …KAFKA_PASSWORD or …KAFKA_PASSWORD_FILE") as no:
        ServiceSettings.model_validate(given)
    assert PASSWORD not in str(no.value)


def test_a_missing_ca_file_is_refused_at_start(tmp_path):
    with pytest.raises(ValidationError, match="kafka_ca_file"):
        ServiceSettings.model_validate({"kafka_ca_file": tmp_path / "ca.pem"})


def test_no_text_shows_a_password():
    settings = secured()
    texts = (repr(settings), str(settings.masked()), str(settings.model_dump()), settings.model_dump_json())
    assert not [text for text in texts if PASSWORD in text]
    assert settings.masked()["kafka_password"] == "**********"


def test_a_secret_may_come_from_a_file(tmp_path, monkeypatch):
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    monkeypatch.setenv("INTAKE_KAFKA_PASSWORD_FILE", str(file))
    monkeypatch.setenv("INTAKE_SIGNING_KEY_FILE", str(file))
    settings = IntakeSettings()
    assert settings.kafka_password == settings.signing_key == SecretStr(PASSWORD)


def test_a_variable_wins_over_its_file(tmp_path, monkeypatch):
    monkeypatch.setenv("INTAKE_SIGNING_KEY_FILE", str(tmp_path / "absent"))
    with pytest.raises(FileNotFoundError, match="absent"):
        IntakeSettings()
    (tmp_path / "absent").write_text("from the file")
    monkeypatch.setenv("INTAKE_SIGNING_KEY", PASSWORD)
    assert IntakeSettings().signing_key.get_secret_value() == PASSWORD


def test_only_secrets_are_read_from_files(tmp_path, monkeypatch):
    (tmp_path / "servers").write_text("elsewhere:9092")
    monkeypatch.setenv("INTAKE_KAFKA_SERVERS_FILE", str(tmp_path / "servers"))
    assert IntakeSettings().kafka_servers == "127.0.0.1:9092"


def test_the_command_takes_credentials_from_the_environment(tmp_path, monkeypatch):
    (tmp_path / "password").write_text(PASSWORD)
    for name, value in (("SECURITY_PROTOCOL", "SASL_PLAINTEXT"), ("USERNAME", "driver")):
        monkeypatch.setenv(f"PAPERLESS_KAFKA_{name}", value)
    with pytest.raises(VerifyError, match="PAPERLESS_KAFKA_"):
        access_to("broker:9093")
    monkeypatch.setenv("PAPERLESS_KAFKA_PASSWORD_FILE", str(tmp_path / "password"))
    found = access_to("broker:9093").client_options()
    assert (found["bootstrap_servers"], found["security_protocol"]) == (["broker:9093"], "SASL_PLAINTEXT")
    assert (found["sasl_plain_username"], found["sasl_plain_password"]) == ("driver", PASSWORD)
