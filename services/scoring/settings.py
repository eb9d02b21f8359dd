"""Settings of the consumer that writes the store, read from `SCORING_*`."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from contracts.topics import DEFAULT_PARTITIONS
from runtime.settings import ServiceSettings


class ScoringSettings(ServiceSettings):
    """Settings of one scoring consumer."""

    model_config = SettingsConfigDict(env_prefix="SCORING_", frozen=True, extra="forbid")

    client_id: str = Field(default="scoring", description="Client id shown in the broker's logs.")
    group_id: str = Field(default="scoring", description="Group that shares partitions; offsets are the store's.")
    http_port: int = Field(
        default=8103, ge=0, le=65535, description="Port of /health and /metrics; 0 picks a free one."
    )
    store: str = Field(default="sqlite:///scoring.db", description="The store: sqlite:///PATH.")
    partitions: int = Field(default=DEFAULT_PARTITIONS, ge=1, description="Partition count of the log.")
