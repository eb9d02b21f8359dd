"""What every Kafka must do with a group: names, generations, rebalances, evictions, and whose commits it takes.

The rules are those of Kafka's group coordinator for classic groups (`ClassicGroup` and `GroupMetadataManager`).
"""

import asyncio
from functools import partial

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from tests.component.kafka_under_test import SESSION_MS, KafkaUnderTest
from tests.component.raw_kafka import (
    ILLEGAL_GENERATION,
    MEMBER_ID_REQUIRED,
    NO_ERROR,
    REBALANCE_IN_PROGRESS,
    UNKNOWN_MEMBER,
    UNKNOWN_TOPIC,
    WITHIN_S,
    GroupMember,
    assigned,
    batch_of,
    rejoined,
    synced,
    until,
)

SHORT_MS = 1_500


async def alone(kafka: KafkaUnderTest, **options: int) -> GroupMember:
    """Return the one member of a group that has its assignment."""
    member = await kafka.member(**options)
    await member.join()
    await synced(member)
    return member


async def pair(kafka: KafkaUnderTest, **options: int) -> tuple[GroupMember, GroupMember]:
    """Return leader and follower, who have their assignments; the options are the follower's."""
    leader, follower = await alone(kafka), await kafka.member(**options)
    await rejoined(leader, new=follower)
    return leader, follower


class JoinContract:
    async def test_a_newcomer_is_given_a_name_to_come_back_with(self, kafka: KafkaUnderTest):
        member = await kafka.member()
        answer = await member.ask_join()
        assert (answer.error, answer.generation, answer.members) == (MEMBER_ID_REQUIRED, -1, [])
        assert answer.member_id.startswith("contract-")

    async def test_a_name_that_was_not_given_is_refused(self, kafka: KafkaUnderTest):
        member = await kafka.member()
        member.member_id = "contract-unheard-of"
        assert (await member.ask_join()).error == UNKNOWN_MEMBER

    async def test_the_first_member_leads_and_is_given_all_subscriptions(self, kafka: KafkaUnderTest):
        member = await kafka.member()
        joined = await member.join()
        assert (joined.protocol, joined.leader) == ("range", member.member_id)
        assert joined.members == [(member.member_id, None, member.subscription)]

    async def test_a_second_member_makes_the_first_rejoin(self, kafka: KafkaUnderTest):
        first, second = await alone(kafka), await kafka.member()
        before = first.generation
        assert await first.heartbeat() == NO_ERROR
        joining = asyncio.create_task(second.join())
        await first.until_told(REBALANCE_IN_PROGRESS)
        assert await first.sync() == (REBALANCE_IN_PROGRESS, b"")
        assert not joining.done()
        leaders, followers = await asyncio.gather(first.join(), joining)
        assert leaders.generation == followers.generation == before + 1
        assert leaders.leader == followers.leader == first.member_id
        assert {name for name, *_ in leaders.members} == {first.member_id, second.member_id}
        assert followers.members == []

    async def test_followers_wait_for_the_leaders_assignments(self, kafka: KafkaUnderTest):
        leader, follower = await pair(kafka)
        await asyncio.gather(leader.join(), _told_and_rejoined(follower))
        syncing = asyncio.create_task(follower.sync())
        await asyncio.sleep(0.2)
        assert not syncing.done()
        given = assigned([leader, follower])
        assert await leader.sync(given) == (NO_ERROR, given[0][1])
        assert await syncing == (NO_ERROR, given[1][1])
        # And whoever asks again is told again.
        assert await follower.sync() == (NO_ERROR, given[1][1])

    async def test_a_member_that_the_leader_forgets_gets_nothing(self, kafka: KafkaUnderTest):
        leader, follower = await pair(kafka)
        await asyncio.gather(leader.join(), _told_and_rejoined(follower))
        await leader.sync(assigned([leader]))
        assert await follower.sync() == (NO_ERROR, b"")

    async def test_a_follower_that_rejoins_unchanged_disturbs_nobody(self, kafka: KafkaUnderTest):
        leader, follower = await pair(kafka)
        again = await follower.join()
        assert (again.generation, again.leader, again.members) == (leader.generation, leader.member_id, [])
        assert await leader.heartbeat() == NO_ERROR
        assert (await follower.sync())[0] == NO_ERROR

    async def test_a_follower_that_rejoins_with_other_topics_begins_a_rebalance(self, kafka: KafkaUnderTest):
        leader, follower = await pair(kafka)
        before = leader.generation
        follower.topics = ["applications", "outcomes"]
        joining = asyncio.create_task(follower.join())
        await leader.until_told(REBALANCE_IN_PROGRESS)
        joined, _ = await asyncio.gather(leader.join(), joining)
        assert joined.generation == before + 1
        assert (follower.member_id, None, follower.subscription) in joined.members

    async def test_a_leader_that_rejoins_unchanged_begins_a_rebalance(self, kafka: KafkaUnderTest):
        leader, follower = await pair(kafka)
        before = leader.generation
        joined, _ = await asyncio.gather(leader.join(), _told_and_rejoined(follower))
        assert joined.generation == before + 1

    async def test_members_that_rejoin_unchanged_before_the_assignments_get_the_same_answer(
        self, kafka: KafkaUnderTest
    ):
        leader, follower = await pair(kafka)
        first, _ = await asyncio.gather(leader.join(), _told_and_rejoined(follower))
        assert await leader.join() == first
        assert (await follower.join()).generation == first.generation

    async def test_a_newcomer_before_the_assignments_ends_the_waiting_for_them(self, kafka: KafkaUnderTest):
        leader, follower = await pair(kafka)
        await asyncio.gather(leader.join(), _told_and_rejoined(follower))
        syncing, before = asyncio.create_task(follower.sync()), leader.generation
        newcomer = await kafka.member()
        joining = asyncio.create_task(newcomer.join())
        assert await syncing == (REBALANCE_IN_PROGRESS, b"")
        await asyncio.gather(leader.join(), follower.join(), joining)
        assert newcomer.generation == leader.generation == before + 1

    async def test_who_asks_again_is_answered_where_it_asked_last(self, kafka: KafkaUnderTest):
        member, newcomer, again = await alone(kafka), await kafka.member(), await kafka.member()
        await newcomer.take_name()
        given_up = asyncio.create_task(newcomer.ask_join())
        await member.until_told(REBALANCE_IN_PROGRESS)
        again.member_id = newcomer.member_id
        joining = asyncio.create_task(again.join())
        await asyncio.sleep(0.2)
        await asyncio.gather(member.join(), joining)
        await synced(member, again)
        assert not given_up.done()
        given_up.cancel()

    async def test_a_name_that_nobody_has_come_back_with_holds_a_rebalance_up_for_its_session(
        self, kafka: KafkaUnderTest
    ):
        leader = await alone(kafka)
        await (await kafka.member(session_ms=SESSION_MS)).take_name()
        joining = asyncio.create_task(leader.join())
        await asyncio.sleep(SESSION_MS / 2_000)
        assert not joining.done()
        assert (await asyncio.wait_for(joining, WITHIN_S)).error == NO_ERROR

    async def test_a_name_that_is_given_back_holds_nothing_up(self, kafka: KafkaUnderTest):
        leader, newcomer = await alone(kafka), await kafka.member()
        await newcomer.take_name()
        assert await newcomer.heartbeat() == UNKNOWN_MEMBER
        joining = asyncio.create_task(leader.join())
        await asyncio.sleep(0.2)
        assert not joining.done()
        assert await newcomer.leave() == NO_ERROR
        assert (await asyncio.wait_for(joining, WITHIN_S)).error == NO_ERROR


