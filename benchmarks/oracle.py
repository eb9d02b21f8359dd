"""The oracle in one process: applications a second on one core, over submissions that are prepared."""

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from benchmarks.log import PARTITIONS
from benchmarks.prepared import ATTEMPTS, PLAN, SEED, Prepared, records, submissions
from domain import load_domain
from paperless.verification.oracle import Oracle
from runtime.garbage_collector import tune_garbage_collector
from services.intake.core import RuleBook
from services.vneid_mock.core import Vneid
from services.vneid_mock.plan_files import load_plan
from services.vneid_mock.registry import Registry

APPLICATIONS = 40_000


def measure(applications: int, rounds: int) -> list[float]:
    """Return applications per second of CPU, round by round, measured in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_rounds, applications, rounds).result()


def _rounds(applications: int, rounds: int) -> list[float]:
    domain = load_domain()
    oracle = Oracle(RuleBook.of(domain, ATTEMPTS), Vneid(Registry.of(domain), load_plan(PLAN), SEED), PARTITIONS)
    log = records(submissions(applications))
    tune_garbage_collector()
    return [_per_s(oracle, log) for _ in range(rounds)]


def _per_s(oracle: Oracle, log: Sequence[Prepared]) -> float:
    started = time.process_time()
    for record in log:
        oracle.outcome(record)
    return len(log) / (time.process_time() - started)
