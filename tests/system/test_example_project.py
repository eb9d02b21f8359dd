"""The example of a project with tests of its own runs where nothing of ours is but the package, built and installed."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "integration_tests"
PAGE = ROOT / "docs" / "testing.md"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the package as a wheel; its dependencies are those of the environment that runs this."""
    folder = tmp_path_factory.mktemp("environment")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    python = folder / "venv" / "bin" / "python"
    installed = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "venv")}))
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(installed)
    paths = {path for path in sys.path if Path(path).name == "site-packages"}
    (installed / "dependencies.pth").write_text("\n".join(sorted(paths)) + "\n", "utf-8")
    return python


@pytest.mark.timeout(300)
@pytest.mark.slow(reason="builds the package and starts a system")
@pytest.mark.parametrize("where", ["embedded", pytest.param("containers", marks=pytest.mark.container)])
def test_the_example_project_passes_as_an_outside_project(python, where, tmp_path):
    project = shutil.copytree(EXAMPLE, tmp_path / "project")
    command = [str(python), "-m", "pytest", "-p", "no:cacheprovider", f"--paperless-on={where}"]
    # What is there for every project of this machine: the commands, and how to reach its container engine.
    engine = {name: value for name, value in os.environ.items() if re.match(r"DOCKER_|TESTCONTAINERS_|REQUIRE_", name)}
    environment = {**engine, "PATH": f"{python.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    where_from = [str(python), "-c", "import paperless, services; print(paperless.__file__, services.__file__)"]
    places = subprocess.run(where_from, cwd=project, env=environment, capture_output=True, text=True, check=True).stdout
    assert places.count(str(python.parents[1])) == 2


def test_the_page_shows_the_example():
    assert (EXAMPLE / "test_applications.py").read_text("utf-8") in PAGE.read_text("utf-8")
