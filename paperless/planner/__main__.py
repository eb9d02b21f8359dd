"""`python -m paperless.planner`: answer what-if questions over HTTP; settings come from `PLANNER_*`."""

import sys

from paperless.planner.app import main

if __name__ == "__main__":
    sys.exit(main())
