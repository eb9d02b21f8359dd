"""Scoring: cells by pattern that equal a recount at any moment, the rates over them, and the API that reads them."""
