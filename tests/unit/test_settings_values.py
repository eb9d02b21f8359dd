"""A setting that is accepted works, whatever its value; one that is refused is named."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka.conn import collect_hosts
from aiokafka.protocol.types import Int32, String
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_settings import BaseSettings

from paperless.cli.options import access_to
from paperless.local.layout import LocalOptions
from paperless.planner.app import create_app as create_planner
from paperless.planner.planner import Planner, loader
from paperless.planner.settings import PlannerSettings
from paperless.verification.verify import VerifyError
from runtime.broker import open_broker
from runtime.errors import FatalError
from runtime.host_guard import HostGuard
from runtime.http_guard import TokenGuard
from runtime.settings import ServiceSettings, read_settings
from runtime.subscription import subscribe
from services.intake import app as intake
from services.intake.settings import IntakeSettings
from services.portal import app as portal
from services.portal.settings import PortalSettings
from services.scoring.api.settings import ScoringApiSettings
from services.scoring.settings import ScoringSettings
from services.scoring.store.engines import open_session
from services.vneid_mock import app as vneid_mock
from services.vneid_mock.plan_files import PlanError
from services.vneid_mock.settings import VneidSettings
from tests.support.source import ROOT
from tools.settings_page import SETTINGS

# A machine that runs for thirty years: what is added to its clock must still move it.
LATE_S = 1e9
# What people and templates put into a variable, and the numbers at which arithmetic and the wire break.
WORDS = [
    "", " ", "x", "true", "0", "-1", "1", "3", "0.5", "1e-300", "1e300", "inf", "-inf", "nan", "1_000", "07",
    str(2**31 - 1), str(2**31), str(2**63), str(2**64), "9" * 400, "kafka:9092", "a:1, b:2", "a:1,", ":9092", "kafka",
    "kafka:port", "kafka:0", "kafka:65536", "http://kafka:9092", "[::1]:9092", "::1", "[::1:9092", "127.0.0.1:9092",
    "ứng-dụng", "a b", "a" * 250, "a" * 40_000, "sqlite:///", "sqlite:///x.db", "mild", "none.toml", "/",
]  # fmt: skip
texts = st.sampled_from(WORDS) | st.integers().map(str) | st.floats().map(str) | st.text(max_size=20)


def wire(settings: ServiceSettings) -> None:
    """Make what a service makes of these settings before it connects, and say over the wire what it will say."""
    subscribe(open_broker(settings), "topic", settings=settings, listener=None)
    assert all(0 < port < 65_536 and host for host, port, _ in collect_hosts(settings.kafka_servers.split(",")))
    for number in (settings.session_timeout_ms, settings.fetch_max_wait_ms):
        Int32.encode(number)
    for text in (settings.client_id, settings.group_id, settings.group_instance_id):
        String("utf-8").encode(text)
    assert settings.group_id
    assert settings.http_host.strip()
    assert settings.masked()


def limited(per_minute: int) -> None:
    """Let a request pass that comes first in its minute."""
    scope = {"type": "http", "path": "/", "headers": [], "query_string": b"", "client": ("127.0.0.1", 1)}
    assert asyncio.run(TokenGuard(None, (), per_minute)._refusal(scope)) is None


def intake_works(settings: IntakeSettings) -> None:
    assert LATE_S < LATE_S + settings.patience_s < float("inf")
    intake.build(settings)


def vneid_works(settings: VneidSettings) -> None:
    limited(settings.control_per_minute)
    vneid_mock.build(settings)


def scoring_works(settings: ScoringSettings) -> None:
    open_session(settings.store)


def scoring_api_works(settings: ScoringApiSettings) -> None:
    limited(settings.per_minute)
    HostGuard(None, settings.allowed_hosts)
    open_session(settings.store, read_only=True)


def portal_works(settings: PortalSettings) -> None:
    limited(settings.per_minute)
    limited(settings.filings_per_minute)
    HostGuard(None, settings.allowed_hosts)
    portal.Portal(settings)


def planner_works(settings: PlannerSettings) -> None:
    create_planner(Planner(loader(None)), settings.allowed_hosts)


WORKS: dict[type[BaseSettings], Callable[[Any], None]] = {
    ServiceSettings: wire,
    PortalSettings: portal_works,
    IntakeSettings: intake_works,
    VneidSettings: vneid_works,
    ScoringSettings: scoring_works,
    ScoringApiSettings: scoring_api_works,
    PlannerSettings: planner_works,
}
# What only the wiring can tell: a key that everybody knows, an open port, a plan, a store's address, short tokens.
TOLD_LATER = {"kafka_servers", "http_host", "plan", "store", "control_tokens", "tokens"}


def own_fields(kind: type[BaseSettings]) -> list[str]:
    """Those that the kind declares or bounds anew; what services share is looked at once."""
    shared = {} if kind is ServiceSettings else ServiceSettings.model_fields
    return [name for name, field in kind.model_fields.items() if name not in shared or name == "http_host"]


def named(place: tuple[int | str, ...], sentence: str, name: str) -> str:
    """The setting that a refusal names; a rule over several has no place, and its sentence must name this one."""
    if place:
        return str(place[0])
    return name if f"…{name.upper()} " in sentence else sentence


def refused(kind: type[BaseSettings], name: str, text: str) -> set[str]:
    """The settings that are named where this text is refused; none: it works."""
    try:
        settings = kind.model_validate({name: text})
    except ValidationError as error:
        return {named(details["loc"], details["msg"], name) for details in error.errors()}
    try:
        WORKS[kind](settings)
    except (FatalError, PlanError, ValueError) as error:
        return {name} & TOLD_LATER if str(error) else {"a refusal without a word"}
    return set()


@pytest.mark.parametrize("text", WORDS)
@pytest.mark.parametrize("kind", WORKS, ids=lambda kind: kind.__name__)
def test_a_value_as_people_write_them_works_or_is_refused_by_name(kind: type[BaseSettings], text: str):
    for name in own_fields(kind):
        assert refused(kind, name, text) <= {name}


@given(st.data())
@pytest.mark.parametrize("kind", WORKS, ids=lambda kind: kind.__name__)
def test_any_value_works_or_is_refused_by_name(kind: type[BaseSettings], data: st.DataObject):
    name = data.draw(st.sampled_from(own_fields(kind)))
    assert refused(kind, name, data.draw(texts)) <= {name}


def test_a_rule_over_two_settings_names_them_in_its_sentence():
    assert refused(ServiceSettings, "fetch_max_wait_ms", "1201") == {"fetch_max_wait_ms"}
    assert refused(ServiceSettings, "fetch_max_wait_ms", "1200") == set()


def test_every_kind_of_settings_is_looked_at():
    assert set(SETTINGS) == set(WORKS) - {ServiceSettings}


@given(st.dictionaries(st.sampled_from(sorted(LocalOptions.model_fields)), texts, max_size=2))
def test_options_of_a_local_run_reach_its_supervisor_or_are_refused(options: dict[str, str]):
    """They travel as JSON."""
    try:
        given_options = LocalOptions.model_validate(options)
    except ValidationError:
        return
    assert LocalOptions.model_validate_json(given_options.model_dump_json()) == given_options


@pytest.mark.parametrize("servers", ["", "kafka", "a:1,", "http://kafka:9092", "kafka:0"])
def test_an_address_of_a_broker_that_is_none_is_refused_in_a_sentence(servers: str):
    with pytest.raises(VerifyError, match=r"^PAPERLESS_KAFKA_SERVERS: .*expected host:port.*kafka:9092$"):
        access_to(servers)


def test_servers_may_be_parted_by_comma_and_space():
    assert access_to("a:1, b:2").client_options()["bootstrap_servers"] == ["a:1", "b:2"]


def test_wrong_variables_are_all_named_and_no_value_is_repeated(monkeypatch):
    monkeypatch.setenv("INTAKE_ATTEMPTS", "often")
    monkeypatch.setenv("INTAKE_KAFKA_CA_FILE", "/nowhere/ca.pem")
    with pytest.raises(FatalError, match=r"^INTAKE_KAFKA_CA_FILE: .*; INTAKE_ATTEMPTS: ") as refusal:
        read_settings(IntakeSettings)
    assert "often" not in str(refusal.value)


def test_a_file_of_a_secret_that_cannot_be_read_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("INTAKE_SIGNING_KEY_FILE", str(tmp_path / "key"))
    with pytest.raises(FatalError, match=r"^INTAKE_SIGNING_KEY_FILE: No such file .* \(.*/key\)$"):
        read_settings(IntakeSettings)


@pytest.mark.parametrize("module", ["services.intake", "services.vneid_mock", "services.scoring"])
def test_a_service_refuses_wrong_settings_in_one_line(module: str):
    prefix = {"services.vneid_mock": "VNEID"}.get(module, module.rpartition(".")[2].upper())
    env = {**os.environ, f"{prefix}_PARTITIONS": "six"}
    done = subprocess.run(
        [sys.executable, "-m", module], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 78
    [line] = done.stderr.splitlines()
    assert line.startswith(f"error: {prefix}_PARTITIONS: ")


def test_a_fetch_that_would_outwait_a_session_is_refused():
    """A history found it: frozen once, a member joined and was evicted for ever, its look-ups waiting for fetches."""
    settings = read_settings(ServiceSettings, fetch_max_wait_ms=1_200, session_timeout_ms=6_000)
    assert settings.fetch_max_wait_ms == 1_200
    with pytest.raises(FatalError, match="FETCH_MAX_WAIT_MS to at most 1200, a fifth of SESSION_TIMEOUT_MS"):
        read_settings(ServiceSettings, fetch_max_wait_ms=1_201, session_timeout_ms=6_000)
