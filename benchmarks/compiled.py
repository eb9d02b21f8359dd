"""Peers that are compiled: Go on franz-go, Java on Kafka Streams, built into build/peers with pinned versions.

Libraries are fetched from wherever Go and Maven are configured to take them, then the peer is built without a network.
Go holds modules against go.sum. The class path of Java is held against libraries.sha256, naming it by places in
a Maven repository; Maven's own plugins are held against the checksums of the repository that they come from.
"""

import re
import shutil
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path

from benchmarks.commands import ROOT, CommandError, run_command
from benchmarks.errors import NotAvailableError, VariantError

PEERS, INTO = ROOT / "benchmarks" / "peers", ROOT / "build" / "peers"
FETCH_WITHIN_S, BUILD_WITHIN_S, ASK_WITHIN_S = 180.0, 180.0, 20.0
GO_SETTINGS = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}
JAVA_NEEDED = 17
# By its whole name: a short one is looked up in lists of the repository. The version is in pom.xml.
COMPILE = "org.apache.maven.plugins:maven-compiler-plugin:compile"
STREAMS, REPOSITORY = PEERS / "kafka_streams", INTO / "maven"
LIBRARIES = STREAMS / "libraries.sha256"
# So much heap is plenty for a hop; without a bound Java takes a quarter of the machine. Its state is thrown away.
JAVA = ("java", "-Xmx512m", f"-Djava.io.tmpdir={INTO}")


@cache
def franz_go() -> tuple[str, ...]:
    """Build the hop in Go; its command line, without the job.

    Raises:
        NotAvailableError: there is no Go, it is too old, or a module cannot be fetched.
        VariantError: it does not compile.

    """
    program, source = INTO / "franz_go", str(PEERS / "franz_go")
    need("franz_go", ["go"])
    _fetch("franz_go", ["go", "list", "-C", source, "-mod=readonly", "-deps", "."], GO_SETTINGS)
    command = ["go", "build", "-C", source, "-mod=readonly", "-trimpath", "-o", str(program), "."]
    _build("franz_go", command, {**GO_SETTINGS, "GOPROXY": "off"})
    return (str(program),)


@cache
def kafka_streams() -> tuple[str, ...]:
    """Build the hop on Kafka Streams; its command line, without the job.

    Raises:
        NotAvailableError: there is no Maven or no Java compiler, it is too old, or a library cannot be fetched.
        VariantError: it does not compile, or a library has another checksum.

    """
    into = INTO / "kafka_streams"
    need("kafka_streams", ["java", "javac", "mvn"])
    _need_java()
    maven = ["mvn", "-q", "-B", "-C", "-Dstyle.color=never", f"-Dmaven.repo.local={REPOSITORY}", f"-Dinto={into}"]
    compiling = [*maven, "-f", str(STREAMS / "pom.xml"), COMPILE]
    _fetch("kafka_streams", [*compiling, "-Dmaven.main.skip"], {})
    libraries = checked(LIBRARIES, REPOSITORY)
    _build("kafka_streams", [*compiling, "--offline"], {})
    return (*JAVA, "-cp", ":".join(map(str, [into / "classes", *libraries])), "Hop")


def checked(sums: Path, folder: Path) -> list[Path]:
    """Return the files that a list names, as `sha256sum` writes it; `VariantError` for one that is not as it says."""
    files = []
    for line in sums.read_text("utf-8").splitlines():
        wanted, name = line.split()
        files.append(folder / name)
        if not files[-1].is_file() or sha256(files[-1].read_bytes()).hexdigest() != wanted:
            raise VariantError(f"{name} is not the file that {sums.name} names")
    return files


def need(name: str, programs: Sequence[str]) -> None:
    """Raise `NotAvailableError` with the name of the first program that this machine has not."""
    for program in programs:
        if shutil.which(program) is None:
            raise NotAvailableError(f"{name}: there is no {program} on the path, which it is built with")


def _need_java() -> None:
    try:
        said = run_command(["javac", "-version"], within_s=ASK_WITHIN_S)
    except CommandError as error:
        raise NotAvailableError(f"kafka_streams: there is no Java here: {error}") from error
    version = re.search(r"javac (\d+)", said)
    if version is None or int(version[1]) < JAVA_NEEDED:
        raise NotAvailableError(f"kafka_streams: Java {JAVA_NEEDED} or newer is needed, and this is {said.strip()}")


def _fetch(name: str, command: Sequence[str], settings: Mapping[str, str]) -> None:
    try:
        run_command(command, settings, FETCH_WITHIN_S)
    except CommandError as error:
        raise NotAvailableError(f"{name}: its libraries could not be fetched: {error}") from error


def _build(name: str, command: Sequence[str], settings: Mapping[str, str]) -> None:
    INTO.mkdir(parents=True, exist_ok=True)
    try:
        run_command(command, settings, BUILD_WITHIN_S)
    except CommandError as error:
        raise VariantError(f"{name} could not be built: {error}") from error
