"""A broker as component tests know it, whichever it is."""

from dataclasses import dataclass

from paperless.local.broker import Capabilities
from runtime.settings import KafkaAccess

APACHE_KAFKA = Capabilities(idempotent_producer=True, end_offsets_reliable=True)


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker without topics; `capabilities` as the services must be told."""

    address: str
    capabilities: Capabilities

    @property
    def access(self) -> KafkaAccess:
        return KafkaAccess(kafka_servers=self.address)

    @property
    def settings(self) -> dict[str, object]:
        """What a service is told about it; members that were killed are not waited for any longer than they must."""
        return {
            "kafka_servers": self.address,
            "idempotent_producer": self.capabilities.idempotent_producer,
            "end_offsets_reliable": self.capabilities.end_offsets_reliable,
            "fetch_max_wait_ms": self.capabilities.fetch_max_wait_ms,
            "session_timeout_ms": 2_000,
        }
