"""Receives OTLP over HTTP on 127.0.0.1, as a collector does, and keeps the spans; or accepts and never answers."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Received(NamedTuple):
    """A span as it was exported; `name` begins with the service's."""

    name: str
    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    key: str


class Receiver:
    """What came in until now."""

    def __init__(self) -> None:
        self.endpoint = ""
        self._lock = threading.Lock()
        self._spans: list[Received] = []

    def spans(self) -> list[Received]:
        with self._lock:
            return list(self._spans)

    def take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        with self._lock:
            for resource in request.resource_spans:
                told = {one.key: one.value.string_value for one in resource.resource.attributes}
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        keys = {one.key: one.value.string_value for one in span.attributes}
                        name = f"{told['service.name']}: {span.name}"
                        key = keys.get("messaging.kafka.message.key", "")
                        self._spans.append(Received(name, span.trace_id, span.span_id, span.parent_span_id, key))

    def edges(self) -> set[tuple[str, str]]:
        """Parent and child by name; the parent of a trace's first span is `-`, one that did not come is `lost`."""
        spans = self.spans()
        names = {span.span_id: span.name for span in spans}
        return {("-" if not span.parent_id else names.get(span.parent_id, "lost"), span.name) for span in spans}


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.take(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    receiver.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def black_hole() -> Iterator[str]:
    """An endpoint that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
