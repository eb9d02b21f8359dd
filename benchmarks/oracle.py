"""The oracle in one process: applications a second on one core, over submissions that are prepared."""

import time
from collections.abc import Sequence

from benchmarks.rounds import in_fresh_process
from benchmarks.workload import ATTEMPTS, PARTITIONS, PLAN, LoggedRecord, records, submissions, vneid_of
from contracts.records import partitions_of
from domain import load_domain
from paperless.verification.oracle import Oracle
from runtime.garbage_collector import tune_garbage_collector
from services.intake.core import RuleBook

APPLICATIONS = 40_000


def measure(applications: int, rounds: int) -> list[float]:
    """Return applications per second of CPU, round by round, measured in a fresh process."""
    return in_fresh_process(_rounds, applications, rounds)


def oracle_of(plan: str) -> Oracle:
    """Return the oracle as `paperless verify` makes it for a run with this fault plan."""
    return Oracle(RuleBook.of(load_domain(), ATTEMPTS), vneid_of(plan), PARTITIONS)


def _rounds(applications: int, rounds: int) -> list[float]:
    oracle = oracle_of(PLAN)
    log = records(submissions(applications))
    tune_garbage_collector()
    return [_per_s(oracle, log) for _ in range(rounds)]


def _per_s(oracle: Oracle, log: Sequence[LoggedRecord]) -> float:
    started = time.process_time()
    for record, key_partition in zip(log, partitions_of([record.key for record in log], PARTITIONS), strict=True):
        oracle.outcome(record, key_partition=key_partition)
    return len(log) / (time.process_time() - started)
