"""Settings of a process: frozen classes, read from the environment, printed at start with secrets masked."""

import os
import re
import ssl
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from runtime.errors import FatalError

S = TypeVar("S", bound="EnvironmentSettings")

# Whom an address of this kind reaches: processes of this machine, and nobody else.
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
ALLOWED_HOSTS = (
    "Names by which the port may be called beside loopback's and its own address, comma-separated; others are refused."
)
# So many waits of a fetch fit into a session: up to three stand before an assignment's look-ups.
FETCHES_IN_A_SESSION = 5
_SERVER = re.compile(r"(?:[^\s,:/\[\]]+|\[[0-9a-fA-F:.]+\]):([0-9]{1,5})")
# What may come from a file instead of a variable, as container secrets are mounted.
SECRETS = (SecretStr, SecretStr | None)


# What Kafka allows for the names of groups and their members; other texts would be refused, or fit no length field.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
# Empty would listen everywhere.
Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9.:_-]{1,253}$")]


class EnvironmentSettings(BaseSettings):
    """Settings from the environment; errors repeat no value.

    Where the variable of a secret is not set, `<VARIABLE>_FILE` names a file that holds it; a file that cannot be read
    raises `OSError` with this variable and the path.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _secrets_from_files(cls, given: dict[str, Any]) -> dict[str, Any]:
        secrets = [name for name, field in cls.model_fields.items() if field.annotation in SECRETS]
        variables = {name: f"{cls.model_config['env_prefix']}{name}_FILE".upper() for name in secrets}
        wanted = {name: each for name, each in variables.items() if os.environ.get(each) and name not in given}
        return given | {name: _secret_of(variable) for name, variable in wanted.items()}


def read_settings(kind: type[S], **given: Any) -> S:
    """Return the settings that the environment holds, but for what is given.

    Raises:
        FatalError: a variable, or the file that it names, cannot be used; names each and repeats no value.

    """
    prefix = kind.model_config["env_prefix"]
    try:
        return kind(**given)
    except ValidationError as error:
        raise FatalError("; ".join(_refusal(prefix, each) for each in error.errors())) from error
    except OSError as error:
        raise FatalError(f"{error.strerror} ({error.filename})") from error


def _refusal(prefix: str, details: ErrorDetails) -> str:
    """Return what is wrong with one variable, or with several together; a text's "…" stands for the prefix."""
    name = "_".join(map(str, details["loc"])).upper() or "*"
    return f"{prefix}{name}: {details['msg'].removeprefix('Value error, ').replace('…', prefix)}"


def _secret_of(variable: str) -> str:
    try:
        return Path(os.environ[variable]).read_text("utf-8").strip()
    except OSError as error:
        raise OSError(error.errno, f"{variable}: {error.strerror}", error.filename) from None


