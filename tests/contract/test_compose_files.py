"""docker-compose.yml and its overlays keep what they promise on any machine; nothing is started here."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from runtime.consumer import LAST_COMMIT_TIMEOUT_S
from tests.support.source import ROOT
from tests.support.variables import ComposeLoader


def load(path: Path) -> dict[str, Any]:
    # Our own loader of safe values.
    content: dict[str, Any] = yaml.load(path.read_text("utf-8"), ComposeLoader)
    return content


BASE = load(ROOT / "docker-compose.yml")
OVERLAYS = sorted((ROOT / "deploy/compose").glob("*.yml"))
SERVICES: Mapping[str, dict[str, Any]] = BASE["services"]
OURS = {name: service for name, service in SERVICES.items() if "PAPERLESS_IMAGE" in service["image"]}
LONG_RUNNING = {name: service for name, service in OURS.items() if service["restart"] != "no"}
SECRET = re.compile(r"^\s*(\w*(?:PASSWORD|SECRET|TOKENS?|SIGNING_KEY)\w*): *(.+)$", re.MULTILINE)
# uvicorn lets open requests end before the drain begins.
GRACEFUL_S = 5


def ports(service: Mapping[str, Any]) -> list[str]:
    return [str(port) for port in service.get("ports", [])]


def seconds(duration: str) -> int:
    return int(duration.removesuffix("s"))


@pytest.mark.parametrize("name", OURS)
def test_a_container_of_ours_is_given_nothing_it_does_not_need(name):
    service = OURS[name]
    assert service["read_only"]
    assert service["init"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    # The image's own, which is not root; `reports` may change the mode of its folder, and nothing else.
    rights = ("0:0", ["FOWNER"], "none") if name == "reports" else (None, None, service.get("network_mode"))
    assert (service.get("user"), service.get("cap_add"), service.get("network_mode")) == rights


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_has_limits_and_a_log_that_ends(name):
    service = SERVICES[name]
    assert service["cpus"] <= 2, "the engine refuses more than the machine has"
    assert re.fullmatch(r"\d+[mg]|\$\{\w+:-\d+[mg]\}", service["mem_limit"])
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}


def test_ports_are_published_on_loopback_only():
    overlays = [load(path) for path in OVERLAYS]
    published = [port for file in (BASE, *overlays) for one in file["services"].values() for port in ports(one)]
    assert len(published) >= 2
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_a_service_that_gives_up_is_not_restarted_for_ever(name):
    assert re.fullmatch(r"on-failure:\d+", LONG_RUNNING[name]["restart"])


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_a_service_has_the_time_to_drain(name):
    assert seconds(LONG_RUNNING[name]["stop_grace_period"]) >= LAST_COMMIT_TIMEOUT_S + GRACEFUL_S


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_a_service_says_whether_it_is_healthy(name):
    assert LONG_RUNNING[name]["healthcheck"]["test"][3:4] == ["healthy"]


@pytest.mark.parametrize("name", [name for name, one in SERVICES.items() if one["restart"] != "no"])
def test_a_check_that_goes_on_watching_is_given_the_time_for_it(name):
    check = SERVICES[name]["healthcheck"]
    assert check["test"][:2] == ["CMD", "steady"]
    assert seconds(check["timeout"]) > int(check["test"][2]) + 10


@pytest.mark.parametrize("name", sorted(set(LONG_RUNNING) - {"portal", "vneid-mock", "scoring-api"}))
def test_what_is_scaled_has_neither_a_port_nor_a_name_of_its_own(name):
    assert ports(LONG_RUNNING[name]) == []
    assert "container_name" not in LONG_RUNNING[name]


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_starts_before_what_it_needs_is_ready(name):
    waits = {one: rule["condition"] for one, rule in SERVICES[name].get("depends_on", {}).items()}
    jobs = {one for one in SERVICES if SERVICES[one]["restart"] == "no"}
    assert waits == {one: "service_completed_successfully" if one in jobs else "service_healthy" for one in waits}


def test_the_demo_starts_only_when_it_is_asked_for():
    assert {name for name, service in SERVICES.items() if "profiles" in service} == {"demo"}


def test_no_secret_is_written_down():
    """A secret is named by its file, or by where the broker's configuration finds it."""
    for path in (ROOT / "docker-compose.yml", *OVERLAYS):
        named = SECRET.findall(path.read_text("utf-8"))
        written = [name for name, value in named if not (name.endswith("_FILE") and value.startswith("/run/"))]
        assert [name for name in written if f"{name}: $${{directory:" not in path.read_text("utf-8")] == [], path.name


def test_images_of_others_are_pinned():
    files = [ROOT / "docker-compose.yml", *OVERLAYS]
    found = {
        image for path in files for image in re.findall(r"^\s*image: (\S+)", path.read_text("utf-8"), re.MULTILINE)
    }
    assert {image for image in found if "$" not in image and not re.search(r":v?\d", image)} == set()


def test_the_image_runs_as_a_user_with_a_fixed_number():
    lines = (ROOT / "Dockerfile").read_text("utf-8").splitlines()
    assert [line for line in lines if line.startswith("USER")] == ["USER 10001:10001"]
