"""`python -m tests.support.supervise_fakes LAYOUT OPTIONS`: `paperless.supervise` for stand-ins."""

import sys

from paperless.local.layout import LocalOptions
from paperless.local.supervisor import main
from tests.support import embedded_fakes

if __name__ == "__main__":
    main(LocalOptions.model_validate_json(sys.argv[2]), layout=getattr(embedded_fakes, sys.argv[1]))
