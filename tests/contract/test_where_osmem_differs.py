"""Where osmem-server differs from OpenSearch, so that what it cannot show is shown on a real node: docs/osmem.md.

Each test runs on both and says what either does. The osmem half keeps the list honest: it turns red when osmem learns.
"""

import re
import uuid
from pathlib import Path

import pytest
from opensearchpy.exceptions import TransportError

from distributary.index.opensearch.connect import connect

LIST = Path(__file__).resolve().parents[2] / "docs" / "osmem.md"


@pytest.fixture(params=["osmem", pytest.param("node", marks=pytest.mark.opensearch)])
def engine(request):
    return request.param


@pytest.fixture
def client(request, engine):
    if engine == "osmem":
        return connect(request.getfixturevalue("emulators").opensearch, "none")
    return connect(request.getfixturevalue("opensearch_url"), "none")


@pytest.fixture
def name(client):
    name = f"d{uuid.uuid4().hex[:8]}"
    yield name
    client.indices.delete(index=name, params={"ignore_unavailable": "true"})


def made(client, name, settings=None, **properties):
    client.indices.create(index=name, body={"settings": settings or {}, "mappings": {"properties": properties}})


def status(call, **arguments):
    """Of a call: 200 or 201 as it answers, or its error's."""
    try:
        answer = call(**arguments)
    except TransportError as error:
        return error.status_code
    return 201 if isinstance(answer, dict) and answer.get("result") == "created" else 200


def versioned(client, name, version, **document):
    params = {"version": version, "version_type": "external_gte"}
    return status(client.index, index=name, id="1", body=document, params=params)


def test_refresh(client, engine, name):
    made(client, name, {"index": {"refresh_interval": "-1"}}, a={"type": "long"})
    client.index(index=name, id="1", body={"a": 1})
    assert client.count(index=name)["count"] == {"osmem": 1, "node": 0}[engine]
    client.indices.refresh(index=name)
    assert client.count(index=name)["count"] == 1


def test_immense_terms(client, engine, name):
    made(client, name, a={"type": "keyword"})
    assert versioned(client, name, 1, a="x" * 32_767) == {"osmem": 201, "node": 400}[engine]


def test_shard_doc(client, engine, name):
    made(client, name, a={"type": "long"})
    request = client.transport.perform_request
    pit = request("POST", f"/{name}/_search/point_in_time", params={"keep_alive": "1m"})["pit_id"]
    body = {"pit": {"id": pit, "keep_alive": "1m"}, "sort": [{"_shard_doc": "asc"}]}
    assert status(client.search, body=body) == {"osmem": 200, "node": 400}[engine]


def test_reroute(client, engine, name):
    made(client, name, a={"type": "long"})
    assert (status(client.cluster.reroute, body={"commands": []}) == 200) is (engine == "node")


def test_unknown_settings(client, engine, name):
    with pytest.raises(TransportError) as caught:
        made(client, name, {"index": {"nonsense": 1}})
    assert caught.value.error == {"osmem": "settings_exception", "node": "illegal_argument_exception"}[engine]


def test_every_difference_of_the_list_has_its_test_and_every_test_its_line():
    listed = re.findall(r"`(test_\w+)`", LIST.read_text())
    here = [name for name in globals() if name.startswith("test_") and not name.startswith("test_every")]
    restarts = "test_a_deleted_document_stays_dead_over_a_flush_and_a_restart"
    assert sorted(listed) == sorted([*here, restarts])
    assert restarts in (LIST.parents[1] / "tests/contract/test_index_across_restarts.py").read_text()
