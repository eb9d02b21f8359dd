"""Named draws: every chance event is a keyed hash of its subject, never a shared generator.

A draw named by its subject does not move when another subject is added, so two runs with one seed agree record by
record.
"""

from functools import lru_cache
from hashlib import blake2b
from struct import Struct

DRAWS_PER_DIGEST = 16
_WORDS = Struct("<16I")
WORD_SPAN = 2.0**32
_UNIT = 1 / WORD_SPAN


def words(seed: int, *subject: str | int) -> tuple[int, ...]:
    """Return 16 independent integers in [0, `WORD_SPAN`) for one subject: what `draws` scales, for who needs only some.

    Args:
        seed: the run's seed, 0 <= seed < 2**64.
        subject: what the draws are about, in a fixed order; parts are told apart by `|`.

    Raises:
        OverflowError: the seed does not fit 64 bits.

    """
    try:
        # Most subjects are all text: half the time of turning each part into text.
        text = "|".join(subject)  # type: ignore[arg-type]  # else as below
    except TypeError:
        text = "|".join(map(str, subject))
    keyed = _keyed(seed).copy()
    keyed.update(text.encode())
    return _WORDS.unpack(keyed.digest())


def draws(seed: int, *subject: str | int) -> tuple[float, ...]:
    """Return 16 independent floats in [0, 1) for one subject; see `words`."""
    a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p = words(seed, *subject)  # noqa: E741  sixteen words
    u = _UNIT
    # Written out: a loop over the words costs a third of the whole draw more.
    return (a*u, b*u, c*u, d*u, e*u, f*u, g*u, h*u, i*u, j*u, k*u, l*u, m*u, n*u, o*u, p*u)  # fmt: skip


# Copying a keyed hash costs two thirds of keying it anew.
@lru_cache(maxsize=16)
def _keyed(seed: int) -> blake2b:
    return blake2b(key=seed.to_bytes(8, "little"), digest_size=64)
