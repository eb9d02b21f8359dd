"""The HTTP API over the store: rates, why, single applications; it only reads."""
