"""The `paperless` command, or what to install for it: a library that only some commands need comes with an extra."""

import signal

from paperless.loading import loading

# Library and extra, of what a service does without; tests/contract/test_dependencies.py knows whether all are here.
EXTRAS = {
    "confluent_kafka": "command",
    "filelock": "command",
    "hdrh": "load",
    "numpy": "whatif",
    "psutil": "command",
    "pygal": "load",
    "pytest": "testing",
    "rich": "command",
    "testcontainers": "testing",
}


def main() -> None:
    """Run the command and exit, see `runtime.command_line`; with one sentence where its library is not installed."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # What is imported next takes its time, and has no answer to Ctrl-C yet.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from runtime.command_line import run  # noqa: PLC0415

    run(_command)


def _command() -> None:
    from runtime.command_line import CommandError  # noqa: PLC0415

    try:
        with loading():
            from paperless.cli.main import command  # noqa: PLC0415  to be asked for only here

        command()
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name not in EXTRAS:
            raise
        raise CommandError(f'{name} is not installed; pip install "paperless[{EXTRAS[name]}]"') from error


if __name__ == "__main__":
    main()
