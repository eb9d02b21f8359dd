"""`paperless chaos` in a container, by the overlay, on Kafka and PostgreSQL that were there before it."""

import json

import pytest

from tests.system.compose import BASE, Compose

pytestmark = [
    pytest.mark.container,
    pytest.mark.timeout(600),
    pytest.mark.slow(reason="containers are killed and cut off, and have to come back"),
]

CHAOS = "deploy/compose/chaos.yml"
# Among them Kafka's kill -9, and a service that is cut off or killed, within 30 s.
FAULTS, APPLICATIONS, RATE, SEED = 4, 1_500, 50, 78


def test_killed_and_cut_off_containers_are_got_over_and_nothing_is_lost(composed: Compose, image: str):
    before = composed.decided()
    overlaid = Compose(composed.project, image=image, files=(BASE, CHAOS), env=composed.env, runner="chaos")
    given = ("--faults", FAULTS, "--applications", APPLICATIONS, "--rate", RATE, "--seed", SEED)
    ended = overlaid.run("paperless", "chaos", *given, "--lang", "en", "--json", "chaos.json", within_s=500)
    assert ended.code == 0, (ended, composed.state())
    told = json.loads((composed.reports / "chaos.json").read_text())
    assert (told["ok"], told["verdict"], told["unready"]) == (True, "ok", [])
    assert len(told["recoveries"]) == FAULTS
    assert ("kill", "kafka") in {(fault["kind"], fault["target"]) for fault in told["recoveries"]}
    assert composed.decided() == before + APPLICATIONS
    composed.wait_healthy()
