"""Settings of a service process: one frozen class, read from the environment, printed at start with secrets masked."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """What every consumer process is told; a service sets its own prefix and defaults."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    kafka_servers: str = Field(default="127.0.0.1:9092", description="Bootstrap servers, comma-separated host:port.")
    client_id: str = Field(default="paperless", description="Client id shown in the broker's logs.")
    group_id: str = Field(default="paperless", description="Consumer group; its committed offsets are the state.")
    group_instance_id: str | None = Field(
        default=None, description="Static member id: a restart within the session time-out causes no rebalance."
    )
    http_host: str = Field(default="127.0.0.1", description="Address of /health and /metrics.")
    http_port: int = Field(default=0, ge=0, le=65535, description="Port of /health and /metrics; 0 picks a free one.")
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least level logged.")
    idempotent_producer: bool = Field(
        default=True, description="The broker drops a producer's own repeats; the embedded broker cannot."
    )
    end_offsets_reliable: bool = Field(
        default=True, description="The broker knows the log's end; the embedded one's answer is too low."
    )
    session_timeout_ms: int = Field(
        default=6_000, ge=1_000, description="Silence after which the group gives a member's partitions away."
    )
    max_records: int = Field(default=4_000, ge=1, description="Records per batch; as many as one fetch holds.")

    def masked(self) -> dict[str, object]:
        """Return the settings as they may be printed."""
        return self.model_dump(mode="json")
