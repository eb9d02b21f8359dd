"""Fresh and known histories of the simulated cluster, each played in a process of its own, as its command plays it."""

import re
import subprocess
import sys
from contextlib import closing
from xml.etree import ElementTree as ET

import pytest
from aiokafka.errors import KafkaTimeoutError

from contracts.topics import LOG_IDENTITY
from runtime.log_identity import read_log_identity
from runtime.settings import KafkaAccess
from tests.cluster.batches import played_apart
from tests.cluster.draws import Draws
from tests.cluster.faults import Fault
from tests.cluster.history import Wish
from tests.cluster.kafka import KafkaCluster
from tests.cluster.mutants import MUTANTS
from tests.cluster.network import Network
from tests.cluster.simulated_loop import SimulatedLoop, simulated_time
from tests.support.source import ROOT

# What `make test` plays; `make torture` plays hundreds.
HISTORIES, CHUNKS = 24, 2


def played(*options: object, within_s: float = 240) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.cluster", *map(str, options)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=within_s, check=False)


@pytest.mark.slow(reason="half of the histories of a run")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_all_holds_in_every_history(chunk):
    count = HISTORIES // CHUNKS
    ran = played("--seed", chunk * count, "--histories", count, "--jobs", 1)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"{count} histories" in ran.stdout.splitlines()[-1]


@pytest.mark.slow(reason="two processes, each with all imports")
@pytest.mark.timeout(300)
def test_a_seed_is_one_history_byte_for_byte():
    """Also after another one in the same process, and when a member stops: its service's stop once took a thread."""
    ran = played("--seed", 7)
    _, again, once_more = played_apart([Wish(seed=2), Wish(seed=7), Wish(seed=7)])
    lines = "".join(f"{at:9.3f}  {line}\n" for at, line in again.lines)
    assert ran.stdout == f"{lines}all held\n"
    assert again.lines == once_more.lines
    assert any(line.endswith("ends with 0") for _, line in again.lines)
    assert len(again.lines) > 50


def test_a_mishap_left_out_leaves_the_others_as_they_were():
    """Draws are named by subject, so what fails can be made shorter."""
    whole, shorter = (
        [line for line in played("--seed", 11, *without).stdout.splitlines() if "MISHAP" in line]
        for without in ([], ["--without", "0"])
    )
    assert [line for line in whole if "MISHAP 0:" not in line] == shorter
    assert len(shorter) < len(whole)


def test_a_history_is_shown_as_a_page_of_one_well_formed_file(tmp_path):
    ran = played("--seed", 11, "--page", tmp_path / "pages" / "history.html")
    text = (tmp_path / "pages" / "history.html").read_text()
    page = ET.fromstring(text)
    shown = " ".join(page.itertext())
    assert "All held." in shown
    members = {line.split()[1] for line in ran.stdout.splitlines() if line.endswith(" starts")}
    assert len(members) >= 3
    assert all(f"{name} owns partition" in shown for name in members)
    assert all(line.partition("MISHAP ")[2] in shown for line in ran.stdout.splitlines() if "MISHAP" in line)
    assert not re.search(r"(src|href|url)\s*[=(]", text), "a page asks nobody for anything"


def test_a_kind_that_does_not_exist_is_named():
    ran = played("--kinds", "earthquake")
    assert (ran.returncode, "no kind of mishap is called 'earthquake'" in ran.stderr) == (1, True)


def test_a_history_says_how_to_play_it_again():
    wish = Wish(seed=3, applications=5, without=frozenset({2, 0}), kinds=("kill",))
    assert wish.command() == "python -m tests.cluster --seed 3 --applications 5 --without 0,2 --kinds 'kill'"


def test_silence_of_a_broker_is_not_taken_for_an_empty_topic():
    """A history found it: scoring stopped for good, since its log had no identity, while fetches were not answered."""
    loop = SimulatedLoop()
    network = Network(loop, Draws(1))
    kafka = KafkaCluster(loop, Draws(1), network, {LOG_IDENTITY: 1}, lambda _: None)
    kafka.faults.append(Fault(effect="never answered", kinds=frozenset({"Fetch"})))
    loop.create_connection = network.connect  # type: ignore[method-assign,assignment]
    with simulated_time(loop), closing(loop), pytest.raises(KafkaTimeoutError, match="no answer from log"):
        loop.run_until_complete(read_log_identity(KafkaAccess(kafka_servers=kafka.address), LOG_IDENTITY))
    assert kafka.faults[0].met


# The rest of a history is not let go of tidily, so it is played in a process of its own.
WITHOUT_OFFSETS_AT_FIRST = """
import sys, tempfile
from pathlib import Path
from runtime.consumer import PartitionConsumer
from tests.cluster import history
from tests.cluster.faults import Fault
from tests.cluster.kafka import NO_COORDINATOR
from tests.cluster.mishaps import MOST

drive = history._drive

async def without_offsets_at_first(world):
    fault = Fault(effect="error", kinds=frozenset({"OffsetFetch"}), code=NO_COORDINATOR)
    world.kafka.faults.append(fault)
    world.after(12.0, lambda: world.kafka.faults.remove(fault))
    await drive(world)

history._drive = without_offsets_at_first
if sys.argv[1] == "stays":
    PartitionConsumer._end_with_client = lambda _: None
with tempfile.TemporaryDirectory() as folder:
    wish = history.Wish(seed=5, applications=5, without=frozenset(range(MOST)), plan="calm")
    ended = history.play(wish, Path(folder))
print(*ended.violations, *(line for _, line in ended.lines if "ends with" in line), sep="\\n")
"""


@pytest.mark.parametrize("does", ["ends", "stays"])
def test_a_member_whose_client_has_given_up_is_started_again(does):
    """A history found it: a coordinator that moved said so to whom asks for offsets, and partitions were never read."""
    command = [sys.executable, "-W", "ignore", "-c", WITHOUT_OFFSETS_AT_FIRST, does]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=True).stdout
    assert ("no rest: " in told) == (does == "stays")
    assert ("ends with 1" in told) == (does == "ends")


def test_what_fresh_histories_found_holds():
    wishes = [
        # At rest while an outcome was still on its way to a broker that did not answer: lost, the verdict said.
        Wish(seed=928861935, without=frozenset({0, 1, 2, 3, 5})),
        Wish(seed=928862656, without=frozenset({1, 2, 3, 4, 5})),
        # A commit that the client had tried again arrived 7 s after the next one, and took it back for good.
        Wish(seed=928862347, without=frozenset({0, 3})),
    ]
    assert [ended.violations for ended in played_apart(wishes)] == [[], [], []]


# The three that were faults of the product, which the cluster found, and what keeps the guarantee most plainly.
KNOWN = (
    "asks for the log's end before its offsets",
    "commits for ever",
    "is ready while a commit waits",
    "commits before it publishes",
    "takes markers for records",
)


@pytest.mark.slow(reason="some histories for each of several mutants")
@pytest.mark.timeout(600)
def test_faults_that_the_product_had_are_noticed():
    assert set(KNOWN) <= MUTANTS.keys()
    ran = played("--mutants", *KNOWN, "--jobs", 1, within_s=500)
    assert ran.returncode == 0, ran.stdout + ran.stderr
