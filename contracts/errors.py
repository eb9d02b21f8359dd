"""The failure kinds that a pure core may raise about one record."""

from typing import Any

# The reason of a record that the Kafka client cannot unpack; only its position is known.
UNREADABLE = "unreadable"


class Reject(Exception):  # noqa: N818  a verdict about a record, named like the action it leads to
    """Trying again cannot help: the record goes to the dead-letter topic with this reason.

    `reason` is a slug from a closed set (a header and a metric label); `detail` names the field and the place.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Misplaced(Reject):
    """A record whose value is good, but whose key or partition is not that of the application it names.

    `event` is what the value says.
    """

    def __init__(self, detail: str, event: Any) -> None:
        super().__init__("key_mismatch", detail)
        self.event = event