class LossContract:
    async def test_who_leaves_is_gone_at_once(self, kafka: KafkaUnderTest):
        leader, follower = await pair(kafka)
        assert await follower.leave() == NO_ERROR
        assert await leader.heartbeat() == REBALANCE_IN_PROGRESS
        assert await follower.heartbeat() == UNKNOWN_MEMBER
        before = leader.generation
        assert (await leader.join()).generation == before + 1
        assert await follower.leave() == UNKNOWN_MEMBER

    async def test_who_sends_no_heartbeat_is_out_after_its_session(self, kafka: KafkaUnderTest):
        leader, silent = await pair(kafka, session_ms=SESSION_MS)
        await asyncio.wait_for(leader.until_told(REBALANCE_IN_PROGRESS), WITHIN_S)
        refused = [await silent.heartbeat(), (await silent.sync())[0], (await silent.ask_join()).error]
        assert refused == [UNKNOWN_MEMBER] * 3
        assert await silent.commit(await kafka.topic(), {0: 1}) == UNKNOWN_MEMBER

    async def test_heartbeats_keep_a_member(self, kafka: KafkaUnderTest):
        member = await alone(kafka, session_ms=SESSION_MS)
        await member.alive_for(2 * SESSION_MS / 1_000)
        assert await member.heartbeat() == NO_ERROR

    async def test_commits_keep_a_member(self, kafka: KafkaUnderTest):
        topic, member = await kafka.topic(), await alone(kafka, session_ms=SESSION_MS)
        for _ in range(4):
            await asyncio.sleep(SESSION_MS / 2_000)
            assert await member.commit(topic, {0: 1}) == NO_ERROR

    async def test_who_does_not_rejoin_in_time_is_out_however_alive(self, kafka: KafkaUnderTest):
        absent = await alone(kafka, rebalance_ms=SHORT_MS)
        newcomer = await kafka.member(rebalance_ms=SHORT_MS)
        joining = asyncio.create_task(newcomer.join())
        await absent.alive_for(SHORT_MS / 1_000 + 0.3)
        joined = await joining
        assert (joined.generation, joined.leader) == (absent.generation + 1, newcomer.member_id)
        assert await absent.heartbeat() == UNKNOWN_MEMBER

    async def test_who_waits_for_others_to_rejoin_is_not_missed(self, kafka: KafkaUnderTest):
        absent = await alone(kafka, rebalance_ms=3 * SESSION_MS)
        waiting = await kafka.member(session_ms=SESSION_MS, rebalance_ms=3 * SESSION_MS)
        joining = asyncio.create_task(waiting.join())
        await absent.until_told(REBALANCE_IN_PROGRESS)
        await absent.alive_for(2 * SESSION_MS / 1_000)
        assert (await absent.join()).generation == (await joining).generation

    async def test_who_waits_for_assignments_is_not_missed(self, kafka: KafkaUnderTest):
        leader, waiting = await pair(kafka, session_ms=SESSION_MS)
        await asyncio.gather(leader.join(), _told_and_rejoined(waiting))
        syncing = asyncio.create_task(waiting.sync())
        await leader.alive_for(2 * SESSION_MS / 1_000)
        await leader.sync(assigned([leader, waiting]))
        assert (await syncing)[0] == NO_ERROR

    async def test_who_does_not_sync_in_time_is_out_however_alive(self, kafka: KafkaUnderTest):
        leader = await alone(kafka, rebalance_ms=SHORT_MS)
        dawdler = await kafka.member(rebalance_ms=SHORT_MS)
        joining = asyncio.create_task(dawdler.join())
        await leader.until_told(REBALANCE_IN_PROGRESS)
        await asyncio.gather(leader.join(), joining)
        await leader.sync(assigned([leader, dawdler]))
        await dawdler.alive_for(SHORT_MS / 1_000 + 0.3)
        assert await dawdler.heartbeat() == UNKNOWN_MEMBER
        assert await leader.heartbeat() == REBALANCE_IN_PROGRESS

    async def test_who_falls_silent_while_others_wait_for_it_is_waited_for_no_longer_than_its_session(
        self, kafka: KafkaUnderTest
    ):
        await alone(kafka, session_ms=SESSION_MS)
        newcomer = await kafka.member()
        joined = await asyncio.wait_for(newcomer.join(), 5)
        assert joined.leader == newcomer.member_id

    async def test_a_leader_that_leaves_before_the_assignments_sends_the_others_back(self, kafka: KafkaUnderTest):
        leader, follower = await pair(kafka)
        await asyncio.gather(leader.join(), _told_and_rejoined(follower))
        syncing = asyncio.create_task(follower.sync())
        await asyncio.sleep(0.2)
        await leader.leave()
        assert await syncing == (REBALANCE_IN_PROGRESS, b"")
        assert (await follower.join()).leader == follower.member_id

    async def test_another_leads_when_the_leader_is_gone(self, kafka: KafkaUnderTest):
        leader, follower = await pair(kafka)
        await leader.leave()
        joined = await follower.join()
        assert (joined.generation, joined.leader) == (leader.generation + 1, follower.member_id)
        assert [name for name, *_ in joined.members] == [follower.member_id]

    async def test_generations_count_on_when_all_have_left(self, kafka: KafkaUnderTest):
        first = await alone(kafka)
        assert first.generation == 1
        await first.leave()
        second = await kafka.member()
        # Being empty was a generation too.
        assert (await second.join()).generation == 3


