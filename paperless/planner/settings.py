"""The planner's settings, read from `PLANNER_*`."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from runtime.settings import ALLOWED_HOSTS, EnvironmentSettings, Host


class PlannerSettings(EnvironmentSettings):
    """What the process is told that answers what-if questions; it needs nothing of the system beside it."""

    model_config = SettingsConfigDict(env_prefix="PLANNER_", frozen=True, extra="forbid")

    http_host: Host = Field(default="127.0.0.1", description="Address to listen on.")
    http_port: int = Field(default=8105, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    allowed_hosts: str = Field(default="", description=ALLOWED_HOSTS)
    open: bool = Field(
        default=False, description="Listen beyond loopback: whoever reaches the port may ask, and costs processor time."
    )
    cache: str = Field(
        default="build/whatif", description="Folder that keeps drawn days, as `paperless whatif --cache`; empty: none."
    )
    play: bool = Field(
        default=True, description="Play a setting through a system of its own, where there is an embedded broker."
    )
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least level logged.")
