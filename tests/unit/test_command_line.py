"""How a command ends where its output is read by nobody, fills a disk, or goes to a terminal of another time."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from runtime.command_line import EXIT_CODES, PLAIN
from tests.support.every_command import MODES
from tests.support.source import ROOT

# Hundreds of commands, run once: on one worker.
pytestmark = [pytest.mark.timeout(180), pytest.mark.xdist_group("every_command")]

# Named alone they show their help on standard output, and end as an error does.
GROUPS = ("paperless", "paperless dlq")
FINE, ERROR, INTERRUPTED, READER_GONE = 0, 2, 130, 141


class Ended(NamedTuple):
    """Exit codes by command line, and what stood on both streams where they were kept."""

    codes: dict[str, int]
    out: bytes
    err: bytes


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """Every command in every mode."""
    folder, empty = tmp_path_factory.mktemp("report"), tmp_path_factory.mktemp("empty")
    command = [sys.executable, "-W", "ignore::RuntimeWarning", "-m", "tests.support.every_command", str(folder)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    subprocess.run(command, cwd=empty, env=env, check=True)
    report = json.loads((folder / "report.json").read_text("utf-8"))

    def written(file: Path) -> bytes:
        return file.read_bytes() if file.exists() else b""

    return {
        mode: Ended(codes, written(folder / f"{mode}.out"), written(folder / f"{mode}.err"))
        for mode, codes in report.items()
    }


def test_every_command_ends_with_its_help_or_an_error(runs: dict[str, Ended]):
    codes = runs["usual"].codes
    assert len(codes) >= 40
    assert codes == {words: FINE if words.endswith(("--help", "down")) else ERROR for words in codes}


@pytest.mark.parametrize("mode", MODES)
def test_the_exit_code_says_what_happened_and_no_traceback_is_shown(runs: dict[str, Ended], mode: str):
    instead = {"output full": ERROR, "reader gone": READER_GONE}.get(mode, FINE)
    codes, out, err = runs[mode]
    usual = runs["usual"].codes
    expected = {words: instead if usual[words] == FINE else usual[words] for words in codes}
    if mode == "reader gone":
        expected |= {words: READER_GONE for words in GROUPS if words in codes}
    assert codes == expected
    assert not [word for word in (b"Traceback", b"Exception ignored", b"Error:") if word in out + err]


def test_full_output_is_told_on_the_other_stream(runs: dict[str, Ended]):
    told = runs["output full"].err.decode()
    assert told.count("error: standard output cannot be written (No space left on device)\n") > 10


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_terminal_is_shown_what_it_can_show(runs: dict[str, Ended], encoding: str):
    text = (runs[encoding].out + runs[encoding].err).decode(encoding)
    assert "Usage: " in text
    # Neither escapes nor boxes of another encoding.
    assert not [sign for sign in ("\\u", "\\x", "\ufffd", "╭", "â") if sign in text]


def test_the_page_for_operators_lists_the_exit_codes_that_the_help_names():
    rows = re.findall(r"^\| ([0-9, ]+) \| ([^|]+) \|", (ROOT / "docs/operations.md").read_text("utf-8"), re.MULTILINE)
    listed = [code for codes, whose in rows if whose == "all" or "`paperless`" in whose for code in codes.split(", ")]
    assert sorted(listed) == sorted(re.findall(r"[0-9]+", EXIT_CODES))


def test_letters_that_a_terminal_has_not_are_shown_without_their_marks():
    text = "Hà Nội – Đắk Lắk: live ≠ recount, 5 µs → … \udcff⠋"
    assert text.encode("ascii", PLAIN) == b"Ha Noi - Dak Lak: live != recount, 5 us -> ... ?*"
    assert text.encode("latin-1", PLAIN).startswith("Hà Noi - Dak Lak".encode("latin-1"))


def test_a_locale_without_encoding_is_no_reason_to_fail(tmp_path: Path):
    env = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "paperless", "verify", "--manifest", "hồ sơ.json", "--kafka", "127.0.0.1:1"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, check=False)
    assert done.returncode == ERROR
    assert done.stderr.startswith(b"error: h")
    assert b"no manifest" in done.stderr
    assert done.stderr.isascii()


def test_ctrl_c_while_the_command_is_imported_ends_it_without_a_word_of_python(tmp_path: Path):
    code = (
        "import pathlib, sys, time\n"
        "class Slow:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'typer':\n"
        "            pathlib.Path('importing').touch()\n"
        "            time.sleep(60)\n"
        "sys.meta_path.insert(0, Slow())\n"
        "from paperless.__main__ import main\n"
        "main()\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=env, stderr=subprocess.PIPE) as process:
        while not (tmp_path / "importing").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20)[1] == b"stopped\n"
    assert process.returncode == INTERRUPTED