class CommitContract:
    async def test_a_member_may_commit_for_partitions_that_are_not_its_own(self, kafka: KafkaUnderTest):
        """Kafka asks for the generation, never for the ownership."""
        topic = await kafka.topic(partitions=2)
        leader, follower = await pair(kafka)
        assert await leader.commit(topic, {0: 5, 1: 7}) == NO_ERROR
        assert await follower.commit(topic, {0: 3}) == NO_ERROR
        offsets = [await leader.connection.committed(kafka.group, topic, number) for number in (0, 1)]
        assert offsets == [3, 7]

    async def test_what_was_never_committed_has_no_offset(self, kafka: KafkaUnderTest):
        topic, member = await kafka.topic(), await alone(kafka)
        assert await member.connection.committed(kafka.group, topic) == -1

    async def test_a_commit_for_a_partition_that_does_not_exist_is_refused(self, kafka: KafkaUnderTest):
        topic, member = await kafka.topic(partitions=1), await alone(kafka)
        assert await member.commit("unheard-of", {0: 5}) == UNKNOWN_TOPIC
        assert await member.commit(topic, {7: 5}) == UNKNOWN_TOPIC
        assert await member.connection.committed(kafka.group, "unheard-of") == -1

    async def test_another_generation_is_refused(self, kafka: KafkaUnderTest):
        topic, member = await kafka.topic(), await alone(kafka)
        for other in (0, 2):
            member.generation = other
            assert await member.heartbeat() == ILLEGAL_GENERATION
            assert await member.sync() == (ILLEGAL_GENERATION, b"")
            assert await member.commit(topic, {0: 5}) == ILLEGAL_GENERATION
        assert await member.connection.committed(kafka.group, topic) == -1

    async def test_a_group_that_does_not_exist_has_no_generation(self, kafka: KafkaUnderTest):
        topic, member = await kafka.topic(), await kafka.member()
        member.member_id, member.generation = "contract-unheard-of", 1
        assert await member.commit(topic, {0: 5}) == ILLEGAL_GENERATION
        assert await member.heartbeat() == UNKNOWN_MEMBER

    async def test_commits_are_taken_while_members_rejoin(self, kafka: KafkaUnderTest):
        """So a member can commit what it did before it gives its partitions away."""
        topic, member, newcomer = await kafka.topic(), await alone(kafka), await kafka.member()
        joining = asyncio.create_task(newcomer.join())
        await member.until_told(REBALANCE_IN_PROGRESS)
        assert await member.commit(topic, {0: 5}) == NO_ERROR
        await asyncio.gather(member.join(), joining)

    async def test_commits_are_put_off_until_the_assignments_are_there(self, kafka: KafkaUnderTest):
        topic, member = await kafka.topic(), await kafka.member()
        await member.join()
        assert await member.commit(topic, {0: 5}) == REBALANCE_IN_PROGRESS
        assert await member.heartbeat() == NO_ERROR
        await synced(member)
        assert await member.commit(topic, {0: 5}) == NO_ERROR

    async def test_who_is_no_member_commits_only_while_there_is_none(self, kafka: KafkaUnderTest):
        topic, stranger = await kafka.topic(), await kafka.connect()
        member = await kafka.member()
        assert await stranger.commit(kafka.group, topic, {0: 5}) == {NO_ERROR}
        await member.join()
        assert await stranger.commit(kafka.group, topic, {0: 6}) == {UNKNOWN_MEMBER}
        await member.leave()
        assert await stranger.commit(kafka.group, topic, {0: 4}) == {NO_ERROR}
        assert await stranger.committed(kafka.group, topic) == 4

    async def test_offsets_stay_when_all_have_left(self, kafka: KafkaUnderTest):
        topic, member = await kafka.topic(), await alone(kafka)
        await member.commit(topic, {0: 5})
        await member.leave()
        assert await member.connection.committed(kafka.group, topic) == 5


