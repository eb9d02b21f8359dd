"""One script per change, in the order of their numbers."""
