"""examples/agent_memory as `@mastra/dynamodb` writes it: all that is downstream is right."""

import importlib.util
import json
from pathlib import Path

import orjson
import pytest

from distributary.index import check as check_indexes
from distributary.stream.change import Image
from distributary.stream.codec import encode_item
from distributary.stream.dynamodb_stream import decode
from distributary.welcome import check as check_rules
from local import examples
from tests.local.conftest import run_example

ROOT = Path(__file__).parents[2]
HERE = ROOT / "examples/agent_memory"
LONGEST = 32_766
"""Bytes of a leaf that OpenSearch takes."""


@pytest.mark.node
def test_all_that_is_downstream_of_the_agents_is_right(endpoints):
    result, _ = run_example(examples.named("agent_memory"), endpoints, 240)
    made = result.made
    assert result.wrong == []
    assert {name.split("#")[0] for name in made.rows} == {"RESOURCE", "SCORER", "THREAD", "TITLED"}
    assert all("title" in row for name, row in made.rows.items() if name.startswith("TITLED"))
    assert {name.split(" ")[0] for name in made.changes} == {"expired", "deleted"}
    assert len(made.messages) == sum(name.startswith("expired") for name in made.changes)
    expired = [row["messages"] for name, row in made.rows.items() if "scratch" in name and "WITH-EXPIRED" in name]
    assert sum(expired) == len(made.messages), "what expired is still counted where it should be"
    assert not any("scratch" in name and name.endswith("/ MESSAGES") for name in made.rows)
    assert {name.split(" / ")[0] for name in made.documents} == {"agent-messages", "agent-workflows"}


def declared(path, name):
    spec = importlib.util.spec_from_file_location(f"agent_{name}", HERE / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("event", "sent"), [("expired", ["note-0-112"]), ("deleted", [])])
def test_a_message_that_expired_is_told_from_one_that_was_deleted(event, sent):
    (rule,) = check_rules(declared("welcome/rules.py", "rules").RULES)
    records = json.loads((HERE / f"events/{event}.json").read_text())["Records"]
    found = [rule.on.item(decode(record, lambda _: 0)) for record in records]
    assert [item["id"] for item in found if item is not None] == sent


def document(content):
    """Of a message with this content."""
    messages, _ = check_indexes(declared("index/indexes.py", "indexes").INDEXES)
    return messages.document(Image(encode_item({"pk": "p", "sk": "s", "id": "m", "content": content})))


def test_an_attachment_of_any_depth_is_left_out_of_the_document():
    long, deep = "x" * 40_000, {"parts": [{"type": "file", "data": "x" * 40_000, "of": [["x" * 40_000, "kept"]]}]}
    content = {"parts": [{"type": "text", "text": "hello"}, {"type": "file", "data": long}], "metadata": {"deep": deep}}
    found = document(json.dumps(content))
    assert found["content"] == {
        "parts": [{"type": "text", "text": "hello"}, {"type": "file"}],
        "metadata": {"deep": {"parts": [{"type": "file", "of": [["kept"]]}]}},
    }
    assert found["text"] == "hello"
    assert len(str(found)) < LONGEST


@pytest.mark.parametrize("content", ["only text", "[1, 2]", "5"])
def test_a_message_without_a_json_object_is_found_by_its_text(content):
    found = document(content)
    assert found["text"] == content
    assert "content" not in found


def test_numbers_inside_a_message_keep_their_digits():
    exact = "0.1234567890123456789"
    assert orjson.dumps(document(f'{{"mood": {exact}}}')["content"]) == f'{{"mood":{exact}}}'.encode()