class ClientsContract:
    """aiokafka's own members, as the services use them."""

    async def test_partitions_are_shared_by_range_and_taken_over(self, kafka: KafkaUnderTest):
        topic = await kafka.topic(partitions=3)
        first = await kafka.consumer(topic, **self.options(kafka))
        await until(partial(_shares, first), [[0, 1, 2]])
        second = await kafka.consumer(topic, **self.options(kafka))
        await until(partial(_shares, first, second), [[0, 1], [2]])
        await first.stop()
        await until(partial(_shares, second), [[0, 1, 2]])

    async def test_the_next_member_goes_on_at_the_committed_offset(self, kafka: KafkaUnderTest):
        topic = await kafka.topic(partitions=1)
        await (await kafka.connect()).produce(topic, batch_of([b"0", b"1", b"2"]))
        first = await kafka.consumer(topic, **self.options(kafka))
        assert (await asyncio.wait_for(first.getone(), WITHIN_S)).offset == 0
        await first.commit({TopicPartition(topic, 0): 1})
        await first.stop()
        second = await kafka.consumer(topic, **self.options(kafka))
        assert (await asyncio.wait_for(second.getone(), WITHIN_S)).value == b"1"

    def options(self, kafka: KafkaUnderTest) -> dict[str, object]:
        return {
            "group_id": kafka.group,
            "session_timeout_ms": 2_000,
            "heartbeat_interval_ms": 200,
            "partition_assignment_strategy": [RangePartitionAssignor],
        }


class GroupContract(JoinContract, LossContract, CommitContract, ClientsContract):
    pass


async def _told_and_rejoined(member: GroupMember) -> None:
    await member.until_told(REBALANCE_IN_PROGRESS)
    await member.join()


async def _shares(*consumers: AIOKafkaConsumer) -> list[list[int]]:
    return sorted(sorted(place.partition for place in consumer.assignment()) for consumer in consumers)
