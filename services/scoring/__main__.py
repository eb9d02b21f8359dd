"""`python -m services.scoring`: run the consumer that writes the store; settings come from `SCORING_*`."""

import sys

from runtime.errors import FatalError
from runtime.logs import configure
from runtime.process import EXIT_FATAL, serve
from runtime.settings import read_settings
from services.scoring.app import build
from services.scoring.settings import ScoringSettings
from services.scoring.store.errors import StoreError, StoreUnavailableError

# EX_TEMPFAIL of sysexits.h: the store may only be starting too; a supervisor starts the process again.
EXIT_TEMPORARY = 75


def main() -> int:
    """Run until a signal; return the exit code."""
    try:
        settings = read_settings(ScoringSettings)
        configure("scoring", settings.log_level)
        scoring = build(settings)
    except (FatalError, StoreError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201  the last line an operator sees
        return EXIT_TEMPORARY if isinstance(error, StoreUnavailableError) else EXIT_FATAL
    return serve(scoring.app, settings, scoring.shutdown, scoring.writer)


if __name__ == "__main__":
    sys.exit(main())
