"""Users and access rules of a broker that asks who somebody is: exactly the roles of the contracts, nothing more."""

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import confluent_kafka.admin
from confluent_kafka import KafkaException

from contracts.roles import Grant, Role, acl_table, roles
from runtime.settings import KafkaAccess

# Its annotations do not export what it offers.
kafka: Any = confluent_kafka.admin
PASSWORD_FILE = "kafka_password"  # noqa: S105  a file's name
MIN_PASSWORD_LENGTH = 16
# What a broker asks of SCRAM-SHA-512 at least, twice.
ITERATIONS = 8_192
WITHIN_S = 20.0


class AccessControlError(RuntimeError):
    """Users or rules could not be set; the message says which and what to do. No password is in it."""


@dataclass(frozen=True, slots=True)
class AccessReport:
    """What became of each user's password (`set`) and of each rule (`created`, `present`, `removed`)."""

    users: Mapping[str, str]
    rules: Mapping[Grant, str]

    def to_json(self) -> dict[str, Any]:
        rules = [{**grant._asdict(), "state": state} for grant, state in self.rules.items()]
        return {"users": dict(self.users), "rules": rules}


def read_passwords(folder: Path) -> dict[str, bytes]:
    """Return every role's password by user: the content of `<folder>/<user>/kafka_password`, without white space.

    Raises:
        AccessControlError: a file is missing, or a password is too short to be a secret.

    """
    passwords = {}
    for role in roles():
        path = folder / role.user / PASSWORD_FILE
        try:
            passwords[role.user] = path.read_bytes().strip()
        except OSError as error:
            raise AccessControlError(
                f"password of {role.user}: {path}: {error.strerror}; `paperless secrets --dir {folder}"
                f" {role.user}/{PASSWORD_FILE}` writes one"
            ) from error
        if len(passwords[role.user]) < MIN_PASSWORD_LENGTH:
            raise AccessControlError(f"password of {role.user}: {path}: fewer than {MIN_PASSWORD_LENGTH} characters")
    return passwords


def secure(access: KafkaAccess, *, passwords: Mapping[str, bytes] | None, rules: bool) -> AccessReport:
    """Set the users' passwords, where given, and with `rules` make the roles' rights the only ones of their users.

    Rights of other users are left alone. Doing it again changes nothing but the salts of the passwords.

    Args:
        access: the broker, as a user who may alter the cluster (a super user).
        passwords: of each role's user; None leaves users as they are.
        rules: grant what the roles say and take away what they do not.

    Raises:
        AccessControlError: the broker does not answer or refuses.

    """
    admin = kafka.AdminClient(_options(access))
    try:
        users = _set_passwords(admin, passwords) if passwords else {}
        return AccessReport(users, _set_rules(admin) if rules else {})
    except KafkaException as error:
        # The code's name: a refusal's own text is a page of the broker's internals.
        raise AccessControlError(
            f"broker {access.kafka_servers}: {error.args[0].name()}; does it answer, does it know users and rights, and"
            f" may {access.kafka_username} alter the cluster?"
        ) from error


def _options(access: KafkaAccess) -> dict[str, Any]:
    """Return the same access as librdkafka spells it."""
    password = access.kafka_password
    options = {
        "bootstrap.servers": access.kafka_servers,
        "security.protocol": access.kafka_security_protocol,
        "sasl.mechanism": access.kafka_sasl_mechanism,
        "sasl.username": access.kafka_username,
        "sasl.password": password and password.get_secret_value(),
        "ssl.ca.location": access.kafka_ca_file and str(access.kafka_ca_file),
        "client.id": "paperless-access",
        "socket.timeout.ms": round(WITHIN_S * 1000),
        # What fails is raised; the library would also write it to standard error.
        "log_level": 0,
    }
    return {name: value for name, value in options.items() if value is not None}


def _set_passwords(admin: Any, passwords: Mapping[str, bytes]) -> dict[str, str]:
    # Whether a user is known already is not asked: where the answer is a refusal, the library ends the process.
    info = kafka.ScramCredentialInfo(kafka.ScramMechanism.SCRAM_SHA_512, ITERATIONS)
    wanted = [kafka.UserScramCredentialUpsertion(user, info, password) for user, password in passwords.items()]
    _done(admin.alter_user_scram_credentials(wanted, request_timeout=WITHIN_S).values())
    return dict.fromkeys(passwords, "set")


def _set_rules(admin: Any) -> dict[Grant, str]:
    wanted = {_binding(grant): grant for grant in acl_table()}
    present = set[Any]()
    for role in roles():
        present |= set(admin.describe_acls(_rules_of(role), request_timeout=WITHIN_S).result(WITHIN_S))
    surplus = present - wanted.keys()
    missing = wanted.keys() - present
    if missing:
        _done(admin.create_acls(list(missing), request_timeout=WITHIN_S).values())
    if surplus:
        _done(admin.delete_acls(list(map(_exactly, surplus)), request_timeout=WITHIN_S).values())
    outcome = {grant: "created" if binding in missing else "present" for binding, grant in wanted.items()}
    return outcome | {_grant(binding): "removed" for binding in surplus}


def _done(futures: "Iterable[Future[Any]]") -> None:
    for future in futures:
        future.result(WITHIN_S)


def _binding(grant: Grant) -> Any:
    return kafka.AclBinding(
        kafka.ResourceType[grant.resource.upper()],
        grant.name,
        kafka.ResourcePatternType.LITERAL,
        f"User:{grant.user}",
        "*",
        kafka.AclOperation[grant.operation.upper()],
        kafka.AclPermissionType.ALLOW,
    )


def _grant(binding: Any) -> Grant:
    """Return a rule that is not ours as a row of the report."""
    user = binding.principal.removeprefix("User:")
    resource, operation = binding.restype.name.lower(), binding.operation.name.lower()
    return Grant(user, resource, binding.name, operation)


def _rules_of(role: Role) -> Any:
    return kafka.AclBindingFilter(
        kafka.ResourceType.ANY,
        None,
        kafka.ResourcePatternType.ANY,
        role.principal,
        None,
        kafka.AclOperation.ANY,
        kafka.AclPermissionType.ANY,
    )


def _exactly(binding: Any) -> Any:
    return kafka.AclBindingFilter(
        binding.restype,
        binding.name,
        binding.resource_pattern_type,
        binding.principal,
        binding.host,
        binding.operation,
        binding.permission_type,
    )
