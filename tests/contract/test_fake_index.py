"""The fake index keeps OpenSearch's rules: the same tests run on it, on osmem-server, and on a real node."""

import json
import time
import uuid
from contextlib import suppress

import pytest
from opensearchpy.exceptions import NotFoundError, RequestError

from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Status
from distributary.errors import ConfigError, Unavailable
from distributary.index import Entity, Index
from distributary.index.opensearch.bulk import Action, Bulk
from distributary.index.opensearch.bulk_errors import Refused
from distributary.index.opensearch.connect import connect
from distributary.index.opensearch.purge import purge
from distributary.index.opensearch.reader import find, refresh, visible
from distributary.index.opensearch.schema import apply, definition
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

    def one(id, version, document, alias=None, version_type="external_gte"):
        header = {
            "_index": alias or index.write_alias(0),
            "_id": id,
            "version": version,
            "version_type": version_type,
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


def test_a_missing_field_is_the_deployment_s_a_nested_one_the_document_s_fault(client, index):
    kept = wider(index, more={"type": "object", "dynamic": "strict", "properties": {"a": {"type": "keyword"}}})
    if isinstance(client, OpenSearch):
        pytest.skip("the fake knows no objects")
    apply(client, kept, 0)
    assert outcome(client, kept, {"unknown": 1}).status is Status.FAILED
    assert "distributary index apply" in outcome(client, kept, {"unknown": 1}).cause
    assert outcome(client, kept, {"more": {"unknown": 1}}).status is Status.PARKED
    assert outcome(client, kept, {"more": {"x] within [_doc": {"y": 1}}}).status is Status.PARKED


def outcome(client, index, document, **header):
    """Of one document, sent as the branch sends it."""
    place = {"_index": index.write_alias(0), "_id": "a", "version": 1, "version_type": "external_gte", **header}
    lines = f"{json.dumps({'index': place | {'require_alias': True}})}\n{json.dumps(document)}\n".encode()
    (end,) = Bulk(client).send([Action("a", lines)], Deadline(time.monotonic() + 10))
    return end


@pytest.mark.opensearch
def test_a_missing_pipeline_is_the_deployment_s_fault(opensearch_url, index):
    """Only on a node: osmem knows no pipelines."""
    node = connect(opensearch_url, "none")
    apply(node, index, 0)
    end = outcome(node, index, {"word": "x"}, pipeline="nowhere")
    assert end.status is Status.FAILED
    assert "pipeline is missing" in end.cause


@pytest.mark.opensearch
@pytest.mark.parametrize("block", ["blocks.write", "blocks.read_only_allow_delete"])
def test_a_block_fails_with_its_mend_and_parks_nothing(opensearch_url, index, block):
    node = connect(opensearch_url, "none")
    apply(node, index, 0)
    node.indices.put_settings(index=index.physical(0), body={f"index.{block}": True})
    end = outcome(node, index, {"word": "x"})
    assert end.status is Status.FAILED
    assert "blocked for writing" in end.cause
    node.indices.put_settings(index=index.physical(0), body={f"index.{block}": None})
    assert outcome(node, index, {"word": "x"}).status is Status.APPLIED


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


def wider(index, **fields):
    """The same index with other fields."""
    declared = {**index.fields, **fields}
    entity = Entity(name="thing", keys=("id",), attributes=tuple(declared))
    return Index(name=index.name, of=entity, id="{id}", fields=declared)


class Noting:
    """A client, with the names of the calls that change something."""

    def __init__(self, client):
        self._client, self.changed = client, []
        self.indices = self

    def __getattr__(self, name):
        if name in ("create", "put_mapping", "put_settings", "update_aliases", "index", "delete", "bulk"):
            self.changed.append(name)
        own = name in ("index", "delete", "bulk", "get_many")
        return getattr(self._client if own else self._client.indices, name)


def test_the_schema_is_made_once_and_a_second_time_nothing_is_done(client, index):
    assert "made" in apply(client, index, 0)
    noting = Noting(client)
    assert "found as declared" in apply(noting, index, 0)
    assert noting.changed == []
    assert "made" in apply(client, index, 1)
    assert documents(client, index) == {}


def test_what_a_deployment_that_died_left_undone_is_done(client, index):
    client.indices.create(index=index.physical(0), body=definition(index))
    noting = Noting(client)
    apply(noting, index, 0)
    assert noting.changed == ["bulk", "index", "index", "delete", "update_aliases"]


def test_a_new_field_is_added_and_a_changed_type_asks_for_a_new_generation(client, index):
    apply(client, index, 0)
    assert "brought up" in apply(client, wider(index, more={"type": "keyword"}), 0)
    with pytest.raises(ConfigError, match=r"field 'count' is long in '.*', keyword declared; raise Generation"):
        apply(client, wider(index, count={"type": "keyword"}), 0)


def test_what_opensearch_itself_will_not_change_asks_for_a_new_generation(client, index):
    apply(client, wider(index, more={"type": "keyword", "doc_values": True}), 0)
    if isinstance(client, OpenSearch):
        pytest.skip("the fake knows a field's type alone")
    with pytest.raises(ConfigError, match=r"cannot become what is declared: .*raise Generation"):
        apply(client, wider(index, more={"type": "keyword", "doc_values": False}), 0)


def test_settings_that_cannot_change_ask_for_a_new_generation(client, index):
    def template(shards, refresh):
        return {"settings": {"number_of_shards": shards, "refresh_interval": refresh}}

    apply(client, index, 0, template(2, "2s"))
    assert "brought up" in apply(client, index, 0, template(2, "3s"))
    assert "found as declared" in apply(client, index, 0, template(2, "3s"))
    with pytest.raises(ConfigError, match="other settings among analysis, number_of_shards"):
        apply(client, index, 0, template(1, "3s"))


def test_a_field_beside_the_declaration_is_mapped_as_the_template_says(client, index, write):
    template = {"mappings": {"properties": {"added": {"type": "keyword"}}}}
    apply(client, index, 1, template)
    alias = index.write_alias(1)
    assert write("a", 1, {"added": "by a pipeline"}, alias=alias)["status"] == 201
    assert write("b", 1, {"more": "by nobody"}, alias=alias)["status"] == 400


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        ({"aliases": {}}, "'aliases' is neither settings nor mappings"),
        ({"mappings": {"properties": {"word": {"type": "text"}}}}, "'word' is declared in indexes.py"),
        ({"mappings": {"properties": {"distributary_deleted_at": {"type": "text"}}}}, "is declared in indexes.py"),
    ],
)
def test_a_template_that_contradicts_the_declaration_is_refused_first(client, index, template, fault):
    with pytest.raises(ConfigError, match=fault):
        apply(client, index, 0, template)
    assert not client.indices.exists(index=index.physical(0))


