"""Passwords and the report of what may be done: said plainly, and no password in it."""

import json

import pytest

from contracts.roles import Grant, roles
from paperless.operations.access_control import AccessControlError, AccessReport, read_passwords

PASSWORD = "a password of some length"


@pytest.fixture
def folder(tmp_path):
    for role in roles():
        (tmp_path / role.user).mkdir()
        (tmp_path / role.user / "kafka_password").write_text(f"{PASSWORD}\n")
    return tmp_path


def test_every_users_password_is_read_without_its_line_end(folder):
    assert read_passwords(folder) == {role.user: PASSWORD.encode() for role in roles()}


def test_a_missing_password_is_named_with_what_writes_one(folder):
    (folder / "vneid-mock" / "kafka_password").unlink()
    with pytest.raises(AccessControlError, match=r"password of vneid-mock: .*paperless secrets --dir .* vneid-mock"):
        read_passwords(folder)


def test_a_short_password_is_refused_and_not_shown(folder):
    (folder / "driver" / "kafka_password").write_text("letmein")
    with pytest.raises(AccessControlError, match=r"password of driver: .*fewer than 16 characters") as refused:
        read_passwords(folder)
    assert "letmein" not in str(refused.value)


def test_the_report_can_be_kept_as_json():
    grant = Grant("intake", "topic", "applications.submitted", "read")
    report = AccessReport({"intake": "set"}, {grant: "created"})
    assert json.loads(json.dumps(report.to_json())) == {
        "users": {"intake": "set"},
        "rules": [
            {
                "user": "intake",
                "resource": "topic",
                "name": "applications.submitted",
                "operation": "read",
                "state": "created",
            }
        ],
    }
