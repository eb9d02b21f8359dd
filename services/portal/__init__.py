"""The front door: takes applications over HTTP, writes them to the log, and tells where each one stands."""
