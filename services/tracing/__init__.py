"""Traces of a process, on when an OTLP endpoint is named by the standard variables of OpenTelemetry."""

import os

from runtime.tracing import Tracing

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def open_tracing(service: str) -> Tracing:
    """Return what records a process's spans: nothing, unless `OTEL_*` variables ask for it."""
    asked = any(os.environ.get(name) for name in ENDPOINTS)
    if not asked or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return Tracing()
    from services.tracing.recording import Recording  # noqa: PLC0415  0.1 s and 10 MB for those who trace only

    return Recording.exporting(service)
