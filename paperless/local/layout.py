"""Which services the embedded system consists of, and the settings each one gets."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field

from paperless.local.broker_kinds import Capabilities
from paperless.local.ports import HOST, Ports
from runtime.settings import LOOPBACK

ROOT = Path(__file__).parents[2]
# A killed member's partitions rest for as long; Tansu lets a member join after half of it.
SESSION_TIMEOUT_MS = 3_000
# As the facts call it (`domain.loading`), of which this room knows nothing.
FACTS_VARIABLE = "PAPERLESS_DOMAIN"


class LocalOptions(BaseModel):
    """How to run the system on this machine.

    `ports` asks for certain ports by process name (`broker`, `portal`, `intake`, `vneid_mock`, `scoring`,
    `scoring_api`, `planner`); the others are chosen free. `applications`: how many the broker's memory must hold
    besides the processes. `facts`: a folder of data files that the services read instead of the packaged ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    state_dir: Path = Path("build/run")
    seed: int = Field(default=1, ge=0, lt=2**64)
    plan: str = "mild"
    intake_members: int = Field(default=1, ge=1)
    static_members: bool = False
    log_level: str = "INFO"
    ports: Mapping[str, int] = {}
    applications: int = Field(default=0, ge=0)
    facts: Path | None = None
    ready_within_s: float = Field(default=60, gt=0, le=3_600)
    grace_s: float = Field(default=10, gt=0, le=3_600)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutInputs:
    """What a layout may build on: the run's options, broker, ports and secrets."""

    options: LocalOptions
    kafka_servers: str
    capabilities: Capabilities
    store_url: str
    signing_key: str
    ports: Ports


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """One service process; `GET /health` on its port answers 200 when it is ready, else why not."""

    name: str
    argv: tuple[str, ...]
    port: int
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


Layout = Callable[[LayoutInputs], tuple[ServiceSpec, ...]]


def services(inputs: LayoutInputs) -> tuple[ServiceSpec, ...]:
    """Portal, intake (one or more members), VNeID mock, scoring's consumer and its API, planner, in starting order."""
    options = inputs.options
    store = {"STORE": inputs.store_url}
    mock = {"SEED": str(options.seed), "PLAN": options.plan}
    consumers = (
        *(
            _service(inputs, name, "services.intake", "INTAKE", {"SIGNING_KEY": inputs.signing_key})
            for name in _members(options)
        ),
        _service(inputs, "vneid_mock", "services.vneid_mock", "VNEID", mock),
        _service(inputs, "scoring", "services.scoring", "SCORING", store),
    )
    api = _service(inputs, "scoring_api", "services.scoring.api", "SCORING_API", store)
    planner = _service(inputs, "planner", "paperless.planner", "PLANNER", {})
    seen = {
        "SCORING_API": api.url,
        "PLANNER_URL": planner.url,
        "MOCK": next(each.url for each in consumers if each.name == "vneid_mock"),
        "SERVICES": " ".join(f"{each.name}={each.url}" for each in consumers),
    }
    return (_service(inputs, "portal", "services.portal", "PORTAL", seen), *consumers, api, planner)


def service_names(options: LocalOptions) -> tuple[str, ...]:
    """The names of these services, which are known before anything runs."""
    return ("portal", *_members(options), "vneid_mock", "scoring", "scoring_api", "planner")


def _members(options: LocalOptions) -> list[str]:
    return ["intake", *(f"intake_{number}" for number in range(2, options.intake_members + 1))]


def _service(inputs: LayoutInputs, name: str, module: str, prefix: str, own: Mapping[str, str]) -> ServiceSpec:
    port = inputs.ports.take(name)
    settings = {
        "KAFKA_SERVERS": inputs.kafka_servers,
        "HTTP_HOST": HOST,
        "HTTP_PORT": str(port),
        "LOG_LEVEL": inputs.options.log_level,
        "IDEMPOTENT_PRODUCER": str(inputs.capabilities.idempotent_producer).lower(),
        "CLIENT_ID": name,
        "END_OFFSETS_RELIABLE": str(inputs.capabilities.end_offsets_reliable).lower(),
        "SESSION_TIMEOUT_MS": str(SESSION_TIMEOUT_MS),
        "FETCH_MAX_WAIT_MS": str(inputs.capabilities.fetch_max_wait_ms),
    }
    if inputs.options.static_members:
        settings["GROUP_INSTANCE_ID"] = name
    env = {f"{prefix}_{key}": value for key, value in {**settings, **own}.items()}
    if inputs.options.facts:
        env[FACTS_VARIABLE] = str(inputs.options.facts.resolve())
    return ServiceSpec(name=name, argv=module_command(module), port=port, env=env)


def module_command(module: str, *arguments: str) -> tuple[str, ...]:
    # -P: a folder called `services` where the command was typed must not stand in for ours.
    return (sys.executable, "-P", "-m", module, *arguments)


def environment(own: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """This process's environment, our packages on the path, and `own` on top."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    # What it says goes to a file, whatever a terminal can show.
    return {**os.environ, **_past_proxies(), "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8", **own}


def _past_proxies() -> dict[str, str]:
    """Keep libraries of a child, as the exporter of spans, from sending to this machine through a proxy."""
    names = ("NO_PROXY", "no_proxy")
    return {name: ",".join(filter(None, [os.environ.get(name), *sorted(LOOPBACK)])) for name in names}