class Forgetful:
    """An engine that takes an external version and keeps none, or that takes none."""

    def __init__(self, client, error=None):
        self._client, self._error, self.indices = client, error, client.indices

    def index(self, **arguments):
        if self._error:
            raise self._error

    def __getattr__(self, name):
        return getattr(self._client, name)


@pytest.mark.parametrize(
    ("error", "words"),
    [(None, "does not keep them"), (RequestError(400, "illegal_argument_exception", {}), "takes no external versions")],
)
def test_an_engine_that_keeps_no_versions_gets_no_alias_to_write_to(client, index, error, words):
    for _ in range(2):
        with pytest.raises(ConfigError, match=words):
            apply(Forgetful(client, error), index, 0)
    assert not client.indices.exists_alias(name=index.write_alias(0))
    assert not client.indices.exists_alias(name=index.name)


DAY = 86_400
NOW = 1_800_000_000


def marker(days):
    return {"distributary_deleted_at": NOW - days * DAY}


def test_the_purge_takes_old_markers_and_neither_young_ones_nor_documents(client, index, write):
    write("old", 9, marker(9))
    write("young", 9, marker(7))
    write("alive", 9, {"word": "x"})
    client.indices.refresh(index=index.physical(0))
    purged = purge(client, index.write_alias(0), NOW - 8 * DAY, Deadline(time.monotonic() + 30))
    assert (purged.deleted, purged.conflicts, purged.whole) == (1, 0, True)
    assert write("young", 5, {"word": "late"})["status"] == 409
    assert write("old", 5, {"word": "beyond the horizon"})["status"] in (201, 409)
    assert documents(client, index)["alive"] == {"word": "x"}
    assert purge(client, index.write_alias(0), NOW - 8 * DAY, Deadline(time.monotonic() + 30)).deleted == 0


