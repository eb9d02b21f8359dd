"""Settings of the API that reads the store, from `SCORING_API_*`."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ScoringApiSettings(BaseSettings):
    """What the read-only API is told."""

    model_config = SettingsConfigDict(env_prefix="SCORING_API_", frozen=True, extra="forbid")

    store: str = Field(default="sqlite:///scoring.db", description="The store to read: sqlite:///PATH.")
    http_host: str = Field(default="127.0.0.1", description="Address to listen on.")
    http_port: int = Field(default=8104, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least level logged.")
