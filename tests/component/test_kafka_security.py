"""Who may do what on a secured broker, found out by trying: every user, every topic and group, every operation."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    TopicAuthorizationFailedError,
)
from confluent_kafka import KafkaError, KafkaException
from pydantic import SecretStr

from contracts.roles import Grant, Role, acl_table, role, roles
from contracts.topics import ALL, APPLICATIONS_DECIDED, LOG_IDENTITY, dead_letter_topics
from domain import load_domain
from paperless.operations import access_control
from paperless.operations.access_control import AccessControlError, kafka, read_passwords, secure
from paperless.operations.topics import ensure_topics
from paperless.population.scenario import load_scenario
from paperless.testing.kafka import wipe
from paperless.traffic.driver import DrivePlan, drive
from paperless.traffic.survey import LogError, survey
from paperless.verification.checkers import Verdict
from paperless.verification.verify import RunParameters, Target, verify
from runtime.settings import KafkaAccess
from services.vneid_mock.plan_files import load_plan
from tests.support.secured_kafka import ADMIN, HOST, Secured, secured_kafka
from tests.support.service_processes import Service

pytestmark = [pytest.mark.container, pytest.mark.timeout(180)]

PARTITIONS, SEED = 2, 5
TOPICS = (*(topic.name for topic in ALL), *(name for name, _ in dead_letter_topics()), LOG_IDENTITY)
GROUPS = tuple(group for one in roles() for group in one.groups)
STRANGE = "topic.of.nobody"
REFUSED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
}
# That a topic exists already is said only to those who may create it.
ALLOWED = {KafkaError.TOPIC_ALREADY_EXISTS}
TABLE = "PAPERLESS_RIGHTS_TABLE"


class Attempt(NamedTuple):
    """One thing that one user tried on one resource."""

    user: str
    resource: str
    operation: str


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with secured_kafka(tmp_path_factory.mktemp("secured")) as secured:
        report = secure(secured.admin, passwords=read_passwords(secured.users), rules=True)
        assert set(report.users.values()) == {"set"}
        assert set(report.rules.values()) == {"created"}
        asyncio.run(_fill(secured.admin))
        yield secured


@pytest.fixture(autouse=True)
async def connections_ended() -> AsyncIterator[None]:
    """Wait until every socket of a test is closed: a TLS connection ends by a farewell of both sides.

    aiokafka does not wait for the broker's, and what the test's loop leaves open is a warning in some later test.
    """
    yield
    selector = asyncio.get_running_loop()._selector  # type: ignore[attr-defined]  # the only list of open sockets
    async with asyncio.timeout(30):
        # One is the loop's own.
        while len(selector.get_map()) > 1:  # noqa: ASYNC110  nobody sets an event when a socket closes
            await asyncio.sleep(0.01)


async def _fill(access: KafkaAccess) -> None:
    """Make the topics, with a record in each, so that who may read has something to read."""
    await ensure_topics(access, partitions=PARTITIONS)
    async with AIOKafkaProducer(**access.client_options()) as producer:
        for topic in (*(topic.name for topic in ALL), *(name for name, _ in dead_letter_topics())):
            await producer.send_and_wait(topic, b"{}", key=b"k", partition=0)


async def _reads(consumer: Any, topic: str) -> bool:
    place = TopicPartition(topic, 0)
    try:
        consumer.assign([place])
        consumer.seek(place, 0)
        async with asyncio.timeout(20):
            while not await consumer.getmany(place, timeout_ms=50):
                # A topic that may not even be seen is never fetched; the broker says so when asked for its partitions.
                if topic in consumer._client.cluster.unauthorized_topics:
                    return False
    except TopicAuthorizationFailedError:
        return False
    return True


async def _writes(producer: Any, topic: str) -> bool:
    try:
        await producer.send_and_wait(topic, b"{}", key=b"k", partition=0)
    except TopicAuthorizationFailedError:
        return False
    return True


def _producer(access: KafkaAccess) -> Any:
    # An idempotent one is refused at its start where a user may write nothing at all.
    return AIOKafkaProducer(**access.client_options(), acks="all")


async def _commits(access: KafkaAccess, group: str, topic: str) -> bool:
    place = TopicPartition(topic, 0)
    options = {"group_id": group, "enable_auto_commit": False}
    async with AIOKafkaConsumer(**access.client_options(), **options) as consumer:
        try:
            consumer.assign([place])
            await consumer.commit({place: 0})
        except GroupAuthorizationFailedError:
            return False
    return True


async def _described(access: KafkaAccess) -> set[str]:
    admin = AIOKafkaAdminClient(**access.client_options())
    await admin.start()
    try:
        return set(await admin.list_topics())
    finally:
        await admin.close()


def _administers(access: KafkaAccess) -> dict[tuple[str, str], bool]:
    """Try to create, alter and delete every topic, to create one of nobody, and to read and change the rights."""
    admin = kafka.AdminClient(access_control._options(access))
    topics = (*TOPICS, STRANGE)
    configs = [
        kafka.ConfigResource(
            kafka.ConfigResource.Type.TOPIC,
            topic,
            incremental_configs=[
                kafka.ConfigEntry("retention.ms", "1", incremental_operation=kafka.AlterConfigOpType.SET)
            ],
        )
        for topic in topics
    ]
    own = kafka.AclBinding(
        kafka.ResourceType.TOPIC,
        "*",
        kafka.ResourcePatternType.LITERAL,
        f"User:{access.kafka_username}",
        "*",
        kafka.AclOperation.ALL,
        kafka.AclPermissionType.ALLOW,
    )
    created = admin.create_topics([kafka.NewTopic(topic, PARTITIONS, 1) for topic in topics], validate_only=True)
    altered = admin.incremental_alter_configs(configs, validate_only=True)
    found = {(topic, "create"): _allowed(future) for topic, future in created.items()}
    found |= {(one.name, "alter"): _allowed(future) for one, future in altered.items() if one.name != STRANGE}
    found |= {(topic, "delete"): _allowed(future) for topic, future in admin.delete_topics(list(TOPICS)).items()}
    # The library hands a refusal on as an empty answer; there are rules, so an empty answer is a refusal.
    found["rights", "read"] = bool(admin.describe_acls(access_control._rules_of(role("intake"))).result(20))
    found["rights", "alter"] = _allowed(next(iter(admin.create_acls([own]).values())))
    return found


def _allowed(future: Any) -> bool:
    try:
        future.result(20)
    except KafkaException as error:
        code = error.args[0].code()
        if code not in REFUSED | ALLOWED:
            raise
        return code in ALLOWED
    return True


async def observed(secured: Secured, one: Role) -> dict[Attempt, bool]:
    access = secured.of(one.user)
    found = dict[Attempt, bool]()
    described = await _described(access)
    reader = AIOKafkaConsumer(**access.client_options(), fetch_max_wait_ms=50)
    async with reader as consumer, _producer(access) as producer:
        for topic in TOPICS:
            found[Attempt(one.user, topic, "describe")] = topic in described
            found[Attempt(one.user, topic, "read")] = await _reads(consumer, topic)
            found[Attempt(one.user, topic, "write")] = await _writes(producer, topic)
    for group in GROUPS:
        found[Attempt(one.user, f"group {group}", "join")] = await _commits(access, group, one.reads[0])
    for (resource, operation), allowed in (await asyncio.to_thread(_administers, access)).items():
        found[Attempt(one.user, resource, operation)] = allowed
    return found


def expected(one: Role) -> dict[Attempt, bool]:
    seen = {*one.reads, *one.writes, *one.describes}
    wanted = {(topic, "describe"): topic in seen for topic in TOPICS}
    wanted |= {(topic, "read"): topic in one.reads for topic in TOPICS}
    wanted |= {(topic, "write"): topic in one.writes for topic in TOPICS}
    wanted |= {(topic, "create"): topic in one.creates for topic in (*TOPICS, STRANGE)}
    wanted |= {(topic, operation): False for topic in TOPICS for operation in ("alter", "delete")}
    wanted |= {(f"group {group}", "join"): group in one.groups for group in GROUPS}
    wanted |= {("rights", "read"): False, ("rights", "alter"): False}
    return {Attempt(one.user, resource, operation): allowed for (resource, operation), allowed in wanted.items()}


def table_of(found: dict[Attempt, bool]) -> str:
    """Return what was observed: a row for each resource and operation, a column for each user."""
    users = [one.user for one in roles()]
    lines = [f"| on | operation | {' | '.join(users)} |", f"|---|---|{'---|' * len(users)}"]
    for resource, operation in dict.fromkeys((one.resource, one.operation) for one in found):
        cells = ["allowed" if found[Attempt(user, resource, operation)] else "refused" for user in users]
        lines.append(f"| `{resource}` | {operation} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def keep(table: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(table, "utf-8")


@pytest.mark.slow(reason="every user tries everything, on connections of its own")
async def test_each_user_may_do_what_its_role_says_and_nothing_else(secured: Secured, tmp_path: Path):
    found = dict[Attempt, bool]()
    for one in roles():
        found |= await observed(secured, one)
    keep(table_of(found), Path(os.environ.get(TABLE) or tmp_path / "rights.md"))
    wanted = {attempt: allowed for one in roles() for attempt, allowed in expected(one).items()}
    assert {one: allowed for one, allowed in found.items() if wanted[one] is not allowed} == {}
    assert found.keys() == wanted.keys()


async def test_who_does_not_know_a_password_is_refused(secured: Secured):
    with pytest.raises(LogError, match="no answer"):
        await survey(secured.access("driver", "not the password of the driver"))
    with pytest.raises(LogError, match="no answer"):
        await survey(secured.access("nobody", "not a password at all"))


async def test_a_client_that_does_not_encrypt_is_refused(secured: Secured):
    for protocol in ("PLAINTEXT", "SASL_PLAINTEXT"):
        with pytest.raises(LogError, match="no answer"):
            await survey(secured.of("driver").model_copy(update={"kafka_security_protocol": protocol}))


async def test_a_broker_without_our_certificate_is_not_trusted(secured: Secured):
    trusting_others = secured.of("driver").model_copy(update={"kafka_ca_file": None})
    with pytest.raises(LogError, match="no answer"):
        await survey(trusting_others)


async def test_the_door_for_clients_of_this_machine_asks_like_that_of_the_services(secured: Secured):
    at_host = {"kafka_servers": secured.container.address(HOST)}
    assert await _described(secured.of("verifier").model_copy(update=at_host))
    for refused in (
        secured.access("verifier", "not the password of the verifier"),
        secured.of("verifier").model_copy(update={"kafka_security_protocol": "PLAINTEXT"}),
    ):
        with pytest.raises(KafkaConnectionError):
            await _described(refused.model_copy(update=at_host))


async def test_the_administrators_door_is_closed_to_the_services(secured: Secured):
    intake = secured.of("intake").model_copy(update={"kafka_servers": secured.container.address(ADMIN)})
    for mechanism in ("SCRAM-SHA-512", "PLAIN"):
        with pytest.raises(KafkaConnectionError):
            await _described(intake.model_copy(update={"kafka_sasl_mechanism": mechanism}))
    with pytest.raises(KafkaConnectionError):
        await _described(secured.admin.model_copy(update={"kafka_servers": secured.of("intake").kafka_servers}))


def test_setting_the_rights_again_changes_nothing(secured: Secured):
    report = secure(secured.admin, passwords=None, rules=True)
    assert report.rules == dict.fromkeys(acl_table(), "present")
    assert report.users == {}


async def test_a_right_that_no_role_has_is_taken_away(secured: Secured):
    admin = kafka.AdminClient(access_control._options(secured.admin))
    grant = Grant("scoring", "topic", APPLICATIONS_DECIDED.name, "write")
    access_control._done(admin.create_acls([access_control._binding(grant)]).values())
    async with _producer(secured.of("scoring")) as producer:
        assert await _writes(producer, APPLICATIONS_DECIDED.name)
        assert secure(secured.admin, passwords=None, rules=True).rules[grant] == "removed"
        assert not await _writes(producer, APPLICATIONS_DECIDED.name)


async def test_a_new_password_replaces_the_old_one(secured: Secured):
    before = secured.of("verifier")
    report = secure(secured.admin, passwords={"verifier": b"another password than before"}, rules=False)
    after = before.model_copy(update={"kafka_password": SecretStr("another password than before")})
    try:
        assert report.users == {"verifier": "set"}
        assert await _described(after)
        with pytest.raises(KafkaConnectionError):
            await _described(before)
    finally:
        secure(secured.admin, passwords=read_passwords(secured.users), rules=False)


def test_who_may_not_alter_the_cluster_sets_no_rights(secured: Secured):
    with pytest.raises(AccessControlError, match="may intake alter the cluster") as refused:
        secure(secured.of("intake"), passwords=None, rules=True)
    assert (secured.users / "intake" / "kafka_password").read_text() not in str(refused.value)


def services_on(secured: Secured, folder: Path) -> dict[str, Service]:
    def started(name: str, **own: object) -> Service:
        access = secured.of(role(name).user).model_dump(exclude={"kafka_password"})
        file = {"kafka_password_file": secured.users / role(name).user / "kafka_password"}
        return Service(name, folder, **access, **file, partitions=PARTITIONS, **own)

    store = f"sqlite:///{folder / 'scoring.db'}"
    return {
        "intake": started("intake"),
        "vneid_mock": started("vneid_mock", plan="calm", seed=SEED),
        "scoring": started("scoring", store=store),
        "scoring_api": Service("scoring.api", folder, store=store),
    }


async def send_and_verify(secured: Secured, services: dict[str, Service], identity: str) -> tuple[int, Verdict]:
    plan = DrivePlan(
        scenario=load_scenario("national-day", load_domain()), seed=SEED, applications=300, idempotent_producer=True
    )
    sent = await drive(plan, access=secured.of("driver"))
    target = Target(
        kafka=secured.of("verifier"),
        health_urls={name: one.url for name, one in services.items() if name != "scoring_api"},
        api_url=services["scoring_api"].url,
    )
    parameters = RunParameters(plan=load_plan("calm").model_dump(mode="json"), seed=SEED)
    return sent.sent, await verify(target, partitions=PARTITIONS, parameters=parameters, log_identity=identity)


@pytest.mark.slow(reason="starts every service, with TLS and passwords")
async def test_the_whole_flow_runs_with_these_rights_and_verifies(secured: Secured, tmp_path: Path):
    await wipe(**secured.admin.client_options())
    identity = (await ensure_topics(secured.of("topics"), partitions=PARTITIONS)).log_identity
    services = services_on(secured, tmp_path)
    try:
        await asyncio.gather(*[services[name].ready() for name in ("intake", "vneid_mock", "scoring")])
        sent, verdict = await send_and_verify(secured, services, identity)
        for service in services.values():
            # So that their groups are empty for the next test.
            service.process.terminate()
            assert await service.exit_code() == 0
    finally:
        for service in services.values():
            service.kill()
        await wipe(**secured.admin.client_options())
        await _fill(secured.admin)
    assert (sent, verdict.ok, verdict.submitted, verdict.decided) == (300, True, 300, 300), verdict
