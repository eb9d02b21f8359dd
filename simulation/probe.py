"""`python -m simulation.probe URL`: exits 0 where the URL answers 200; a container's health check without curl.

Only `http.client`: it runs every few seconds beside each service, and a client library would cost more than it asks.
"""

import sys
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

WITHIN_S = 3.0
HEALTHY, UNHEALTHY, USAGE = 0, 1, 2


def probe(url: str) -> int:
    """Return the exit code, and say on standard error what was wrong: `docker inspect` shows it."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        sys.stderr.write(f"{url!r} is no http:// address\n")
        return USAGE
    connection = HTTPConnection(parts.hostname, parts.port, timeout=WITHIN_S)
    try:
        connection.request("GET", parts.path or "/")
        answer = connection.getresponse()
        body = answer.read(2_000).decode(errors="replace")
    except (OSError, HTTPException) as error:
        sys.stderr.write(f"{url} does not answer: {error!r}\n")
        return UNHEALTHY
    finally:
        connection.close()
    if answer.status != 200:
        sys.stderr.write(f"{url} answers {answer.status}: {body}\n")
        return UNHEALTHY
    return HEALTHY


if __name__ == "__main__":
    sys.exit(probe(sys.argv[1]) if len(sys.argv) == 2 else USAGE)
