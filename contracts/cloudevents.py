"""CloudEvents 1.0 attributes in Kafka binary mode: the four that the standard requires, and no more bytes.

The event id is derived from the application and the step, so the same step produced twice carries the same id.
"""

from collections.abc import Callable

Headers = list[tuple[str, bytes]]


def header_maker(source: str, event_type: str) -> Callable[[str], Headers]:
    """Return a function of the event id that gives a record's headers.

    Args:
        source: the producing service, for example `/services/intake`.
        event_type: topic and version, for example `applications.decided.v1`.

    """
    constant: Headers = [
        ("ce_specversion", b"1.0"),
        ("ce_source", source.encode()),
        ("ce_type", event_type.encode()),
    ]

    def headers(event_id: str) -> Headers:
        return [*constant, ("ce_id", event_id.encode())]

    return headers
