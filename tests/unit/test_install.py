"""Packages come from where pip is configured to take them, whichever of pip and uv installs."""

import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tools import install
from tools.install import as_uv_has_it, settings

CONFIGURED = """\
:env:.cert='/etc/ca.pem'
global.index-url='https://mirror.example/simple'
global.timeout='60'
install.index-url='https://nearer.example/simple'
list.format='columns'
"""
WISH = ["--require-hashes", "-r", "requirements/run.txt"]


def test_the_nearer_section_prevails_and_other_commands_do_not_count():
    assert settings(CONFIGURED) == {
        "index-url": "https://nearer.example/simple", "timeout": "60", "cert": "/etc/ca.pem",
    }  # fmt: skip
    assert settings("global.index-url='https://a/'\n:env:.index-url='https://b/'\n")["index-url"] == "https://b/"


def test_addresses_and_certificates_are_handed_on(tmp_path: Path):
    configured = settings(CONFIGURED) | {
        "extra-index-url": "https://one.example/ https://two.example/",
        "find-links": f"{tmp_path} {tmp_path}/nowhere https://three.example/",
        "trusted-host": "mirror.example",
        "no-input": "1",
    }
    given = as_uv_has_it(configured)
    assert given is not None
    options, variables = given
    assert list(zip(options[::2], options[1::2], strict=True)) == [
        ("--default-index", "https://nearer.example/simple"),
        ("--index", "https://one.example/"),
        ("--index", "https://two.example/"),
        ("--find-links", str(tmp_path)),
        ("--find-links", "https://three.example/"),
        ("--allow-insecure-host", "mirror.example"),
    ]
    assert variables == {"SSL_CERT_FILE": "/etc/ca.pem", "UV_HTTP_TIMEOUT": "60"}


def test_what_pip_goes_by_here_can_be_read():
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert len(settings(listed)) <= len(listed.splitlines())


class Ran(NamedTuple):
    program: str
    arguments: list[str]
    environment: dict[str, str]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Ran]:
    """The commands that are run in an environment where nothing is installed; uv fails for `broken.txt`."""
    commands: list[Ran] = []

    def run(command: list[str], environment: dict[str, str] | None = None) -> int:
        commands.append(Ran(Path(command[0]).name, command[1:], environment or {}))
        return int(Path(command[0]).name == "uv" and "broken.txt" in command)

    monkeypatch.setattr(install, "_ran", run)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    return commands


def pip_says(monkeypatch: pytest.MonkeyPatch, listed: str) -> None:
    done: Any = subprocess.CompletedProcess([], 0, listed, "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)


def test_uv_is_installed_by_its_hash_and_installs_the_rest(ran: list[Ran], monkeypatch: pytest.MonkeyPatch):
    pip_says(monkeypatch, CONFIGURED)
    assert install.main(["--into", ".venv-peers", *WISH]) == 0
    pip, uv = ran
    assert (pip.program, pip.arguments[-2:]) == ("python", ["-r", str(install.LOCK)])
    assert "--require-hashes" in pip.arguments
    assert (uv.program, uv.arguments[-3:]) == ("uv", WISH)
    python, index = (uv.arguments[uv.arguments.index(option) + 1] for option in ("--python", "--default-index"))
    assert (python, index) == (str(Path(".venv-peers/bin/python")), "https://nearer.example/simple")
    assert uv.environment["SSL_CERT_FILE"] == "/etc/ca.pem"


@pytest.mark.parametrize(
    ("listed", "lock", "programs"),
    [("global.no-index='1'\n", "run.txt", ["python"]), ("", "broken.txt", ["python", "uv", "python"])],
    ids=["uv has no equal", "uv fails"],
)
def test_pip_installs_what_uv_cannot(
    ran: list[Ran], monkeypatch: pytest.MonkeyPatch, listed: str, lock: str, programs: list[str]
):
    pip_says(monkeypatch, listed)
    assert install.main(["--require-hashes", "-r", lock]) == 0
    assert [each.program for each in ran] == programs
    pip = [*install.PIP, "--python", sys.executable, "install", "--quiet"]
    assert ran[-1].arguments == [*pip, "--require-hashes", "-r", lock]
