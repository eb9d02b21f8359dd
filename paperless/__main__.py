"""The `paperless` command, or what to install for it: a library that only some commands need comes with an extra."""

import sys

# Library and extra, of what a service does without; tests/contract/test_dependencies.py knows whether all are here.
EXTRAS = {
    "confluent_kafka": "command",
    "filelock": "command",
    "hdrh": "load",
    "httpx": "command",
    "psutil": "command",
    "pygal": "load",
    "pytest": "testing",
    "rich": "command",
    "testcontainers": "testing",
}
EXIT_ERROR = 2


def main() -> None:
    """Run the command; exit with 2 and one sentence where its library is not installed."""
    try:
        from paperless.cli import main as command  # noqa: PLC0415  to be asked for only here

        command()
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name not in EXTRAS:
            raise
        sys.stderr.write(f'error: {name} is not installed; pip install "paperless[{EXTRAS[name]}]"\n')
        sys.exit(EXIT_ERROR)


if __name__ == "__main__":
    main()
