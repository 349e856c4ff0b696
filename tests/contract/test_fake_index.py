"""The fake index keeps OpenSearch's rules: the same tests run on it, on osmem-server, and on a real node."""

import json
import uuid

import pytest

from distributary.errors import ConfigError
from distributary.indexes import Index
from distributary.search.connect import connect
from distributary.search.refusals import Refused
from distributary.search.schema import apply
from distributary.views import Entity
from tests.fakes.opensearch import OpenSearch

FIELDS = {
    "word": {"type": "keyword"},
    "text": {"type": "text"},
    "count": {"type": "long"},
    "bytes": {"type": "binary"},
}


@pytest.fixture(params=["fake", "osmem", pytest.param("node", marks=pytest.mark.opensearch)])
def client(request):
    match request.param:
        case "fake":
            return OpenSearch()
        case "osmem":
            return connect(request.getfixturevalue("emulators").opensearch, "none")
    return connect(request.getfixturevalue("opensearch_url"), "none")


@pytest.fixture
def index():
    entity = Entity(name="thing", keys=("id",), attributes=tuple(FIELDS))
    return Index(name=f"t{uuid.uuid4().hex[:8]}", of=entity, id="{id}", fields=FIELDS)


@pytest.fixture
def write(client, index):
    apply(client, index, 0)

    def one(id, version, document, alias=None):
        header = {
            "_index": alias or index.write_alias(0),
            "_id": id,
            "version": version,
            "version_type": "external_gte",
            "require_alias": True,
        }
        body = f"{json.dumps({'index': header})}\n{json.dumps(document)}\n".encode()
        (item,) = client.bulk(body=body, request_timeout=5)["items"]
        return item["index"]

    return one


def documents(client, index):
    client.indices.refresh(index=index.physical(0))
    hits = client.search(index=index.name, body={"size": 100})["hits"]["hits"]
    return {hit["_id"]: hit["_source"] for hit in hits}


def test_a_newer_version_replaces_and_an_older_one_conflicts(client, index, write):
    assert write("a", 5, {"word": "first"})["status"] == 201
    assert write("a", 6, {"word": "newer"})["status"] == 200
    late = write("a", 4, {"word": "older"})
    assert (late["status"], late["error"]["type"]) == (409, "version_conflict_engine_exception")
    assert documents(client, index) == {"a": {"word": "newer"}}


def test_at_the_same_version_the_later_arrival_wins(client, index, write):
    write("a", 2**63 - 1, {"word": "first"})
    assert write("a", 2**63 - 1, {"word": "second"})["status"] == 200
    assert documents(client, index) == {"a": {"word": "second"}}


def test_a_marker_is_hidden_and_a_late_document_does_not_come_back(client, index, write):
    write("a", 5, {"word": "alive"})
    write("a", 9, {"distributary_deleted_at": 1795341600})
    assert write("a", 5, {"word": "alive"})["status"] == 409
    assert documents(client, index) == {}


def test_writing_where_no_alias_stands_is_refused(client, index, write):
    for name in (index.physical(0), "nowhere-write"):
        refused = write("a", 1, {"word": "x"}, alias=name)
        assert (refused["status"], refused["error"]["type"]) == (404, "index_not_found_exception")
    assert documents(client, index) == {}


@pytest.mark.parametrize(
    "document",
    [{"unknown": 1}, {"count": "x"}, {"count": 10**25}, {"word": {"a": 1}}, {"text": {"a": 1}}],
    ids=str,
)
def test_a_document_that_the_mapping_refuses_fails_alone(client, index, write, document):
    assert write("a", 1, document)["status"] == 400
    assert write("b", 1, {"word": "neighbour"})["status"] == 201
    assert documents(client, index) == {"b": {"word": "neighbour"}}


def test_declared_types_are_kept(client, index, write):
    document = {"word": ["a", "b"], "text": "x", "count": 2**63 - 1, "bytes": "AP8="}
    assert write("a", 1, document)["status"] == 201
    assert write("b", 1, {"word": None, "count": "12"})["status"] == 201
    assert documents(client, index) == {"a": document, "b": {"word": None, "count": "12"}}


@pytest.mark.parametrize(("id", "version"), [("x" * 513, 1), ("a", 2**63)], ids=["long id", "large version"])
def test_a_faulty_header_fails_the_whole_request(client, index, write, id, version):
    with pytest.raises(Refused) as caught:
        write(id, version, {"word": "x"})
    assert caught.value.status_code == 400


def test_the_schema_is_made_once_and_found_again(client, index):
    assert "made" in apply(client, index, 0)
    assert "found" in apply(client, index, 0)
    assert "made" in apply(client, index, 1)


def test_a_new_field_is_added_and_a_changed_type_asks_for_a_new_generation(client, index):
    apply(client, index, 0)
    entity = Entity(name="thing", keys=("id",), attributes=(*FIELDS, "more"))
    wider = Index(name=index.name, of=entity, id="{id}", fields={**FIELDS, "more": {"type": "keyword"}})
    assert "found" in apply(client, wider, 0)
    changed = Index(name=index.name, of=entity, id="{id}", fields={**FIELDS, "count": {"type": "keyword"}})
    with pytest.raises(ConfigError, match="raise Generation"):
        apply(client, changed, 0)
