"""Named draws: the same subject, the same chance; another one, another."""

from collections import Counter
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.draws import DRAWS_PER_DIGEST, draws
from contracts.records import short_digest

seeds = st.integers(0, 2**64 - 1)
subjects = st.lists(st.text(st.characters(exclude_characters="|", codec="utf-8"), min_size=1), min_size=1, max_size=4)


@given(seed=seeds, subject=subjects)
def test_a_subject_always_draws_the_same(seed, subject):
    first = draws(seed, *subject)
    assert first == draws(seed, *subject)
    assert len(first) == DRAWS_PER_DIGEST
    assert all(0 <= u < 1 for u in first)


@given(seed=seeds, one=subjects, other=subjects)
def test_another_subject_draws_otherwise(seed, one, other):
    assert (one == other) == (draws(seed, *one) == draws(seed, *other))


@given(one=seeds, other=seeds)
def test_another_seed_draws_otherwise(one, other):
    assert (one == other) == (draws(one, "application") == draws(other, "application"))


def test_draws_of_today_are_those_of_tomorrow():
    """Frozen, worked out from the definition: little-endian 32-bit words of blake2b, keyed with the seed."""
    frozen = (0.1095721295569092, 0.07009320333600044, 0.5789099046960473)
    assert draws(7, "application", "2025-10-01", "00004", 1)[:3] == frozen


def test_draws_fill_the_unit_interval_evenly():
    drawn = [u for number in range(2_000) for u in draws(1, "even", number)]
    tenths = Counter(int(u * 10) for u in drawn)
    assert mean(drawn) == pytest.approx(0.5, abs=0.01)
    assert set(tenths) == set(range(10))
    assert all(count == pytest.approx(3_200, rel=0.1) for count in tenths.values())


def test_draws_of_one_digest_do_not_move_together():
    pairs = [draws(1, "apart", number)[:2] for number in range(4_000)]
    assert mean((a - 0.5) * (b - 0.5) for a, b in pairs) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_beyond_64_bits_is_refused(seed):
    with pytest.raises(OverflowError):
        draws(seed, "application")


def test_a_short_digest_names_the_bytes():
    assert short_digest(b"") == "e4a6a0577479b2b4"
    assert short_digest(b"a") != short_digest(b"b")
