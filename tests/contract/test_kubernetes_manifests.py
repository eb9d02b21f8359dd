"""The Kubernetes manifests: valid by schema, locked down, and in step with settings, registry and roles."""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft202012Validator

from contracts.roles import Grant, acl_table, role, roles
from contracts.topics import ALL, DEFAULT_PARTITIONS, LOG_IDENTITY, dead_letter_topics
from paperless.local.layout import ROOT
from tests.contract.strimzi_schema import SCHEMAS
from tests.support.variables import BY_PREFIX, READ_BY, parsed, program_of, unread_variables

FOLDER = ROOT / "deploy/kubernetes"
# The oldest release that is still maintained when this was written, and the newest schema there is.
RELEASES = ("1.34", kubernetes_validate.latest_version())
Json = dict[str, Any]


def documents(pattern: str = "**/*.yaml") -> Iterator[tuple[Path, Json]]:
    for path in sorted(FOLDER.glob(pattern)):
        for document in yaml.safe_load_all(path.read_text("utf-8")):
            yield path, document


def name_of(document: Json) -> str:
    return f"{document['kind']}/{document['metadata']['name']}"


PLAIN = [document for path, document in documents() if path.name != "kustomization.yaml"]
CORE = [document for document in PLAIN if document["kind"] not in SCHEMAS]
STRIMZI = [document for document in PLAIN if document["kind"] in SCHEMAS]
OBJECTS = {name_of(document): document for document in PLAIN}


