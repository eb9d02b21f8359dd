"""`python -m paperless.planner`: answer what-if questions over HTTP; settings come from `PLANNER_*`."""

import os
import sys

from paperless.planner.app import main

if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Without waiting for a day that is being drawn: nobody will ask for it.
    os._exit(code)
