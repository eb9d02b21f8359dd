"""Each variant of a benchmark does the work that its figure stands for: every record, once, unchanged, in its place."""

import sys
from pathlib import Path

import pytest

from benchmarks import compiled, embedded_fetch, intake
from benchmarks.errors import NotAvailableError, VariantError
from benchmarks.hop import VARIANTS, log_of, target_of
from benchmarks.log import create_topics, read, write
from benchmarks.peers.copying import SOURCE
from benchmarks.peers.job import Job
from benchmarks.variants import Variant, run
from benchmarks.workload import PARTITIONS, by_partition, handlers, published, records, replies, submissions
from contracts.topics import ALL, APPLICATIONS_DECIDED, DEFAULT_PARTITIONS, DOCUMENTS_REQUESTED
from tests.support.brokers import Broker

# More than one batch.
RECORDS = 6_000
# For those that take one at a time, and pause.
FEW, SLOW = 300, {"faststream_naive", "faust"}
# A test must not wait for a repository that does not answer; an empty cache takes 10 s.
FETCH_WITHIN_S = 20.0


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Variant:
    """Each variant, built; skips one whose environment, compiler or libraries this machine lacks, with the reason."""
    monkeypatch.setattr(compiled, "FETCH_WITHIN_S", FETCH_WITHIN_S)
    peer = VARIANTS[request.param]
    try:
        peer.check_installed()
    except NotAvailableError as error:
        pytest.skip(str(error))
    return peer


async def test_a_hop_copies_every_record_to_its_partition(embedded: Broker, variant: Variant):
    name, count = variant.name, FEW if variant.name in SLOW else RECORDS
    log, servers = log_of(count), embedded.address
    target = target_of(name)
    await create_topics(servers, [SOURCE, target])
    await write(servers, log)
    job = Job(servers=servers, source=SOURCE, target=target, group=name, records=count, partitions=PARTITIONS)
    measured = await run(variant, job)
    copies = await read(servers, target, count)
    assert {number: sorted((one.key, one.value) for one in rows) for number, rows in copies.items()} == {
        number: sorted((key, value) for _, key, value, _ in rows) for number, rows in log.items()
    }
    assert measured.per_s > 0
    assert measured.cpu_us > 0


@pytest.mark.parametrize(
    ("name", "count", "replied"),
    [(intake.KERNEL, RECORDS, False), (intake.KERNEL, RECORDS, True), (intake.NAIVE, FEW, False)],
    ids=["kernel, submissions", "kernel, replies", "naive, submissions"],
)
async def test_an_intake_does_all_its_work(embedded: Broker, name: str, count: int, replied: bool):
    log, servers = (replies if replied else submissions)(count), embedded.address
    handler = handlers()
    expected = [message for record in records(log) for message in published(handler.on_record(record, {}))]
    await create_topics(servers, [topic.name for topic in ALL])
    await write(servers, by_partition(log))
    job = Job(servers=servers, source="", target="", group=name, records=len(expected), partitions=PARTITIONS)
    await run(intake.VARIANTS[name], job)
    for topic in (DOCUMENTS_REQUESTED.name, APPLICATIONS_DECIDED.name):
        wanted = sorted((key, value) for name, key, value, _ in expected if name == topic)
        found = await read(servers, topic, len(wanted))
        assert sorted((one.key, one.value) for rows in found.values() for one in rows) == wanted


async def test_a_peer_that_is_not_installed_says_how_to_install_it(tmp_path: Path):
    variant = Variant("quix", python=tmp_path / ".venv-peers" / "bin" / "python")
    job = Job(servers="", source="", target="", group="", records=1, partitions=1)
    with pytest.raises(
        NotAvailableError, match=r"quix: \.venv-peers is missing; install it with `make \.venv-peers/\.done`"
    ):
        await run(variant, job)


async def test_a_peer_that_its_environment_cannot_import_says_how_to_renew_it():
    python = Path(sys.executable)
    place = python.parent.parent.name
    with pytest.raises(NotAvailableError) as caught:
        Variant("no_such_peer", python=python).check_installed()
    assert str(caught.value) == (
        f"no_such_peer: {place} cannot run it (ModuleNotFoundError: No module named 'benchmarks.peers.no_such_peer'); "
        f"renew it with `make {place}/.done`"
    )


async def test_a_variant_that_fails_is_told_with_its_last_words():
    job = Job(servers="", source="", target="", group="", records=1, partitions=1)
    with pytest.raises(VariantError, match=r"no_such_variant ended with 1: (?s:.)*No module named"):
        await run(Variant("no_such_variant"), job)


async def test_a_variant_that_never_ends_is_ended(embedded: Broker):
    job = Job(servers=embedded.address, source="nothing", target="", group="g", records=1, partitions=1)
    with pytest.raises(VariantError, match="1 records were not copied in 2 s"):
        await run(VARIANTS["by_hand_aiokafka"], job, within_s=2)


async def test_a_fetch_is_timed_by_length_of_the_log_and_by_partitions():
    found = await embedded_fetch.measure((1, 5))
    assert [(length, len(costs)) for length, costs in found.items()] == [
        (1, DEFAULT_PARTITIONS),
        (5, DEFAULT_PARTITIONS),
    ]
    assert all(ms > 0 for costs in found.values() for ms in costs)
