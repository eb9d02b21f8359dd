"""The tutorial, command by command, as a reader types it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.compose import ROOT

TUTORIAL = (ROOT / "docs/tutorial.md").read_text("utf-8")
BLOCKS = re.findall(r"^```bash\n(.*?)^```$", TUTORIAL, re.MULTILINE | re.DOTALL)


@pytest.mark.timeout(300)
@pytest.mark.slow(reason="plays three parts of a day, a killed service and a broken database between them")
def test_every_command_of_the_tutorial_does_what_it_says(tmp_path):
    # One shell, as the reader's; the first command that fails ends it.
    script = "\n".join(["set -euo pipefail", "trap 'paperless down || true' EXIT", *BLOCKS])
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PAPERLESS_LANG": "en"}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout.startswith("page: http://127.0.0.1:") or "\npage: http://127.0.0.1:" in done.stdout
    assert "End to end" in done.stdout
    assert "verdict: ok" in done.stdout
    assert '"unreachable":{"dat_dai":0.9}' in done.stdout
    assert "land_data" in done.stdout


def test_the_tutorial_has_commands_in_every_section_but_the_last():
    sections = TUTORIAL.split("\n## ")[1:]
    assert [section.splitlines()[0] for section in sections if "```bash" not in section] == ["Where to go on"]
    assert len(BLOCKS) == 9