def pod_template(document: Json) -> Json | None:
    spec = document.get("spec", {})
    if document["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    found: Json | None = spec.get("template") if document["kind"] in {"Deployment", "Job", "CronJob"} else None
    return found


PODS = {name_of(document): template for document in CORE if (template := pod_template(document))}
DEPLOYMENTS = {each["metadata"]["name"]: each for each in CORE if each["kind"] == "Deployment"}


def container(template: Json) -> Json:
    (found,) = template["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def environment(template: Json) -> dict[str, str]:
    (source,) = container(template)["envFrom"]
    found: dict[str, str] = OBJECTS[f"ConfigMap/{source['configMapRef']['name']}"]["data"]
    return found


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("document", CORE, ids=name_of)
def test_an_object_is_valid_and_has_no_misspelt_field(document, release):
    kubernetes_validate.validate(document, release, strict=True)


def test_a_misspelt_field_would_be_noticed():
    broken = {**OBJECTS["Deployment/intake"], "spec": {**OBJECTS["Deployment/intake"]["spec"], "replica": 3}}
    with pytest.raises(kubernetes_validate.ValidationError, match="replica"):
        kubernetes_validate.validate(broken, RELEASES[0], strict=True)


@pytest.mark.parametrize("document", STRIMZI, ids=name_of)
def test_an_object_of_the_operator_is_valid(document):
    Draft202012Validator(SCHEMAS[document["kind"]]).validate(document)


def test_every_manifest_is_applied_by_one_folder_or_another():
    listed = set()
    for path in FOLDER.rglob("kustomization.yaml"):
        kustomization = yaml.safe_load(path.read_text("utf-8"))
        assert kustomization["namespace"] == "paperless"
        listed |= {path.parent / name for name in kustomization["resources"]}
    assert listed == {path for path in FOLDER.rglob("*.yaml") if path.name != "kustomization.yaml"}


def test_no_secret_is_written_down():
    assert [name for name in OBJECTS if name.startswith("Secret/")] == []
    for document in CORE:
        for name in document.get("data", {}):
            assert not re.search(r"(PASSWORD|TOKENS?|KEY)$", name), f"{name} of {name_of(document)} is no file"


def test_the_readme_names_every_secret_that_must_be_there():
    page = (FOLDER / "README.md").read_text("utf-8")
    named = {(cells[0], cells[1]) for cells in re.findall(r"^\| `([\w-]+)` \| `([\w.]+)` \|", page, re.MULTILINE)}
    wanted = {
        (source.get("secretName") or source["name"], item["key"])
        for template in PODS.values()
        for volume in template["spec"]["volumes"]
        for source in [volume.get("secret") or volume.get("configMap")]
        if source
        for item in source["items"]
    }
    assert named == wanted


@pytest.mark.parametrize("template", PODS.values(), ids=PODS)
def test_a_pod_has_no_right_that_it_does_not_need(template):
    spec, inside = template["spec"], container(template)
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert inside["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    assert all(mount["readOnly"] for mount in inside["volumeMounts"] if mount["name"] != "tmp")
    assert {mount["name"] for mount in inside["volumeMounts"]} == {volume["name"] for volume in spec["volumes"]}
    assert {"cpu", "memory"} == set(inside["resources"]["requests"])
    assert inside["resources"]["limits"]["memory"] == inside["resources"]["requests"]["memory"]


@pytest.mark.parametrize("template", PODS.values(), ids=PODS)
def test_a_pod_runs_what_there_is_with_settings_that_it_reads(template, tmp_path):
    command = container(template)["command"]
    program = program_of(command)
    assert program == "paperless" or find_spec(program)
    assert unread_variables(command, environment(template)) == set()
    if READ_BY[program] in BY_PREFIX:
        (tmp_path / "secret").write_text("a-secret-of-enough-characters", "utf-8")
        parsed(command, environment(template), tmp_path / "secret")


@pytest.mark.parametrize("template", PODS.values(), ids=PODS)
def test_every_file_that_a_setting_names_is_mounted(template):
    spec, inside = template["spec"], container(template)
    items = {
        volume["name"]: [item["path"] for item in (volume.get("secret") or volume.get("configMap") or {})["items"]]
        for volume in spec["volumes"]
        if volume["name"] != "tmp"
    }
    mounted = {
        f"{mount['mountPath']}/{item}" for mount in inside["volumeMounts"] for item in items.get(mount["name"], [])
    }
    values = environment(template)
    named = {value for key, value in values.items() if key.endswith("_FILE")}
    named |= {path for value in values.values() for path in re.findall(r"sslrootcert=([^&]+)", value)}
    assert named == mounted


@pytest.mark.parametrize("template", PODS.values(), ids=PODS)
def test_a_pod_logs_in_with_the_user_of_its_role(template):
    values = environment(template)
    user = next((value for key, value in values.items() if key.endswith("KAFKA_USERNAME")), None)
    if user is None:
        assert "paperless.network/kafka" not in template["metadata"]["labels"]
        return
    assert user in {one.user for one in roles()}
    volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
    assert volumes["kafka"]["secret"]["secretName"] == user
    assert f"KafkaUser/{user}" in OBJECTS


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_service_is_probed_where_it_listens(name):
    template = DEPLOYMENTS[name]["spec"]["template"]
    inside = container(template)
    (port,) = inside["ports"]
    ports = [value for key, value in environment(template).items() if key.endswith("_HTTP_PORT")]
    assert [str(port["containerPort"])] == ports
    paths = {probe: inside[probe]["httpGet"] for probe in ("readinessProbe", "livenessProbe", "startupProbe")}
    assert {each["port"] for each in paths.values()} == {port["name"]}
    assert paths["readinessProbe"]["path"] == "/health"
    # A restart mends no broker: /health is about what the process reaches, not about the process.
    assert paths["livenessProbe"]["path"] == "/metrics"
    service = OBJECTS[f"Service/{name}"]["spec"]
    assert service["ports"] == [{"name": "http", "port": port["containerPort"], "targetPort": "http"}]


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_service_has_time_to_drain_and_is_not_evicted_as_a_whole(name):
    deployment = DEPLOYMENTS[name]["spec"]
    assert deployment["template"]["spec"]["terminationGracePeriodSeconds"] >= 30
    labels = deployment["template"]["metadata"]["labels"]
    for kind, selector in (("Service", lambda spec: spec["selector"]), ("PodDisruptionBudget", _matched)):
        assert selector(OBJECTS[f"{kind}/{name}"]["spec"]).items() <= labels.items()
    assert _matched(deployment).items() <= labels.items()


def _matched(spec: Json) -> dict[str, str]:
    found: dict[str, str] = spec["selector"]["matchLabels"]
    return found


def test_the_page_finds_whom_it_asks():
    """Each address is a Service's with its port, and a token is told where one is asked for."""
    values = environment(PODS["Deployment/portal"])
    asked = {key: values[key] for key in ("PORTAL_SCORING_API", "PORTAL_MOCK", "PORTAL_PLANNER_URL")}
    asked |= dict(pair.split("=") for pair in values["PORTAL_SERVICES"].split())
    for address in asked.values():
        name, port = address.removeprefix("http://").split(":")
        (offered,) = OBJECTS[f"Service/{name}"]["spec"]["ports"]
        assert str(offered["port"]) == port
        guarded = any(key.endswith("TOKENS_FILE") for key in environment(PODS[f"Deployment/{name}"]))
        told = {key for key, each in asked.items() if each == address and f"{key}_TOKEN_FILE" in values}
        assert guarded == bool(told), name


@pytest.mark.parametrize("name", ["intake", "scoring"])
def test_no_member_is_without_a_partition(name):
    deployment = DEPLOYMENTS[name]["spec"]
    assert deployment["replicas"] <= DEFAULT_PARTITIONS
    assert deployment["strategy"]["rollingUpdate"]["maxSurge"] == 0


def test_nobody_talks_to_anybody_without_a_rule():
    (rule,) = [each for each in CORE if each["metadata"]["name"] == "nothing-by-default"]
    assert rule["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & rule["spec"].keys()
    for template in PODS.values():
        labels = template["metadata"]["labels"]
        assert rule["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
        reaches = {
            "kafka": any("KAFKA" in key for key in environment(template)),
            "store": any(key.endswith("_STORE") for key in environment(template)),
        }
        assert reaches == {part: f"paperless.network/{part}" in labels for part in reaches}, labels


def test_every_network_rule_is_about_some_pod():
    labels = [template["metadata"]["labels"] for template in PODS.values()]
    for document in CORE:
        if document["kind"] == "NetworkPolicy" and "matchLabels" in document["spec"]["podSelector"]:
            chosen = document["spec"]["podSelector"]["matchLabels"].items()
            assert any(chosen <= each.items() for each in labels), name_of(document)
        elif document["kind"] == "NetworkPolicy":
            (expression,) = document["spec"]["podSelector"]["matchExpressions"]
            assert set(expression["values"]) == set(DEPLOYMENTS)


def test_the_operators_topics_are_those_of_the_registry():
    topics = {each["spec"]["topicName"]: each["spec"] for each in STRIMZI if each["kind"] == "KafkaTopic"}
    assert set(topics) == {topic.name for topic in ALL} | {name for name, _ in dead_letter_topics()} | {LOG_IDENTITY}
    assert {topics[topic.name]["partitions"] for topic in ALL} == {DEFAULT_PARTITIONS}
    assert all(spec["config"]["min.insync.replicas"] < str(spec["replicas"]) for spec in topics.values())


def test_the_operators_users_have_the_rights_of_the_roles_and_no_others():
    granted = {
        Grant(each["metadata"]["name"], rule["resource"]["type"], rule["resource"]["name"], operation.lower())
        for each in STRIMZI
        if each["kind"] == "KafkaUser"
        for rule in each["spec"]["authorization"]["acls"]
        for operation in rule["operations"]
    }
    assert granted == set(acl_table())
    assert {rule["resource"]["patternType"] for each in STRIMZI for rule in _rules(each)} == {"literal"}


def _rules(document: Json) -> list[Json]:
    found: list[Json] = document["spec"].get("authorization", {}).get("acls", [])
    return found


def test_the_topics_job_may_do_what_it_does():
    assert role("topics").user == environment(PODS["Job/topics"])["PAPERLESS_KAFKA_USERNAME"]
