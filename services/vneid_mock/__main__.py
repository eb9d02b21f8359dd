"""`python -m services.vneid_mock`: run one member of the mock; settings come from `VNEID_*`."""

import sys

from runtime.errors import FatalError
from runtime.logs import configure
from runtime.process import EXIT_FATAL, serve
from runtime.settings import read_settings
from services.vneid_mock.app import build
from services.vneid_mock.plan_files import PlanError
from services.vneid_mock.settings import VneidSettings


def main() -> int:
    """Run until a signal; return the exit code."""
    try:
        settings = read_settings(VneidSettings)
        configure("vneid_mock", settings.log_level)
        mock = build(settings)
    except (PlanError, FatalError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201  the last line an operator sees
        return EXIT_FATAL
    return serve(mock.app, settings, mock.shutdown, mock.kernel)


if __name__ == "__main__":
    sys.exit(main())
