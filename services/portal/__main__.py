"""`python -m services.portal`: serve the front door; settings come from `PORTAL_*`."""

import sys

from services.portal.app import main

if __name__ == "__main__":
    sys.exit(main())