def test_the_purge_ends_with_its_time(client, index, write):
    write("old", 9, marker(9))
    client.indices.refresh(index=index.physical(0))
    purged = purge(client, index.write_alias(0), NOW - 8 * DAY, Deadline(0.0))
    assert (purged.deleted, purged.whole) == (0, False)


class Meanwhile:
    """A client whose searches are followed by something before anybody acts on what was found."""

    def __init__(self, client, happens):
        self._client, self._happens = client, happens

    def __getattr__(self, name):
        return getattr(self._client, name)

    def search(self, **arguments):
        found = self._client.search(**arguments)
        self._happens()
        return found


def test_a_document_that_came_back_to_life_is_not_purged(client, index, write):
    """Not even between the purge's search and its delete, and at whatever version."""
    for version in (9, 12):
        write("a", 9, marker(9))
        lives = Meanwhile(client, lambda v=version: write("a", v, {"word": "alive again"}))
        purged = purge(lives, index.write_alias(0), NOW - 8 * DAY, Deadline(time.monotonic() + 30))
        assert (purged.deleted, purged.conflicts, purged.whole) == (0, 1, False)
        assert documents(client, index) == {"a": {"word": "alive again"}}


def test_a_marker_that_is_gone_already_is_as_good_as_purged(client, index, write):
    write("a", 9, marker(9))
    gone = Meanwhile(client, lambda: client.delete(index=index.physical(0), id="a"))
    with suppress(NotFoundError, KeyError):
        purge(gone, index.write_alias(0), NOW - 8 * DAY, Deadline(time.monotonic() + 30))
    assert documents(client, index) == {}


def test_a_purge_that_is_refused_says_so(client, index, write):
    class Refusing(Meanwhile):
        def bulk(self, **_):
            raise Refused(429, "rejected_execution_exception")

    write("a", 9, marker(9))
    with pytest.raises(Unavailable, match="429 rejected"):
        purge(Refusing(client, lambda: None), index.write_alias(0), NOW - 8 * DAY, Deadline(time.monotonic() + 30))


def test_a_repairs_version_loses_to_the_same_one_and_wins_over_an_older_one(client, index, write):
    write("a", 7, {"word": "x"})
    assert write("a", 7, {"word": "y"}, version_type="external")["status"] == 409
    assert write("a", 8, {"word": "y"}, version_type="external")["status"] == 200
    assert write("b", 1, {"word": "y"}, version_type="external")["status"] == 201


def test_documents_are_found_by_id_with_their_versions(client, index, write):
    write("a", 7, {"word": "x"})
    found = find(client, index.physical(0), [("a", None), ("b", None)])
    assert {id: (each.version, dict(each.body)) for id, each in found.items()} == {"a": (7, {"word": "x"})}


def test_a_scan_shows_every_document_once_but_for_markers(client, index, write):
    for at in range(7):
        write(f"d{at}", at + 1, {"word": "x"})
    write("gone", 9, {"distributary_deleted_at": 1})
    refresh(client, index.physical(0))
    pages = [page for slice in range(2) for page in visible(client, index.physical(0), slice, 2)]
    assert sorted((each.id, each.version) for page in pages for each in page) == [(f"d{at}", at + 1) for at in range(7)]
