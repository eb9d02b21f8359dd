"""`python -m services.scoring.api`: serve the store's rates; settings come from `SCORING_API_*`."""

import typer

from runtime.command_line import run
from services.scoring.api.app import main

if __name__ == "__main__":
    run(lambda: typer.run(main))
