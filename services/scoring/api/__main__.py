"""`python -m services.scoring.api`: serve the store's rates; settings come from `SCORING_API_*`."""

import typer

from services.scoring.api.app import main

if __name__ == "__main__":
    typer.run(main)
