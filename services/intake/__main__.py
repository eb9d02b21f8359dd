"""`python -m services.intake`: run one intake member; settings come from `INTAKE_*`."""

import sys

from runtime.logs import configure
from runtime.process import serve
from services.intake.app import build
from services.intake.settings import IntakeSettings


def main() -> int:
    """Run until a signal; return the exit code."""
    settings = IntakeSettings()
    configure("intake", settings.log_level)
    intake = build(settings)
    return serve(intake.app, settings, intake.stopper, lambda: intake.kernel.fatal)


if __name__ == "__main__":
    sys.exit(main())
