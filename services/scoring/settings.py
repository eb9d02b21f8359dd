"""Settings of the consumer that writes the store, read from `SCORING_*`."""

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from contracts.topics import DEFAULT_PARTITIONS
from runtime.settings import Name, ServiceSettings
from services.scoring.store.engines import shown


class ScoringSettings(ServiceSettings):
    """Settings of one scoring consumer."""

    model_config = SettingsConfigDict(env_prefix="SCORING_", frozen=True, extra="forbid")

    client_id: Name = Field(default="scoring", description="Client id shown in the broker's logs.")
    group_id: Name = Field(default="scoring", description="Group that shares partitions; offsets are the store's.")
    http_port: int = Field(
        default=8103, ge=0, le=65535, description="Port of /health and /metrics; 0 picks a free one."
    )
    store: str = Field(
        default="sqlite:///scoring.db",
        repr=False,  # may hold a password
        description="The store: sqlite:///PATH or postgresql://USER@HOST:PORT/DATABASE, with libpq's parameters.",
    )
    store_password: SecretStr | None = Field(
        default=None, description="Password of the PostgreSQL user, if neither the address nor PGPASSFILE has it."
    )
    migrate: bool = Field(
        default=True, description="Bring the store's schema up to date at start; false leaves it to the migration job."
    )
    partitions: int = Field(default=DEFAULT_PARTITIONS, ge=1, description="Partition count of the log.")

    def masked(self) -> dict[str, object]:
        """Return the settings as they may be printed."""
        return super().masked() | {"store": shown(self.store)}
