"""`paperless chaos` on processes of this machine: everything holds; after Ctrl-C nothing stays."""

import json
import os
import signal

import psutil
import pytest

from tests.system.front_door import INTERRUPTED, System, alive, ctrl_c, eventually, start

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.slow(reason="faults last for seconds, and the system has to recover from each"),
]

APPLICATIONS, FAULTS = 2_000, 6
# A new member, a full disk, a locked store, a burst, and two services that are killed or frozen, within 20 s.
SEED = 0
RATE = 100


def test_faults_of_many_kinds_are_got_over_and_nothing_is_lost_or_counted_twice(tmp_path):
    system, result, page = System(tmp_path / "run"), tmp_path / "chaos.json", tmp_path / "chaos.html"
    given = ("--faults", FAULTS, "--applications", APPLICATIONS, "--rate", RATE, "--seed", SEED)
    out = system.run("chaos", *given, "--lang", "en", "--json", result, "--picture", page, within_s=200)
    assert out.code == 0, out
    told = json.loads(result.read_text())
    assert told["ok"] is True
    assert (told["verdict"], told["readings"]) == ("ok", "live = recount = oracle")
    assert (told["counts"]["decided"], told["counts"]["lost"], told["counts"]["counted_twice"]) == (APPLICATIONS, 0, 0)
    happened = [(fault["kind"], fault["target"]) for fault in told["recoveries"]]
    assert sorted(happened) == sorted((fault["kind"], fault["target"]) for fault in told["plan"])
    assert len(happened) == FAULTS
    assert all(fault["recovery_s"] is not None for fault in told["recoveries"])
    assert told["samples"][-1]["sent"] == told["samples"][-1]["stored"] == APPLICATIONS
    assert "6 faults: all holds" in out.out
    assert f"paperless chaos --faults 6 --applications 2000 --seed {SEED} --rate 100 --plan rough" in out.out
    assert "<svg" in page.read_text()
    assert not (system.folder / "state.json").exists()


def test_faults_that_do_not_fit_into_the_load_are_refused_with_what_to_do(tmp_path):
    system = System(tmp_path / "run")
    ended = system.run("chaos", "--faults", 40, "--applications", 100, "--rate", 50)
    assert ended.code == 2
    assert "at 50/s all has arrived after 2 s; lower --rate to" in ended.err
    assert not (system.folder / "state.json").exists()


def test_ctrl_c_ends_every_fault_and_leaves_nothing(tmp_path):
    system, out = System(tmp_path / "run"), tmp_path / "out"
    given = ("--faults", 6, "--applications", 6_000, "--rate", 60, "--seed", SEED)
    run = start("chaos", "--state", system.folder, *given, "--lang", "en", out=out)
    eventually(lambda: "join and leave" in out.read_text() or run.poll() is not None, 120)
    assert run.poll() is None, out.read_text()
    family = [run.pid, *(child.pid for child in psutil.Process(run.pid).children(recursive=True))]
    # Pressed twice: what was begun is ended all the same.
    os.killpg(run.pid, signal.SIGINT)
    assert ctrl_c(run) == INTERRUPTED
    assert "every fault is ended" in out.read_text()
    assert "Traceback" not in out.read_text()
    eventually(lambda: alive(family) == [], within_s=15)
    assert not (system.folder / "state.json").exists()
