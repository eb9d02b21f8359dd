"""What is shipped is listed, locked by hash, licensed acceptably, and audited honestly."""

import json
import re
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tools.audit import CLEAN, LOCK, NOT_AUDITED, SERVICES, VULNERABLE, audit, locked
from tools.bill_of_materials import MODULES, differences, required, write

# The bill takes seconds to write: one worker writes it.
pytestmark = pytest.mark.xdist_group("bill_of_materials")

ROOT = Path(__file__).parents[2]
# Permissive, or (MPL, LGPL) of libraries that are used as they are. Names as packages write them.
ALLOWED = re.compile(
    r"MIT( License)?|Apache([- ]2\.0|( 2\.0| Software)? License)|(3-Clause )?BSD([- ][23]-Clause)?( License)?"
    r"|ISC( License \(ISCL\))?|PSF-2\.0|MPL-2\.0|Mozilla Public License 2\.0 \(MPL 2\.0\)|LGPL-3\.0-only"
    r"|GNU Lesser General Public License v3 or later \(LGPLv3\+\)|0BSD|Zlib|CC0-1\.0"
)
PACKAGES = locked(LOCK.read_text("utf-8"))


@pytest.fixture(scope="module")
def bill(tmp_path_factory) -> Path:
    target: Path = tmp_path_factory.mktemp("sbom") / "sbom.cdx.json"
    write(target)
    return target


def test_the_bill_lists_every_locked_package_with_its_version_and_address(bill):
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill.read_text("utf-8")) is None
    modules = required(MODULES.read_text("utf-8"))
    assert len(json.loads(bill.read_text("utf-8"))["components"]) == len(PACKAGES) + len(modules)
    assert len(PACKAGES) > 50
    assert differences(bill) == []


def test_the_bill_lists_the_modules_of_the_embedded_broker_and_go_sum_has_their_hashes(bill):
    modules = required(MODULES.read_text("utf-8"))
    assert {("github.com/twmb/franz-go", "v1.22.3"), ("github.com/pierrec/lz4/v4", "v4.1.33")} < modules
    hashed = {tuple(line.split()[:2]) for line in MODULES.with_name("go.sum").read_text("utf-8").splitlines()}
    assert modules < hashed
    listed = {each["purl"] for each in json.loads(bill.read_text("utf-8"))["components"]}
    assert {f"pkg:golang/{path}@{version}" for path, version in modules} < listed


def test_a_package_that_the_bill_leaves_out_or_makes_up_is_named(bill, tmp_path):
    found = json.loads(bill.read_text("utf-8"))
    lost = found["components"].pop(0)
    found["components"][0] |= {"version": "0", "purl": found["components"][0]["purl"].partition("@")[0] + "@0"}
    (tmp_path / "sbom.json").write_text(json.dumps(found), "utf-8")
    lines = differences(tmp_path / "sbom.json")
    assert f"{lost['purl']}: locked, not in the bill" in lines
    assert f"{found['components'][0]['purl']}: in the bill, not locked" in lines


def test_the_same_lock_gives_the_same_bill(bill, tmp_path):
    write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == bill.read_bytes()


def test_the_bill_is_of_this_project(bill):
    described = json.loads(bill.read_text("utf-8"))["metadata"]["component"]
    assert described["name"] == "paperless"
    assert described["licenses"][0]["license"]["id"] == "Apache-2.0"


@pytest.mark.parametrize("lock", ["run.txt", "image.txt", "dev.txt"])
def test_nothing_is_installed_without_a_hash(lock):
    text = (ROOT / "requirements" / lock).read_text("utf-8").replace("\\\n", " ")
    pins = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert len(pins) > 50
    assert [pin for pin in pins if not re.match(r"[\w.-]+==\S+.*--hash=sha256:[0-9a-f]{64}", pin)] == []


def test_every_shipped_package_has_a_licence_that_we_may_ship():
    refused = {name: said for name, _ in PACKAGES if (said := licences(name)) is not None and not acceptable(said)}
    assert refused == {}


def licences(package: str) -> list[str] | None:
    """Return what a package says about its licence, None where it is not installed on this platform."""
    try:
        found = metadata(package)
    except PackageNotFoundError:
        return None
    if "License-Expression" in found:
        return re.split(r" (?:AND|OR) |[()]", found["License-Expression"])
    classified = [line.split(" :: ")[-1] for line in found.get_all("Classifier", []) if line.startswith("License")]
    return classified or found.get_all("License", ["none"])


def acceptable(said: list[str]) -> bool:
    named = [each.strip() for each in said if each.strip() and each != "OSI Approved"]
    return bool(named) and all(ALLOWED.fullmatch(each) for each in named)


@pytest.mark.parametrize("said", ["GPL-3.0-only", "AGPL-3.0-or-later", "SSPL-1.0", "none", "Proprietary"])
def test_a_licence_that_binds_whoever_ships_it_is_refused(said):
    assert not acceptable([said])


def report(*dependencies: dict[str, Any]) -> str:
    return json.dumps({"dependencies": dependencies, "fixes": []})


def clean(name: str) -> dict[str, Any]:
    return {"name": name, "version": "1", "vulns": []}


def skipped(name: str) -> dict[str, Any]:
    reason = f"Dependency not found on PyPI and could not be audited: {name} (1)"
    return {"name": name, "skip_reason": reason}


VULNERABILITY = {"id": "PYSEC-2026-1", "fix_versions": ["2"], "aliases": [], "description": ""}


@pytest.fixture
def run(tmp_path) -> Callable[..., tuple[int, str]]:
    lock = tmp_path / "lock.txt"
    lock.write_text(
        "one==1 \\\n    --hash=sha256:aa\nTwo_b==1 ; python_version < '4' \\\n    --hash=sha256:bb\n", "utf-8"
    )

    def run(*reports: str) -> tuple[int, str]:
        left, lines = dict(zip(SERVICES, reports, strict=True)), list[str]()
        return audit(lock, lambda service, _: left[service], lines.append), "\n".join(lines)

    return run


def test_a_clean_audit_has_looked_every_package_up(run):
    code, said = run(report(clean("one"), clean("two-b")), "not asked")
    assert code == CLEAN
    assert "audited by pypi: 2 packages" in said


def test_a_mirror_without_advisories_is_no_clean_bill(run):
    """What pip-audit reports with exit code 0 when the index knows no advisories."""
    code, said = run(report(skipped("one"), skipped("two-b")), "Connection refused")
    assert code == NOT_AUDITED
    assert "not audited: no advisory service could be reached for 2 packages" in said
    assert "Dependency not found on PyPI" in said


def test_one_package_that_nobody_looked_up_is_no_clean_bill(run):
    code, said = run(report(clean("one"), skipped("two-b")), report(clean("one")))
    assert code == NOT_AUDITED
    assert "1 packages" in said


def test_a_second_service_may_answer_where_the_first_does_not(run):
    code, said = run("Traceback\nConnectionError: no route", report(clean("one"), clean("two-b")))
    assert code == CLEAN
    assert "no route" in said
    assert "audited by osv" in said


def test_a_known_vulnerability_is_named_with_the_version_that_mends_it(run):
    code, said = run(report(clean("one") | {"vulns": [VULNERABILITY]}, skipped("two-b")), "not asked")
    assert code == VULNERABLE
    assert "one 1: PYSEC-2026-1, fixed in 2" in said


def test_no_answer_at_all_is_no_clean_bill(run):
    assert run("", "")[0] == NOT_AUDITED
