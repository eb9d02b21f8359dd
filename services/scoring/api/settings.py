"""Settings of the API that reads the store, from `SCORING_API_*`."""

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from runtime.settings import ALLOWED_HOSTS, EnvironmentSettings, Host


class ScoringApiSettings(EnvironmentSettings):
    """What the read-only API is told."""

    model_config = SettingsConfigDict(env_prefix="SCORING_API_", frozen=True, extra="forbid")

    store: str = Field(
        default="sqlite:///scoring.db",
        repr=False,  # may hold a password
        description="The store to read: sqlite:///PATH or postgresql://USER@HOST:PORT/DATABASE.",
    )
    store_password: SecretStr | None = Field(
        default=None, description="Password of the PostgreSQL user, if neither the address nor PGPASSFILE has it."
    )
    http_host: Host = Field(default="127.0.0.1", description="Address to listen on.")
    http_port: int = Field(default=8104, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    allowed_hosts: str = Field(default="", description=ALLOWED_HOSTS)
    tokens: SecretStr | None = Field(
        default=None, description="Bearer tokens of the API, parted by white space; each of them opens it."
    )
    open: bool = Field(
        default=False, description="Listen beyond loopback without tokens: whoever reaches the port may read."
    )
    per_minute: int = Field(default=3_000, ge=1, description="Requests by one token, or one address.")
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least level logged.")
