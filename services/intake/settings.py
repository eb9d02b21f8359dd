"""Intake's settings, read from `INTAKE_*`."""

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from contracts.topics import DEFAULT_PARTITIONS
from runtime.settings import LOOPBACK, Name, ServiceSettings


class IntakeSettings(ServiceSettings):
    """Settings of one intake member."""

    model_config = SettingsConfigDict(env_prefix="INTAKE_", frozen=True, extra="forbid")

    client_id: Name = Field(default="intake", description="Client id shown in the broker's logs.")
    group_id: Name = Field(default="intake", description="Consumer group; its committed offsets are the state.")
    http_port: int = Field(
        default=8101, ge=0, le=65535, description="Port of /health and /metrics; 0 picks a free one."
    )
    signing_key: SecretStr = Field(
        default=SecretStr("dev-only"),
        min_length=8,
        max_length=64,
        description="Key of the contexts' digests; the default is for a broker on loopback only.",
    )
    partitions: int = Field(default=DEFAULT_PARTITIONS, ge=1, description="Partition count of the log.")
    attempts: int = Field(default=3, ge=1, le=9, description="How often an application is asked for before presuming.")
    patience_s: float = Field(default=1.5, ge=0.01, le=3_600, description="Wall seconds of silence until asking again.")
    max_open: int = Field(
        default=1_000, ge=1, description="Open applications per partition; beyond it, reading pauses."
    )
    max_span: int = Field(default=200_000, ge=1, description="Records between commit and next offset; beyond, pause.")
    retry_share: float = Field(default=0.1, ge=0, le=1, description="Re-asks on silence as a share of requests.")

    @property
    def forgeable(self) -> bool:
        """Whether others, who reach the broker, could seal contexts of their own: its key is in these lines."""
        hosts = {server.rpartition(":")[0].strip("[]") for server in self.kafka_servers.split(",")}
        return self.signing_key == type(self).model_fields["signing_key"].default and not hosts <= LOOPBACK