class KafkaAccess(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """One user's way to a broker; every client of a process is made from it."""

    kafka_servers: str = Field(default="127.0.0.1:9092", description="Bootstrap servers, comma-separated host:port.")
    kafka_security_protocol: Literal["PLAINTEXT", "SASL_PLAINTEXT", "SASL_SSL", "SSL"] = Field(
        default="PLAINTEXT", description="PLAINTEXT, SASL_PLAINTEXT, SASL_SSL or SSL; `…SSL` encrypts, `SASL…` logs in."
    )
    kafka_sasl_mechanism: Literal["SCRAM-SHA-512", "PLAIN"] = Field(
        default="SCRAM-SHA-512", description="SCRAM-SHA-512 or PLAIN; how a user logs in."
    )
    kafka_username: str | None = Field(default=None, description="The broker's user, with SASL.")
    kafka_password: SecretStr | None = Field(default=None, description="The user's password, with SASL.")
    kafka_ca_file: Path | None = Field(
        default=None, description="CA certificates (PEM) that vouch for the broker; by default the system's."
    )

    @field_validator("kafka_servers")
    @classmethod
    def _hosts_and_ports(cls, servers: str) -> str:
        parted = [server.strip() for server in servers.split(",")]
        if not all((found := _SERVER.fullmatch(server)) and 0 < int(found[1]) < 65_536 for server in parted):
            raise ValueError("expected host:port, several of them comma-separated, for example kafka:9092")
        return ",".join(parted)

    @field_validator("kafka_ca_file")
    @classmethod
    def _certificates(cls, file: Path | None) -> Path | None:
        if file is not None:
            try:
                ssl.create_default_context(cafile=file)
            except OSError as error:
                raise ValueError(f"no CA certificates (PEM) can be read there: {error.strerror or error}") from None
        return file

    @model_validator(mode="after")
    def _user_where_one_logs_in(self) -> Self:
        # Here, not at the first connection.
        if "SASL" in self.kafka_security_protocol and not (self.kafka_username and self.kafka_password):
            raise ValueError(
                f"security protocol {self.kafka_security_protocol} needs a user: set …KAFKA_USERNAME, and "
                "…KAFKA_PASSWORD or …KAFKA_PASSWORD_FILE"
            )
        return self

    def client_options(self) -> dict[str, Any]:
        """Return what every aiokafka client (producer, consumer, admin) is made with."""
        encrypted = self.kafka_security_protocol.endswith("SSL")
        return {
            "bootstrap_servers": self.kafka_servers.split(","),
            "security_protocol": self.kafka_security_protocol,
            "ssl_context": ssl.create_default_context(cafile=self.kafka_ca_file) if encrypted else None,
            "sasl_mechanism": self.kafka_sasl_mechanism,
            "sasl_plain_username": self.kafka_username,
            "sasl_plain_password": self.kafka_password and self.kafka_password.get_secret_value(),
        }


class ServiceSettings(EnvironmentSettings, KafkaAccess):
    """What every consumer process is told; a service sets its own prefix and defaults."""

    client_id: Name = Field(default="paperless", description="Client id shown in the broker's logs.")
    group_id: Name = Field(default="paperless", description="Consumer group; its committed offsets are the state.")
    group_instance_id: Name | None = Field(
        default=None, description="Static member id: a restart within the session time-out causes no rebalance."
    )
    http_host: Host = Field(default="127.0.0.1", description="Address of /health and /metrics.")
    http_port: int = Field(default=0, ge=0, le=65535, description="Port of /health and /metrics; 0 picks a free one.")
    allowed_hosts: str = Field(default="", description=ALLOWED_HOSTS)
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least level logged.")
    idempotent_producer: bool = Field(
        default=True, description="The broker drops a producer's own repeats; Tansu cannot."
    )
    end_offsets_reliable: bool = Field(
        default=True, description="The broker knows the log's end; the embedded one's answer is too low."
    )
    session_timeout_ms: int = Field(
        default=6_000,
        ge=1_000,
        le=1_800_000,
        description="Silence after which the group gives a member's partitions away; the broker has bounds too.",
    )
    fetch_max_wait_ms: int = Field(
        default=100,
        ge=1,
        le=10_000,
        description="How long the broker may hold a fetch back, at most a fifth of the session time-out; the embedded "
        "one wakes none earlier.",
    )
    max_records: int = Field(default=4_000, ge=1, description="Records per batch; as many as one fetch holds.")
    dead_letter_max_run: int = Field(
        default=500, ge=1, description="Records refused in a row at which the process stops with 78, for a bad deploy."
    )
    dead_letter_max_share: float = Field(
        default=0.5, gt=0, le=1, description="Share of a thousand records that may be refused before it stops; 1: all."
    )

    @model_validator(mode="after")
    def _look_ups_within_a_session(self) -> Self:
        # On the same connection, a new assignment's look-ups wait behind fetches, and the next heartbeat for them.
        if self.fetch_max_wait_ms * FETCHES_IN_A_SESSION > self.session_timeout_ms:
            raise ValueError(
                f"a fetch may wait for {self.fetch_max_wait_ms} ms: a member would lose its partitions before it knows "
                f"where to begin; set …FETCH_MAX_WAIT_MS to at most {self.session_timeout_ms // FETCHES_IN_A_SESSION}, "
                "a fifth of …SESSION_TIMEOUT_MS"
            )
        return self

    def masked(self) -> dict[str, object]:
        """Return the settings as they may be printed."""
        return self.model_dump(mode="json")
