"""What must hold: the oracle, the checks, and the readers of log and store that they need."""
