"""kill -9, silence and cut cables on one Kafka node and PostgreSQL, while applications go on arriving.

One scenario of each kind: which member it meets, and when, the histories of tests/cluster try by the hundred.
"""

import pytest

from tests.system.compose import Compose
from tests.system.traffic import traffic

pytestmark = [
    pytest.mark.container,
    pytest.mark.timeout(900),
    pytest.mark.slow(reason="faults outlast clients' time-outs, and traffic has to recover from each"),
]

CONSUMERS = ("intake", "vneid-mock", "scoring")
# Clients give a request up after 15 s; what they then do with what they wanted to send is another way through the code.
BEYOND_CLIENTS_S = 45.0


def test_services_killed_or_frozen_in_the_middle_of_traffic_lose_nothing(composed: Compose):
    with traffic(composed) as flow:
        composed.crash("intake")
        flow.goes_on()
        for service in ("intake", "postgres"):
            composed.pause(service)
            flow.stands_still()
            composed.unpause(service)
            flow.goes_on()
        composed.pause("vneid-mock")
        flow.presumes()
        composed.unpause("vneid-mock")
        flow.goes_on()
    assert flow.counts["re_delivered"] > 0, "a killed member's successor reads again"
    assert flow.counts["overruled"] > 0, "an answer that was late overrules what was presumed"


def test_services_cut_off_from_the_broker_or_the_store_lose_nothing(composed: Compose):
    with traffic(composed) as flow:
        for service, network in (("intake", "log"), ("scoring", "store")):
            composed.disconnect(service, network)
            flow.stands_still()
            composed.connect(service, network)
            flow.goes_on()


def test_a_broker_and_a_store_that_die_or_fall_silent_lose_nothing_and_restart_nobody(composed: Compose):
    before = started(composed)
    with traffic(composed) as flow:
        for service in ("postgres", "kafka"):
            composed.kill(service)
            composed.start(service)
            flow.goes_on()
        composed.pause("kafka")
        flow.stands_still(for_s=BEYOND_CLIENTS_S)
        composed.unpause("kafka")
        flow.goes_on()
    assert started(composed) == before


def started(system: Compose) -> dict[str, str]:
    """Since when each of our services runs."""
    return {
        service: system.inspect(system.containers(service)[0])["State"]["StartedAt"]
        for service in (*CONSUMERS, "scoring-api")
    }
