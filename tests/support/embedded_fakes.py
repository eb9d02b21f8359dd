"""A stand-in service that only answers /health, and layouts of it."""

import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import FrameType

from paperless.local.layout import LayoutInputs, ServiceSpec

EXIT_CONFIGURATION = 78


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        ready = not os.environ.get("FAKE_UNREADY")
        body = json.dumps({"reasons": [] if ready else ["no_assignment"]}).encode()
        self.send_response(200 if ready else 503)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        return


def serve() -> None:
    """Answer until SIGTERM; SIGUSR1 leaves with the exit code that forbids a restart."""
    if os.environ.get("FAKE_BROKEN"):
        sys.exit("settings: INTAKE_ATTEMPTS must be a number")
    server = HTTPServer(("127.0.0.1", int(os.environ["FAKE_PORT"])), Health)

    def refuse(number: int, frame: FrameType | None) -> None:
        sys.stderr.write("too many dead letters\n")
        sys.stderr.flush()
        os._exit(EXIT_CONFIGURATION)

    def leave(number: int, frame: FrameType | None) -> None:
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGUSR1, refuse)

    def stay(number: int, frame: FrameType | None) -> None:
        Path(os.environ["FAKE_STUBBORN"]).touch()

    signal.signal(signal.SIGTERM, stay if os.environ.get("FAKE_STUBBORN") else leave)
    server.serve_forever(poll_interval=0.02)
    server.server_close()


def fake(inputs: LayoutInputs, name: str, **env: str) -> ServiceSpec:
    port = inputs.ports.take(name)
    command = (sys.executable, str(Path(__file__)))
    return ServiceSpec(name=name, argv=command, port=port, env={"FAKE_PORT": str(port), **env})


def two_services(inputs: LayoutInputs) -> tuple[ServiceSpec, ...]:
    return fake(inputs, "intake"), fake(inputs, "scoring")


def unready_service(inputs: LayoutInputs) -> tuple[ServiceSpec, ...]:
    return fake(inputs, "intake"), fake(inputs, "scoring", FAKE_UNREADY="1")


def broken_service(inputs: LayoutInputs) -> tuple[ServiceSpec, ...]:
    return (fake(inputs, "intake", FAKE_BROKEN="1"),)


def stubborn_service(inputs: LayoutInputs) -> tuple[ServiceSpec, ...]:
    return (fake(inputs, "intake", FAKE_STUBBORN=str(inputs.options.state_dir / "asked_to_stop")),)


if __name__ == "__main__":
    serve()
