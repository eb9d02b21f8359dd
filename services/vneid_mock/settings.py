"""The mock's settings, read from `VNEID_*`."""

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from contracts.topics import DEFAULT_PARTITIONS
from runtime.settings import Name, ServiceSettings


class VneidSettings(ServiceSettings):
    """Settings of one member of the mock."""

    model_config = SettingsConfigDict(env_prefix="VNEID_", frozen=True, extra="forbid")

    client_id: Name = Field(default="vneid_mock", description="Client id shown in the broker's logs.")
    group_id: Name = Field(default="vneid_mock", description="Consumer group; its committed offsets are the state.")
    http_port: int = Field(
        default=8102, ge=0, le=65535, description="Port of the control API, /health and /metrics; 0 picks a free one."
    )
    partitions: int = Field(default=DEFAULT_PARTITIONS, ge=1, description="Partition count of the log.")
    seed: int = Field(default=0, ge=0, lt=2**64, description="Seed of the registry and of the faults.")
    plan: str = Field(default="mild", description="Fault plan: calm, mild, rough, or a path to a TOML file.")
    max_open: int = Field(
        default=20_000, ge=1, description="Scheduled replies per partition; beyond it, reading pauses."
    )
    control_tokens: SecretStr | None = Field(
        default=None, description="Bearer tokens of the control API, parted by white space; each of them opens it."
    )
    control_open: bool = Field(
        default=False,
        description="Listen beyond loopback without tokens: whoever reaches the port may change the plan.",
    )
    control_per_minute: int = Field(
        default=120, ge=1, description="Requests to the control API by one token, or one address."
    )
