"""What the simulated Kafka claims holds for Apache Kafka, and, but for known gaps, for the embedded brokers."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from paperless.local.broker import EmbeddedBroker
from paperless.local.broker_kinds import KFAKE, TANSU, BrokerKind
from paperless.local.ports import Ports
from tests.cluster.draws import Draws
from tests.cluster.kafka import KafkaCluster
from tests.cluster.network import Network
from tests.cluster.simulated_loop import SimulatedLoop, simulated_time
from tests.component.group_contract import ClientsContract, CommitContract, GroupContract, JoinContract, LossContract
from tests.component.kafka_under_test import Backend, KafkaUnderTest, RunningBroker, Simulation
from tests.component.log_contract import LogContract
from tests.support.brokers import need_broker

NO_PRODUCER_IDS = "no producer ids, and no transactions: capabilities.idempotent_producer is False"
NO_CHECKS = "a commit's generation and the group's state are not asked for"
# What the embedded brokers do not do as Apache Kafka does.
NO_OFFSET = "a batch that is refused has 0 as its first offset instead of -1"
JOINS_AT_ONCE = "it does not wait for a member that was given a name and has not come back with it"
KFAKE_GAPS = {
    "test_a_partition_that_does_not_exist_is_refused_alone": NO_OFFSET,
    "test_a_batch_older_than_a_producers_last_five_is_not_recognised": NO_OFFSET,
    "test_a_gap_in_a_producers_numbers_is_refused": NO_OFFSET,
    "test_a_new_epoch_begins_at_nought_and_ends_the_old_one": NO_OFFSET,
    "test_a_producer_that_the_partition_does_not_know_may_begin_with_any_number": "it has to begin at nought",
    "test_a_group_that_does_not_exist_has_no_generation": "it says GROUP_ID_NOT_FOUND",
    "test_a_name_that_nobody_has_come_back_with_holds_a_rebalance_up_for_its_session": JOINS_AT_ONCE,
    "test_a_name_that_is_given_back_holds_nothing_up": JOINS_AT_ONCE,
    "test_who_waits_for_assignments_is_not_missed": "who waits longer than its session is put out",
    "test_who_does_not_sync_in_time_is_out_however_alive": "it may take as long as its heartbeats come",
}
TANSU_GAPS = {
    "test_a_partition_that_does_not_exist_is_refused_alone": "it writes to partitions that no topic has",
    "test_every_producer_is_given_an_id_of_its_own": NO_PRODUCER_IDS,
    "test_a_batch_that_is_sent_again_is_stored_once_and_gets_the_same_answer": NO_PRODUCER_IDS,
    "test_a_batch_older_than_a_producers_last_five_is_not_recognised": NO_PRODUCER_IDS,
    "test_a_gap_in_a_producers_numbers_is_refused": NO_PRODUCER_IDS,
    "test_each_partition_has_its_own_numbers_of_a_producer": NO_PRODUCER_IDS,
    "test_a_producer_that_the_partition_does_not_know_may_begin_with_any_number": NO_PRODUCER_IDS,
    "test_a_new_epoch_begins_at_nought_and_ends_the_old_one": NO_PRODUCER_IDS,
    "test_a_waiting_fetch_is_answered_when_something_is_written": "it looks again after half of the wait only",
    "test_a_fetch_outside_the_log_is_refused_at_once": "it waits for records, as at the end",
    "test_deleted_records_move_the_start_even_into_a_batch": "it breaks the connection when asked to delete records",
    "test_a_committed_transaction_is_read_and_its_marker_takes_an_offset": NO_PRODUCER_IDS,
    "test_an_aborted_transaction_is_read_by_those_who_ask_for_it_only": NO_PRODUCER_IDS,
    "test_a_fetch_of_the_committed_names_the_aborted_transactions": NO_PRODUCER_IDS,
    "test_what_follows_an_open_transaction_is_not_committed_yet": NO_PRODUCER_IDS,
    "test_a_waiting_reader_of_the_committed_is_woken_by_the_marker": NO_PRODUCER_IDS,
    "test_an_idempotent_client_begins_and_writes": NO_PRODUCER_IDS,
    "test_a_commit_for_a_partition_that_does_not_exist_is_refused": "it keeps offsets of partitions that no topic has",
    "test_another_generation_is_refused": NO_CHECKS,
    "test_a_group_that_does_not_exist_has_no_generation": "it says UNKNOWN_MEMBER_ID",
    "test_commits_are_put_off_until_the_assignments_are_there": NO_CHECKS,
    "test_a_name_that_was_not_given_is_refused": "whoever comes with a name is let in",
    "test_who_leaves_is_gone_at_once": "it goes on answering the heartbeats of who has left",
}


@asynccontextmanager
async def under_test(backend: Backend) -> AsyncIterator[KafkaUnderTest]:
    async with AsyncExitStack() as stack:
        yield KafkaUnderTest(backend, stack)


@contextmanager
def _running(kind: BrokerKind, folder: Path) -> Iterator[str]:
    broker = EmbeddedBroker(Ports().take("broker"), folder / "broker.log", kind)
    asyncio.run(broker.start())
    yield broker.address
    asyncio.run(broker.stop())


@pytest.fixture(scope="module")
def kfake_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One broker for all of its tests."""
    need_broker(KFAKE)
    with _running(KFAKE, tmp_path_factory.mktemp("kfake")) as address:
        yield address


