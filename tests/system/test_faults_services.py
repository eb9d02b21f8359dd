"""What dies, falls silent or is cut off in containers, while applications go on arriving.

One scenario of each kind: which member it meets, and when, the histories of tests/cluster try by the hundred.
"""

import pytest

from tests.system.compose import Compose
from tests.system.traffic import traffic

pytestmark = [
    pytest.mark.container,
    pytest.mark.timeout(600),
    pytest.mark.slow(reason="faults outlast clients' time-outs, and traffic has to recover from each"),
]

OURS = ("intake", "vneid-mock", "scoring", "scoring-api")
# Clients give a request up after 15 s; what they then do with what they wanted to send is another way through the code.
BEYOND_CLIENTS_S = 20.0


def test_parts_that_die_fall_silent_or_are_cut_off_lose_nothing_and_restart_nobody(composed: Compose):
    before = started(composed)
    with traffic(composed) as flow:
        composed.pause("vneid-mock")
        flow.presumes()
        composed.unpause("vneid-mock")
        flow.goes_on()
        composed.disconnect("scoring", "store")
        flow.stands_still()
        composed.connect("scoring", "store")
        flow.goes_on()
        for service in ("postgres", "kafka"):
            composed.kill(service)
            composed.start(service)
            flow.goes_on()
        composed.pause("kafka")
        flow.stands_still(for_s=BEYOND_CLIENTS_S)
        composed.unpause("kafka")
        flow.goes_on()
    assert flow.counts["overruled"] > 0, "an answer that was late overrules what was presumed"
    assert started(composed) == before


def started(system: Compose) -> dict[str, str]:
    """Since when each of our services runs."""
    return {service: system.inspect(system.containers(service)[0])["State"]["StartedAt"] for service in OURS}
