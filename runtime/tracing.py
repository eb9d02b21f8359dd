"""Where a process may record spans. This class records none and costs a call a batch; one that does can replace it."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from runtime.messages import Logic, Message, Record
from runtime.outbox import Outbox

# What the trace of an open entry goes on from, by the entry's key; only who records spans looks inside.
Traces = dict[bytes, Any]


class Tracing:
    """What a process without tracing does about traces: nothing."""

    def begin(self, message: Message, outbox: Outbox) -> Message:  # noqa: ARG002  overridden
        """Return a message as it is sent at the head of the flow: there a trace starts, or not."""
        return message

    def around(self, logic: Logic, traces: Traces, outbox: Outbox) -> Logic:  # noqa: ARG002  overridden
        """Return the logic as it handles one partition, whose open entries have `traces`."""
        return logic

    def batch(self, records: Iterable[Record]) -> AbstractContextManager[None]:  # noqa: ARG002  overridden
        """Bound the handling of a batch."""
        return nullcontext()

    def together(
        self,
        name: str,  # noqa: ARG002  overridden
        records: Iterable[Record],  # noqa: ARG002  overridden
        attributes: Mapping[str, str | int],  # noqa: ARG002  overridden
    ) -> AbstractContextManager[None]:
        """Bound one step, a transaction, that handles several records of a batch together."""
        return nullcontext()

    def stop(self) -> None:
        """Hand over what was recorded, within a bounded time."""
