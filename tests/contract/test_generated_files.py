"""Derived files are those of their source, and the AsyncAPI document holds together."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from faststream.specification.asyncapi.v3_0_0.schema import ApplicationSchema
from jsonschema import Draft202012Validator

from contracts.records import header_maker
from contracts.topics import ALL, LOG_IDENTITY, dead_letter_topics
from tools import generate
from tools.asyncapi import document
from tools.generate import ROOT, files, publish, run

FILES = files()


@pytest.mark.parametrize("path", FILES)
def test_a_derived_file_is_up_to_date(path):
    assert (ROOT / path).read_text("utf-8") == FILES[path], "run make generate"


def test_generating_twice_gives_the_same():
    assert files() == FILES


def test_no_schema_is_left_of_a_topic_that_is_gone():
    assert {path.stem for path in (ROOT / "contracts/schemas").iterdir()} == {topic.name for topic in ALL}


def test_check_names_what_is_out_of_date(tmp_path, monkeypatch, capsys):
    texts = {"docs/one.md": "one\n", "docs/two.md": "hai\n"}
    publish(texts, check=False, root=tmp_path)
    (tmp_path / "docs/two.md").write_text("two\n", "utf-8")
    monkeypatch.setattr(generate, "publish", lambda found, *, check: publish(found, check=check, root=tmp_path))
    assert run(texts, ["--check"]) == 1
    assert capsys.readouterr().out == "docs/two.md: out of date; run make generate\n"
    assert (tmp_path / "docs/two.md").read_text("utf-8") == "two\n"
    assert run(texts, []) == 0
    assert (tmp_path / "docs/two.md").read_text("utf-8") == "hai\n"
    assert run(texts, ["--check"]) == 0


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from [node["$ref"]] if "$ref" in node else []
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def resolve(reference: str) -> Any:
    if not reference.startswith("#/"):
        return json.loads((ROOT / "contracts" / reference).read_text("utf-8"))
    node: Any = document()
    for step in reference.removeprefix("#/").split("/"):
        node = node[step]
    return node


def test_every_reference_of_the_document_resolves():
    found = set(references(document()))
    assert len(found) > 10
    assert all(resolve(reference) for reference in found)


def test_the_document_is_an_asyncapi_3_document():
    found = document()
    ApplicationSchema.model_validate(found)
    assert found["asyncapi"] == "3.0.0"
    assert set(found["channels"]) == {topic.name for topic in ALL} | {name for name, _ in dead_letter_topics()}


def test_every_topic_has_its_sender_and_its_receivers():
    operations = document()["operations"]
    for topic in ALL:
        ends = {
            (operation["action"], operation["tags"][0]["name"])
            for operation in operations.values()
            if operation["channel"]["$ref"] == f"#/channels/{topic.name}"
        }
        senders = {*topic.produced_by, topic.moved_by} - {None}
        assert ends == {("send", name) for name in senders} | {("receive", name) for name in topic.consumed_by}


@pytest.mark.parametrize("topic", ALL, ids=lambda topic: topic.name)
def test_described_headers_are_those_that_are_sent(topic):
    described = document()["components"]["messages"][topic.payload.__name__]["headers"]
    sent = {name: value.decode() for name, value in header_maker("/services/any", topic.event_type)("id/step")}
    Draft202012Validator(described).validate(sent)
    assert set(sent) == set(described["required"])


def test_the_topics_page_draws_every_topic():
    page = FILES["docs/topics.md"]
    names = [topic.name for topic in ALL] + [name for name, _ in dead_letter_topics()] + [LOG_IDENTITY]
    assert all(f"`{name}`" in page for name in names)
    edges = [f"{producer} --> {topic.name.replace('.', '_')}" for topic in ALL for producer in topic.produced_by]
    assert [edge for edge in edges if edge not in page] == []
