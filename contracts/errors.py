"""The failure kinds that a pure core may raise about one record."""


class Reject(Exception):  # noqa: N818  a verdict about a record, named like the action it leads to
    """Trying again cannot help: the record goes to the dead-letter topic with this reason.

    `reason` is a slug from a closed set (a header and a metric label); `detail` names the field and the place.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
