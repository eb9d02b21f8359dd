"""Faults on purpose, drawn from a seed, while applications go on arriving; and how long each took to be got over."""
