"""What the compose files tell a container is what its program reads."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.variables import ComposeLoader, interpolated, parsed, program_of, unread_variables

ROOT = Path(__file__).parents[2]
BASE = ROOT / "docker-compose.yml"
FILES = [BASE, *sorted((ROOT / "deploy/compose").glob("*.yml"))]


def load(path: Path) -> dict[str, Any]:
    # Our own loader of safe values.
    found: dict[str, Any] = yaml.load(interpolated(path.read_text("utf-8")), ComposeLoader)
    return found


COMMANDS = {name: service.get("command") or [] for name, service in load(BASE)["services"].items()}
SERVICES = [
    pytest.param(path, name, service, id=f"{path.stem}/{name}")
    for path in FILES
    for name, service in (load(path).get("services") or {}).items()
    if program_of(service.get("command") or COMMANDS.get(name, []))
]


def environment(service: dict[str, Any]) -> dict[str, str]:
    given = service.get("environment") or {}
    pairs = given.items() if isinstance(given, dict) else (line.partition("=")[::2] for line in given)
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in pairs}


def test_there_are_services_to_look_at():
    assert len(SERVICES) >= 6


@pytest.mark.parametrize(("path", "name", "service"), SERVICES)
def test_a_container_is_told_only_what_its_program_reads(path, name, service):
    assert unread_variables(service.get("command") or COMMANDS[name], environment(service)) == set()


@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if "services." in program_of(command)])
def test_what_a_service_is_told_are_valid_settings(name, tmp_path):
    (tmp_path / "secret").write_text("a-secret-of-enough-characters", "utf-8")
    parsed(COMMANDS[name], environment(load(BASE)["services"][name]), tmp_path / "secret")


def test_the_open_apis_of_the_demo_are_published_on_this_machine_only():
    base = load(BASE)["services"]
    opened = [name for name, service in base.items() if any("OPEN" in key for key in environment(service))]
    assert sorted(opened) == ["planner", "portal", "scoring-api", "vneid-mock"]
    for service in base.values():
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", []))
