"""Structured logs: one JSON object a line on standard error; personal data never reaches a line."""

import logging
import sys
import time
from collections.abc import MutableMapping
from typing import Any

import structlog

from runtime.command_line import unfailing_stderr

# A field of this name is a bug wherever it is logged; it is dropped rather than trusted to be harmless.
PERSONAL_FIELDS = frozenset({"citizen_number", "value", "dossier_code"})
# aiokafka writes thousands of lines a second while a broker refuses connections.
LIBRARY_LINES_PER_S = 5.0


def configure(service: str, level: str) -> None:
    """Send this process's logs, and its libraries', to standard error as JSON lines."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        # Not bound to the context, which threads of libraries do not have.
        lambda _, __, event: {"service": service, **event},
        _add_span,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _drop_personal_fields,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    # A full disk behind it is no reason to end, nor to end with another exit code.
    unfailing_stderr()
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    handler.addFilter(_LibraryRate(LIBRARY_LINES_PER_S))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # Uvicorn's address is that of a container, or one that only others' settings lead to: nobody should type it.
    # The portal asks the other parts every second while anybody looks at its page.
    for library in ("aiokafka", "uvicorn", "httpx"):
        logging.getLogger(library).setLevel(max(logging.WARNING, root.level))


def _add_span(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    # Loaded by whoever records spans; where nobody does, there is none to name.
    tracing = sys.modules.get("opentelemetry.trace")
    span = tracing and tracing.get_current_span().get_span_context()
    if span and span.is_valid:
        event.update(trace_id=f"{span.trace_id:032x}", span_id=f"{span.span_id:016x}")
    return event


def _drop_personal_fields(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for field in PERSONAL_FIELDS & event.keys():
        del event[field]
    return event


class _LibraryRate(logging.Filter):
    """Passes a few lines a second of each chatty library."""

    def __init__(self, lines_per_s: float) -> None:
        super().__init__()
        self._lines_per_s = lines_per_s
        self._windows: dict[str, tuple[int, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        library = record.name.partition(".")[0]
        if library not in {"aiokafka", "kafka", "opentelemetry", "uvicorn"}:
            return True
        second = int(time.monotonic())
        last, lines = self._windows.get(library, (second, 0))
        lines = lines + 1 if last == second else 1
        self._windows[library] = (second, lines)
        return lines <= self._lines_per_s
