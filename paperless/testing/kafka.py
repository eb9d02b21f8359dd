"""Apache Kafka in a container for tests, one KRaft node that is broker and controller; docs/testing.md shows its use.

Needs testcontainers and aiokafka, nothing else of this project.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from paperless.testing.engine import free_port

IMAGE = "apache/kafka:4.1.1"
STARTED = r"Kafka Server started"
START_WITHIN_S = 90
# What a topic's deletion takes until every part of the broker knows of it.
GONE_WITHIN_S = 20.0
SETTLED_S = 0.1
INTERNAL = "__"
ITSELF = "ITSELF://127.0.0.1:19092"

PLAIN = {
    "KAFKA_NODE_ID": "1",
    "KAFKA_PROCESS_ROLES": "broker,controller",
    "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@127.0.0.1:9093",
    "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
    # The node talks to itself to end transactions, and from inside it has no published port.
    "KAFKA_LISTENERS": f"PLAINTEXT://:9092,CONTROLLER://127.0.0.1:9093,{ITSELF}",
    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,ITSELF:PLAINTEXT",
    "KAFKA_INTER_BROKER_LISTENER_NAME": "ITSELF",
}
QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
# One node has one replica of everything; few internal partitions and no wait for further members make it quick.
SMALL = {
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "3",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR": "1",
    "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    # Tests do not want to wait 6 s, the default's minimum, for a member that was killed.
    "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
    "KAFKA_HEAP_OPTS": "-Xms256m -Xmx384m",
    # What a node of tests does does not pay for the better compiler: half of the processor time of a start.
    "KAFKA_JVM_PERFORMANCE_OPTS": QUICK_JAVA,
}
# What the node says: that it serves, and what went wrong. (The image would append to its own files instead.)
LOG_CONFIG = b"""\
Configuration:
  Appenders:
    Console: {name: STDOUT, PatternLayout: {pattern: "[%d] %p %m (%c)%n"}}
  Loggers:
    Root: {level: WARN, AppenderRef: [{ref: STDOUT}]}
    Logger: [{name: kafka.server.KafkaRaftServer, level: INFO}]
"""
CONFIG_FOLDER = "/mnt/shared/config"


class KafkaContainer(DockerContainer):
    """One Kafka node, published on a port of 127.0.0.1 only; `with` starts it (about 5 s) and removes it.

    A broker tells its clients where to come back, so the port is chosen before it starts. Listeners of your own: give
    their container ports, and advertise them by `KAFKA_ADVERTISED_LISTENERS` with `address(port)`.

    Args:
        environment: `KAFKA_*` variables beside and instead of the usual ones.
        ports: container ports to publish; the first is the clients'.
        options: of `DockerContainer`, for example `volumes`.

    """

    def __init__(
        self, environment: Mapping[str, str] | None = None, ports: tuple[int, ...] = (9092,), **options: Any
    ) -> None:
        started = LogMessageWaitStrategy(STARTED).with_startup_timeout(START_WITHIN_S)
        super().__init__(IMAGE, _wait_strategy=started, **options)
        self._published = {port: free_port() for port in ports}
        for inside, outside in self._published.items():
            # Not `with_bind_ports`, which would publish on every address of this machine.
            published: dict[str, Any] = self.ports
            published[f"{inside}/tcp"] = ("127.0.0.1", outside)
        self.env |= {**SMALL, **PLAIN, "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{self.address()},{ITSELF}"}
        self.env |= dict(environment or {})
        for name in ("log4j2.yaml", "tools-log4j2.yaml"):
            self.with_copy_into_container(LOG_CONFIG, f"{CONFIG_FOLDER}/{name}")

    def address(self, port: int | None = None) -> str:
        """Return where a container port (the first, if none is given) answers, as host:port of this machine."""
        return f"localhost:{self._published[port or next(iter(self._published))]}"

    def restart(self) -> None:
        """Stop the node as an operator would and start it again; its log stays."""
        seen = self.log().count(STARTED.encode())
        self.get_wrapped_container().restart()
        again = LogMessageWaitStrategy(rf"(?s)(?:{STARTED}.*?){{{seen + 1}}}")
        again.with_startup_timeout(START_WITHIN_S)
        again.wait_until_ready(self)

    def log(self) -> bytes:
        """Return what the node has said, for a failing test to show."""
        said: bytes = self.get_wrapped_container().logs()
        return said


async def wipe(**access: Any) -> None:
    """Delete every topic of a broker, so that the next test finds it as new. Groups keep their (empty) names.

    Args:
        access: options of aiokafka's clients, at least `bootstrap_servers`.

    """
    admin = AIOKafkaAdminClient(**access)
    await admin.start()
    try:
        async with asyncio.timeout(GONE_WITHIN_S):
            empty = 0
            # Twice: what was created a moment ago, the broker does not list yet.
            while empty < 2:
                topics = [name for name in await admin.list_topics() if not name.startswith(INTERNAL)]
                empty = 0 if topics else empty + 1
                await (admin.delete_topics(topics) if topics else asyncio.sleep(SETTLED_S))
    finally:
        await admin.close()
