"""Three brokers, every record on two of them before it is acknowledged: one may die, fall behind or be cut off."""

import os
from collections.abc import Iterator
from functools import partial
from ipaddress import IPv4Address

import pytest

from tests.system.compose import BASE, CLUSTER, Compose
from tests.system.front_door import eventually
from tests.system.traffic import RECOVERED_WITHIN_S, traffic

pytestmark = [
    pytest.mark.container,
    pytest.mark.timeout(600),
    pytest.mark.slow(reason="faults outlast clients' time-outs, and traffic has to recover from each"),
]

# A broker that is cut off from one alone is still in sync, and leads on.
BROKERS_NETWORKS = ("log", "host")
# What `kafka-topics.sh --describe --under-replicated-partitions` says, and what `kafka-leader-election.sh
# --election-type preferred --all-topic-partitions` does, without the seconds that starting a Java machine takes.
ASK = """
import os, sys
from confluent_kafka import ElectionType
from confluent_kafka.admin import AdminClient
admin = AdminClient({"bootstrap.servers": os.environ["INTAKE_KAFKA_SERVERS"], "log_level": 0})
if sys.argv[1] == "moved":
    admin.elect_leaders(ElectionType.PREFERRED).result(30)
partitions = [one for topic in admin.list_topics(timeout=10).topics.values() for one in topic.partitions.values()]
amiss = {
    "behind": lambda one: len(one.isrs) < len(one.replicas),
    "moved": lambda one: one.leader != one.replicas[0],
}
print(sum(map(amiss[sys.argv[1]], partitions)))
"""


@pytest.fixture(scope="module")
def cluster(image: str) -> Iterator[Compose]:
    """The system of the cluster overlay, for this module alone: three brokers are much for a small machine."""
    files, project = (BASE, CLUSTER), f"paperless-test-cluster-{os.getpid()}"
    with Compose(project, files=files, image=image) as system:
        system.up()
        yield system


def ask(system: Compose, what: str) -> int | None:
    """How many partitions have a replica that is `behind`, or a leader that has `moved` and stays; None: no answer."""
    answer = system.exec("intake", "python", "-c", ASK, what)
    return int(answer.out) if answer.code == 0 else None


def address(system: Compose, broker: str) -> IPv4Address:
    """Where the other brokers reach this one now."""
    networks = system.inspect(*system.containers(broker))["NetworkSettings"]["Networks"]
    return IPv4Address(networks[f"{system.project}_{BROKERS_NETWORKS[0]}"]["IPAddress"])


def in_sync(system: Compose) -> bool:
    """Whether every replica has what its leader has, as an operator asks before the next broker goes."""
    return ask(system, "behind") == 0


def out_of_sync(system: Compose) -> bool:
    return bool(ask(system, "behind"))


def test_brokers_killed_one_after_the_other_and_one_cut_off_lose_nothing(cluster: Compose):
    with traffic(cluster) as flow:
        dead = sorted(("kafka", "kafka-2"), key=partial(address, cluster), reverse=True)
        cluster.kill("kafka-2")
        eventually(lambda: out_of_sync(cluster), RECOVERED_WITHIN_S)
        flow.goes_on()
        cluster.kill("kafka")
        flow.stands_still()
        # Each gets the lowest address that is free: the two change places, and the third must tell them apart.
        for broker in dead:
            cluster.start(broker)
        # Two replicas take records again; before, the third may still say what it knew: all in sync.
        flow.goes_on()
        eventually(lambda: in_sync(cluster), RECOVERED_WITHIN_S)
        # While two of three were away, the third was all that clients were told of; they have to find the others.
        cluster.disconnect("kafka-3", *BROKERS_NETWORKS)
        eventually(lambda: out_of_sync(cluster), RECOVERED_WITHIN_S)
        flow.goes_on(300)
        eventually(lambda: ask(cluster, "moved"), RECOVERED_WITHIN_S)
        cluster.connect("kafka-3", *BROKERS_NETWORKS)
        eventually(lambda: in_sync(cluster), RECOVERED_WITHIN_S)
        # A broker that was cut off may itself have answered just now, with what it knew before: all in sync.
        eventually(lambda: ask(cluster, "moved") == 0, RECOVERED_WITHIN_S)
        flow.goes_on()
