"""Dead letters as an operator sees them: found, looked at, repaired, replayed and dropped."""
