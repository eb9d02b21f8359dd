"""Imported by the process that players are forked from: what each of them would load and compute anew."""

import gc

from tests.cluster.batches import played
from tests.cluster.history import Wish
from tests.cluster.mishaps import MOST
from tests.support.filings import filed

for _seed in range(4):
    filed(_seed)
played(Wish(seed=0, applications=1, without=frozenset(range(MOST))))
gc.freeze()
