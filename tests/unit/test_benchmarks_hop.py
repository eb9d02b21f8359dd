"""A peer's figure counts only if it did the work; a peer that cannot be built is left out with the reason."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from benchmarks import compiled, hop
from benchmarks.commands import CommandError
from benchmarks.errors import NotAvailableError, VariantError
from benchmarks.suite import SUITE, Options

LOG = hop.log_of(100)
COPIES = {partition: [(key or b"", value or b"") for _, key, value, _ in rows] for partition, rows in LOG.items()}
FULLEST = max(COPIES, key=lambda partition: len(COPIES[partition]))


def test_the_first_records_of_each_partition_are_copies():
    hop.check_copies("peer", LOG, COPIES)
    hop.check_copies("peer", LOG, {FULLEST: COPIES[FULLEST][:3]})


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(COPIES[FULLEST][1:], id="one is lost"),
        pytest.param([COPIES[FULLEST][0], *COPIES[FULLEST]], id="one is there twice"),
        pytest.param(COPIES[FULLEST][::-1], id="another order"),
        pytest.param([(COPIES[FULLEST][0][0], b"{}")], id="another value"),
    ],
)
def test_what_is_no_copy_ends_the_measurement(rows: list[tuple[bytes, bytes]]):
    with pytest.raises(VariantError, match=f"peer: partition {FULLEST} has other records"):
        hop.check_copies("peer", LOG, {FULLEST: rows})


@pytest.fixture
def unbuilt(monkeypatch: pytest.MonkeyPatch):
    """Let what this process has built be forgotten, before and after."""
    builds = (compiled.franz_go, compiled.kafka_streams)
    for build in builds:
        build.cache_clear()
    yield monkeypatch
    for build in builds:
        build.cache_clear()


@pytest.mark.parametrize(("name", "program"), [("franz_go", "go"), ("kafka_streams", "java")])
def test_a_peer_without_its_compiler_says_what_is_missing(unbuilt: pytest.MonkeyPatch, name: str, program: str):
    unbuilt.setenv("PATH", "")
    with pytest.raises(NotAvailableError, match=f"{name}: there is no {program} on the path"):
        hop.VARIANTS[name].check_installed()


def test_a_java_that_is_too_old_is_no_java(unbuilt: pytest.MonkeyPatch):
    unbuilt.setattr(compiled, "need", lambda *_: None)
    unbuilt.setattr(compiled, "run_command", lambda *_, **__: "javac 11.0.2\n")
    with pytest.raises(NotAvailableError, match=r"Java 17 or newer is needed, and this is javac 11\.0\.2"):
        compiled.kafka_streams()


def refusing(word: str) -> Callable[..., str]:
    """Return a `run_command` that fails where the command has a word."""

    def run_command(command: Sequence[str], *_: object, **__: object) -> str:
        if word in command:
            raise CommandError(f"{command[0]} {word} ended with 1: no module proxy")
        return ""

    return run_command


def test_a_javac_that_only_stands_for_a_java_is_no_java(unbuilt: pytest.MonkeyPatch):
    unbuilt.setattr(compiled, "need", lambda *_: None)
    unbuilt.setattr(compiled, "run_command", refusing("-version"))
    with pytest.raises(NotAvailableError, match="kafka_streams: there is no Java here: javac -version ended with 1"):
        compiled.kafka_streams()


def test_a_peer_whose_libraries_cannot_be_fetched_is_left_out_with_the_reason(unbuilt: pytest.MonkeyPatch):
    unbuilt.setattr(compiled, "need", lambda *_: None)
    unbuilt.setattr(compiled, "run_command", refusing("list"))
    told: list[str] = []
    hops = next(benchmark for benchmark in SUITE if "hop_vs_franz_go" in benchmark.keys)
    assert hops.measure(Options(rounds=1, quick=True, tell=told.append), ["hop_vs_franz_go"]) == {}
    reason = "franz_go: its libraries could not be fetched: go list ended with 1: no module proxy"
    assert told == [f"hop_vs_franz_go is left out: {reason}"]


def test_a_peer_that_does_not_compile_is_no_missing_one(unbuilt: pytest.MonkeyPatch, tmp_path: Path):
    unbuilt.setattr(compiled, "INTO", tmp_path)
    unbuilt.setattr(compiled, "need", lambda *_: None)
    unbuilt.setattr(compiled, "run_command", refusing("build"))
    with pytest.raises(VariantError, match="franz_go could not be built: go build ended with 1") as caught:
        compiled.franz_go()
    assert not isinstance(caught.value, NotAvailableError)


def test_a_library_is_the_one_that_its_checksum_names(tmp_path: Path):
    sums, library = tmp_path / "libraries.sha256", tmp_path / "a.jar"
    library.write_bytes(b"a")
    sums.write_text(f"{sha256(b'a').hexdigest()}  a.jar\n", "utf-8")
    assert compiled.checked(sums, tmp_path) == [library]
    library.write_bytes(b"b")
    with pytest.raises(VariantError, match=r"a\.jar is not the file that libraries\.sha256 names"):
        compiled.checked(sums, tmp_path)
