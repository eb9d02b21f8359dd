"""What the log says that applications came to, read from `applications.decided`."""

from contracts.events import ApplicationDecided
from contracts.topics import APPLICATIONS_DECIDED
from paperless.verification.log_reader import LogReader
from runtime.settings import KafkaAccess


async def read_decisions(access: KafkaAccess, partitions: int) -> dict[str, ApplicationDecided]:
    """Return the decision that knows most about each application, by its id.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
        pydantic.ValidationError: a record breaks the contract.

    """
    known: dict[str, ApplicationDecided] = {}
    async with LogReader(access) as log:
        for partition in range(partitions):
            async for records in log.logged(APPLICATIONS_DECIDED.name, partition):
                for record in records:
                    decided = ApplicationDecided.model_validate_json(record.value or b"")
                    earlier = known.get(decided.application_id)
                    if earlier is None or decided.revision > earlier.revision:
                        known[decided.application_id] = decided
    return known
