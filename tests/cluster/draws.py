"""Chance from one seed, by subject: a new mishap leaves the draws of all others as they were."""

import random


class Draws:
    """A stream of random numbers for each subject, all from one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._streams: dict[object, random.Random] = {}

    def of(self, subject: object) -> random.Random:
        """Return the stream of a subject: any text, or a tuple of texts."""
        stream = self._streams.get(subject)
        if stream is None:
            stream = self._streams[subject] = random.Random(f"{self.seed}/{subject}")
        return stream
