"""`python -m paperless.supervise OPTIONS`: the process that `paperless up` and `paperless demo` start."""

import argparse
from functools import partial

from aiokafka.errors import KafkaError

from contracts.topics import DEFAULT_PARTITIONS
from paperless.local.errors import LocalSystemError
from paperless.local.layout import LocalOptions, module_command
from paperless.local.supervisor import main as supervise
from paperless.operations.topics import TopicsError, ensure_topics
from runtime.settings import KafkaAccess

COMMAND = module_command("paperless.supervise")


async def _create_topics(access: KafkaAccess, *, partitions: int) -> None:
    try:
        await ensure_topics(access, partitions=partitions)
    except (TopicsError, KafkaError) as error:
        raise LocalSystemError(str(error)) from error


def main() -> None:
    """Supervise the system's own services, on topics with so many partitions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--partitions", type=int, default=DEFAULT_PARTITIONS)
    parser.add_argument("options", type=LocalOptions.model_validate_json, help="LocalOptions as JSON")
    given = parser.parse_args()
    supervise(given.options, prepare=partial(_create_topics, partitions=given.partitions))


if __name__ == "__main__":
    main()
