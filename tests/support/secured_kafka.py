"""A broker set up as deploy/compose/secure.yml sets it up: TLS, SCRAM users, everything refused that no role has."""

import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import SecretStr

from contracts.roles import roles
from paperless.testing.kafka import IMAGE, KafkaContainer
from runtime.settings import KafkaAccess
from tests.support.source import ROOT

OVERLAY = ROOT / "deploy/compose/secure.yml"
SCRIPT = ROOT / "deploy/secure/make-certificates.sh"
CLIENTS, ADMIN, HOST = 9092, 9094, 19092


@dataclass(frozen=True, slots=True, kw_only=True)
class Secured:
    """The broker, its CA, the folder with each user's password, and the administrator's password."""

    container: KafkaContainer
    ca: Path
    users: Path
    admin_password: str

    @property
    def admin(self) -> KafkaAccess:
        return self.access("admin", self.admin_password, ADMIN, kafka_sasl_mechanism="PLAIN")

    def of(self, user: str) -> KafkaAccess:
        return self.access(user, (self.users / user / "kafka_password").read_text())

    def access(self, user: str, password: str, port: int = CLIENTS, **other: Any) -> KafkaAccess:
        given = {
            "kafka_servers": self.container.address(port),
            "kafka_security_protocol": "SASL_SSL",
            "kafka_username": user,
            "kafka_password": SecretStr(password),
            "kafka_ca_file": self.ca,
        }
        return KafkaAccess.model_validate({**given, **other})


@contextmanager
def secured_kafka(folder: Path) -> Iterator[Secured]:
    """Start the broker, with secrets of its own in `folder`; users and rules are yet to be made."""
    broker, authority, users = (folder / name for name in ("broker", "ca", "users"))
    for path in (broker, authority, *(users / role.user for role in roles())):
        path.mkdir(parents=True)
    words = {name: secrets.token_urlsafe(32) for name in ("broker_password", "admin_password")}
    for name, word in words.items():
        (broker / name).write_text(word)
    for role in roles():
        (users / role.user / "kafka_password").write_text(secrets.token_urlsafe(32))
    _make_certificates(broker, authority)
    for path in broker.iterdir():
        # The broker has a user of its own in its container.
        path.chmod(0o644)
    container = KafkaContainer(volumes=[(str(broker), "/run/secrets", "ro")], ports=(CLIENTS, ADMIN, HOST))
    container.env |= overlay_environment()
    listeners = {"CLIENTS": CLIENTS, "ADMIN": ADMIN, "HOST": HOST}
    container.env["KAFKA_ADVERTISED_LISTENERS"] = ",".join(
        f"{name}://{container.address(port)}" for name, port in listeners.items()
    )
    with container:
        yield Secured(container=container, ca=authority / "ca.pem", users=users, admin_password=words["admin_password"])


def overlay_environment() -> dict[str, str]:
    """Return what the overlay tells its broker, as Compose hands it on."""
    environment = yaml.safe_load(OVERLAY.read_text("utf-8"))["services"]["kafka"]["environment"]
    return {name: str(value).replace("$$", "$") for name, value in environment.items()}


def _make_certificates(broker: Path, authority: Path) -> None:
    owner = f"{os.getuid()}:{os.getgid()}"
    mounts = [f"{SCRIPT}:/make.sh:ro", f"{broker}:/broker", f"{authority}:/ca"]
    command = ["docker", "run", "--rm", "--user", owner, *(part for one in mounts for part in ("--volume", one))]
    done = subprocess.run(
        [*command, "--entrypoint", "bash", IMAGE, "/make.sh", "/broker", "/ca", "kafka"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
