"""Chance from one seed, by subject: a new mishap leaves the draws of all others as they were."""

import random


class Draws:
    """A stream of random numbers for each subject, all from one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._streams: dict[str, random.Random] = {}

    def of(self, subject: str) -> random.Random:
        """Return the subject's stream."""
        stream = self._streams.get(subject)
        if stream is None:
            stream = self._streams[subject] = random.Random(f"{self.seed}/{subject}")
        return stream
