"""Traces of a process: none, unless the standard variables of OpenTelemetry name an OTLP endpoint."""

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from runtime.errors import FatalError
from runtime.messages import Message, Record, RecordHandler
from runtime.publisher import Publisher

# What the trace of an open entry goes on from, by the entry's key; only who records spans looks inside.
Traces = dict[bytes, Any]

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Sends(Protocol):
    """What sends a message, and calls these when the broker has it."""

    when_sent: list[Callable[[], object]]


class Tracing:
    """What a process without tracing does about traces: nothing, at the price of a call a batch."""

    def begin(self, message: Message, publisher: Sends) -> Message:  # noqa: ARG002  overridden
        """Return a message as it is sent at the head of the flow: there a trace starts, or not."""
        return message

    def around(self, handler: RecordHandler, traces: Traces, publisher: Publisher) -> RecordHandler:  # noqa: ARG002  overridden
        """Return the handler as it handles one partition, whose open entries have `traces`."""
        return handler

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


def open_tracing(service: str) -> Tracing:
    """Return what records a process's spans: nothing, unless `OTEL_*` variables ask for it.

    Raises:
        FatalError: they do, and OpenTelemetry's SDK is not installed.

    """
    asked = any(os.environ.get(name) for name in ENDPOINTS)
    if not asked or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return Tracing()
    try:
        from runtime.tracing.recording import Recording  # noqa: PLC0415  0.1 s and 10 MB for those who trace only
    except ModuleNotFoundError as error:
        raise FatalError(f'traces are asked for and need {error.name}; pip install "paperless[tracing]"') from error
    return Recording.exporting(service)
