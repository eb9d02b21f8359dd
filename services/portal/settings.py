"""The portal's settings, read from `PORTAL_*`."""

from typing import Annotated

from pydantic import Field, SecretStr, StringConstraints
from pydantic_settings import SettingsConfigDict

from contracts.topics import DEFAULT_PARTITIONS
from runtime.settings import ALLOWED_HOSTS, EnvironmentSettings, Host, KafkaAccess, Name

Address = Annotated[str, StringConstraints(pattern=r"^(?:https?://[^\s/?#]+)?$")]


class PortalSettings(EnvironmentSettings, KafkaAccess):
    """What the front door is told."""

    model_config = SettingsConfigDict(env_prefix="PORTAL_", frozen=True, extra="forbid")

    client_id: Name = Field(default="portal", description="Client id shown in the broker's logs.")
    http_host: Host = Field(default="127.0.0.1", description="Address to listen on.")
    http_port: int = Field(default=8100, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    allowed_hosts: str = Field(default="", description=ALLOWED_HOSTS)
    tokens: SecretStr | None = Field(
        default=None, description="Bearer tokens of the portal, parted by white space; each of them opens it."
    )
    open: bool = Field(
        default=False, description="Listen beyond loopback without tokens: whoever reaches the port may file."
    )
    per_minute: int = Field(default=3_000, ge=1, description="Requests by one token, or one address.")
    filings_per_minute: int = Field(default=600, ge=1, description="Applications filed by one token, or one address.")
    connections: int = Field(default=500, ge=1, description="Requests and connections at once; beyond, 503.")
    streams: int = Field(default=100, ge=1, description="Applications that are followed live at once; beyond, 503.")
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least level logged.")
    idempotent_producer: bool = Field(
        default=True, description="The broker drops a producer's own repeats; the embedded broker cannot."
    )
    partitions: int = Field(default=DEFAULT_PARTITIONS, ge=1, description="Partition count of the log.")
    filed_within_s: float = Field(
        default=5, ge=0.1, le=60, description="Seconds to wait until the broker has an application; beyond, 503."
    )
    read_within_s: float = Field(
        default=5, ge=0.1, le=60, description="Seconds that one reading of the log may take; beyond, 503."
    )
    recent: int = Field(
        default=20_000, ge=1, description="Newest submissions of each partition that are found by their id alone."
    )
    scoring_api: Address = Field(default="", description="URL of the scoring API, for the page; empty: no tables.")
    scoring_api_token: SecretStr | None = Field(
        default=None, description="A token of the scoring API: whoever may open the portal reads its tables."
    )
    mock: Address = Field(
        default="", description="URL of the VNeID mock's control API, for the page; empty: no faults there."
    )
    mock_token: SecretStr | None = Field(
        default=None, description="A token of the mock's control API: whoever may open the portal may break VNeID."
    )
    planner_url: Address = Field(
        default="", description="URL of the planner, for the page; empty: what if asks the store's reasons only."
    )
    services: str = Field(
        default="",
        pattern=r"^(?:\s*[a-z][a-z0-9_]*=https?://[^\s/?#]+)*\s*$",
        description="Services whose metrics the live page sums up: name=URL, parted by white space.",
    )
    part_within_s: float = Field(
        default=5, ge=0.1, le=60, description="Seconds that the page waits for one of these parts; beyond, 503."
    )
    watchers: int = Field(default=100, ge=1, description="Live pages that are open at once; beyond, 503.")
    most: int = Field(default=100_000, ge=1, description="Records read for one answer; beyond, it is not complete.")
