"""Fixtures for integration tests, ours and other people's: containers, and a whole system; see docs/testing.md."""