@pytest.fixture(scope="module")
def tansu_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One broker for all of its tests."""
    with _running(TANSU, tmp_path_factory.mktemp("tansu")) as address:
        yield address


class OnSimulation:
    """Time moves only by waiting."""

    SIMULATED = True

    @pytest.fixture
    async def kafka(self) -> AsyncIterator[KafkaUnderTest]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        network = Network(loop, Draws(0))
        loop.create_connection = network.connect  # type: ignore[method-assign,assignment]
        cluster = KafkaCluster(loop, network._draws, network, {}, lambda _: None, size=1)
        with simulated_time(loop):
            async with under_test(Simulation(cluster)) as kafka:
                yield kafka
        if network.error is not None:
            raise network.error


class OnKfake:
    @pytest.fixture
    async def kafka(self, kfake_address: str, request: pytest.FixtureRequest) -> AsyncIterator[KafkaUnderTest]:
        if reason := KFAKE_GAPS.get(request.function.__name__):
            request.applymarker(pytest.mark.xfail(reason=reason))
        async with under_test(RunningBroker(kfake_address, patience_s=5)) as broker:
            yield broker


class OnTansu:
    @pytest.fixture
    async def kafka(self, tansu_address: str, request: pytest.FixtureRequest) -> AsyncIterator[KafkaUnderTest]:
        if reason := TANSU_GAPS.get(request.function.__name__):
            request.applymarker(pytest.mark.xfail(reason=reason))
        async with under_test(RunningBroker(tansu_address, patience_s=3, long_ms=1_500)) as broker:
            yield broker


# Its first test also waits for the container to start.
@pytest.mark.container
@pytest.mark.timeout(180)
class OnKafka:
    @pytest.fixture
    async def kafka(self, kafka) -> AsyncIterator[KafkaUnderTest]:
        async with under_test(RunningBroker(kafka.address(), patience_s=30)) as broker:
            yield broker


class TestLogOnSimulation(OnSimulation, LogContract):
    pass


class TestGroupOnSimulation(OnSimulation, GroupContract):
    pass


class TestLogOnKfake(OnKfake, LogContract):
    pass


class TestGroupOnKfake(OnKfake, GroupContract):
    pass


class TestLogOnTansu(OnTansu, LogContract):
    pass


class TestGroupOnTansu(OnTansu, CommitContract, ClientsContract):
    """Its joins and evictions go by a clock of its own: a join is answered after half a session, whoever else has come.

    So of the contracts for both there is one test each. All of them would take two minutes, and fail by chance.
    """

    test_a_name_that_was_not_given_is_refused = JoinContract.test_a_name_that_was_not_given_is_refused
    test_who_leaves_is_gone_at_once = LossContract.test_who_leaves_is_gone_at_once


class TestLogOnKafka(OnKafka, LogContract):
    pass


class TestGroupOnKafka(OnKafka, GroupContract):
    pass
