"""The files that operators load: Prometheus' own tool checks and tests the rules; Grafana's and compose's by schema."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from testcontainers.core.container import DockerContainer

from tests.support.observe_files import OBSERVE, dashboard
from tests.support.source import ROOT

IMAGE, FOLDER = "prom/prometheus:v2.53.3", "/etc/prometheus"
COMPOSE = ROOT / "docker-compose.yml"
OVERLAY = ROOT / "deploy" / "compose" / "observe.yml"


def strict(properties: dict[str, Any], *, optional: tuple[str, ...] = ()) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


TEXT, COUNT = {"type": "string", "minLength": 1}, {"type": "integer", "minimum": 0}
SOURCE = strict({"type": {"const": "prometheus"}, "uid": {"const": "prometheus"}})
# The fields of Grafana's dashboard model that we use (grafana.com/docs: dashboard JSON model, schema 39).
DASHBOARD = strict(
    {
        "uid": TEXT,
        "title": TEXT,
        "tags": {"type": "array", "items": TEXT},
        "timezone": {"enum": ["browser", "utc"]},
        "schemaVersion": {"const": 39},
        "refresh": {"type": "string", "pattern": "^[0-9]+[smh]$"},
        "time": strict({"from": TEXT, "to": TEXT}),
        "templating": strict({"list": {"type": "array"}}),
        "annotations": strict({"list": {"type": "array"}}),
        "editable": {"type": "boolean"},
        "panels": {
            "type": "array",
            "minItems": 1,
            "items": strict(
                {
                    "id": COUNT,
                    "type": {"enum": ["timeseries", "stat"]},
                    "title": TEXT,
                    "datasource": SOURCE,
                    "gridPos": strict({"x": COUNT, "y": COUNT, "w": COUNT, "h": COUNT}),
                    "fieldConfig": strict(
                        {
                            "defaults": strict(
                                {"unit": {"enum": ["none", "short", "ops", "reqps", "s", "bytes", "percentunit"]}}
                            ),
                            "overrides": {"type": "array"},
                        }
                    ),
                    "targets": {
                        "type": "array",
                        "minItems": 1,
                        "items": strict(
                            {"refId": {"type": "string", "pattern": "^[A-Z]$"}, "expr": TEXT, "legendFormat": TEXT}
                        ),
                    },
                }
            ),
        },
    }
)
# grafana.com/docs: provisioning.
DATASOURCES = strict(
    {
        "apiVersion": {"const": 1},
        "datasources": {
            "type": "array",
            "items": strict(
                {
                    "name": TEXT,
                    "uid": TEXT,
                    "type": {"enum": ["prometheus", "jaeger"]},
                    "access": {"const": "proxy"},
                    "url": {"type": "string", "pattern": "^http://[a-z]+:[0-9]+$"},
                    "isDefault": {"type": "boolean"},
                    "jsonData": strict({"timeInterval": TEXT}),
                },
                optional=("isDefault", "jsonData"),
            ),
        },
    }
)
PROVIDERS = strict(
    {
        "apiVersion": {"const": 1},
        "providers": {
            "type": "array",
            "items": strict(
                {
                    "name": TEXT,
                    "type": {"const": "file"},
                    "allowUiUpdates": {"type": "boolean"},
                    "options": strict({"path": TEXT}),
                }
            ),
        },
    }
)


def provisioned(name: str) -> Any:
    return yaml.safe_load((OBSERVE / "grafana" / "provisioning" / name).read_text("utf-8"))


def overlay() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(OVERLAY.read_text("utf-8"))
    return found


@pytest.mark.container
@pytest.mark.parametrize(
    "command", [["check", "config", f"{FOLDER}/prometheus.yml"], ["test", "rules", f"{FOLDER}/alerts_test.yml"]]
)
def test_prometheus_own_tool_accepts(command):
    container = DockerContainer(IMAGE, entrypoint="promtool").with_volume_mapping(str(OBSERVE), FOLDER)
    with container.with_command(command) as tool:
        code = tool.get_wrapped_container().wait(timeout=50)["StatusCode"]
        said = b"".join(tool.get_logs()).decode()
    assert code == 0, said
    assert "SUCCESS" in said


@pytest.mark.parametrize(
    ("document", "schema"),
    [
        pytest.param(dashboard(), DASHBOARD, id="dashboard"),
        pytest.param(provisioned("datasources/prometheus.yml"), DATASOURCES, id="datasources"),
        pytest.param(provisioned("dashboards/paperless.yml"), PROVIDERS, id="providers"),
    ],
)
def test_grafana_gets_what_it_understands(document, schema):
    Draft202012Validator.check_schema(schema)
    assert [error.message for error in Draft202012Validator(schema).iter_errors(document)] == []


def test_a_dashboard_with_a_misspelt_field_would_be_noticed():
    panel = {**dashboard()["panels"][0], "titel": "x"}
    assert list(Draft202012Validator(DASHBOARD).iter_errors({**dashboard(), "panels": [panel]}))


def test_what_is_mounted_exists_and_is_found_where_it_is_looked_for():
    services = overlay()["services"]
    mounts = {
        target: source
        for name in ("prometheus", "grafana")
        for source, target, *_ in (volume.split(":") for volume in services[name]["volumes"])
    }
    for source in mounts.values():
        assert not source.startswith("./") or (ROOT / source).exists(), source
    [provider] = provisioned("dashboards/paperless.yml")["providers"]
    home = Path(services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == provider["options"]["path"]
    assert (ROOT / mounts[provider["options"]["path"]] / home.name).is_file()
    for rules in yaml.safe_load((OBSERVE / "prometheus.yml").read_text("utf-8"))["rule_files"]:
        assert f"{FOLDER}/{rules}" in mounts


def test_prometheus_scrapes_where_the_services_listen():
    services = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]
    jobs = yaml.safe_load((OBSERVE / "prometheus.yml").read_text("utf-8"))["scrape_configs"]
    assert len(jobs) == 5
    for job in jobs:
        [lookup] = job["dns_sd_configs"]
        [name] = lookup["names"]
        port = next(int(value) for key, value in services[name]["environment"].items() if key.endswith("_HTTP_PORT"))
        assert lookup["port"] == port, name
        assert job["job_name"] == name.replace("-", "_")
        assert set(services[name]["networks"]) & set(overlay()["services"]["prometheus"]["networks"]), name


def test_every_service_of_the_flow_is_traced_to_the_viewer():
    services = overlay()["services"]
    endpoints = {
        services[name]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"]
        for name in ("portal", "intake", "vneid-mock", "scoring", "demo")
    }
    assert endpoints == {"http://jaeger:4318"}
    assert any("0.0.0.0:4318" in option for option in services["jaeger"]["command"])
    urls = {source["url"] for source in provisioned("datasources/prometheus.yml")["datasources"]}
    assert urls == {"http://prometheus:9090", "http://jaeger:16686"}


def test_what_shows_the_system_is_published_to_this_machine_only():
    for name in ("prometheus", "grafana", "jaeger"):
        service = overlay()["services"][name]
        assert service["ports"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"]), name
        assert ":latest" not in service["image"]
        assert ":" in service["image"]
