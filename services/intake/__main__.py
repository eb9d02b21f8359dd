"""`python -m services.intake`: run one intake member; settings come from `INTAKE_*`."""

import sys

from runtime.errors import FatalError
from runtime.logs import configure
from runtime.process import EXIT_FATAL, serve
from runtime.settings import read_settings
from services.intake.app import build
from services.intake.settings import IntakeSettings


def main() -> int:
    """Run until a signal; return the exit code."""
    try:
        settings = read_settings(IntakeSettings)
        configure("intake", settings.log_level)
        intake = build(settings)
    except FatalError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201  the last line an operator sees
        return EXIT_FATAL
    return serve(intake.app, settings, intake.shutdown, intake.kernel)


if __name__ == "__main__":
    sys.exit(main())
