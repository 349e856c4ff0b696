"""What a field's writer lets through, the engine takes; what it refuses, the engine would have refused or rounded."""

import uuid
from decimal import Decimal

import orjson
import pytest

from distributary.errors import Rejected
from distributary.index import Entity, Index
from distributary.index.field_writers import plain, writer
from distributary.index.opensearch.connect import connect
from distributary.index.opensearch.schema import apply

DIGITS = Decimal("12345678901234567890123456789012345678")


def named(value):
    """The same in every process, whatever order a set has there."""
    if isinstance(value, frozenset):
        value = sorted(value)
    return "huge" if isinstance(value, int) and value > 10**40 else repr(value)[:40]


@pytest.fixture(params=["osmem", pytest.param("node", marks=pytest.mark.opensearch)])
def client(request):
    if request.param == "osmem":
        return connect(request.getfixturevalue("emulators").opensearch, "none")
    return connect(request.getfixturevalue("opensearch_url"), "none")


def status(client, mapping, value):
    """Of one document whose field `f` is the value."""
    entity = Entity(name="thing", keys=("id",), attributes=("f",))
    index = Index(name=f"t{uuid.uuid4().hex[:8]}", of=entity, id="{id}", fields={"f": mapping})
    apply(client, index, 0)
    header = {"index": {"_index": index.write_alias(0), "_id": "a", "version": 1, "version_type": "external_gte"}}
    body = orjson.dumps(header) + b"\n" + orjson.dumps({"f": value}) + b"\n"
    return client.bulk(body=body, request_timeout=10)["items"][0]["index"]["status"]


@pytest.mark.parametrize(
    ("mapping", "value"),
    [
        ({"type": "long"}, Decimal(2**63 - 1)),
        ({"type": "long"}, Decimal(-(2**63))),
        ({"type": "byte"}, Decimal(-128)),
        ({"type": "double"}, DIGITS),
        ({"type": "double"}, Decimal("9.99E+125")),
        ({"type": "float"}, Decimal("3.4E+38")),
        ({"type": "half_float"}, Decimal(65_504)),
        ({"type": "keyword"}, "x" * 32_766),
        ({"type": "keyword"}, DIGITS),
        ({"type": "keyword"}, frozenset({Decimal(1), Decimal(2)})),
        ({"type": "keyword", "ignore_above": 256}, "x" * 40_000),
        ({"type": "keyword", "index": False, "doc_values": False}, "x" * 40_000),
        ({"type": "text"}, "x" * 40_000),
        ({"type": "text", "fields": {"exact": {"type": "keyword", "ignore_above": 256}}}, "x" * 40_000),
        ({"type": "boolean"}, True),
        ({"type": "binary"}, b"\x00\xff"),
        ({"type": "date"}, "2026-11-23T01:02:03.004Z"),
        ({"type": "date"}, Decimal(1_795_341_600_000)),
        ({"type": "date", "format": "epoch_second"}, Decimal(1_795_341_600)),
        ({"type": "object", "properties": {"n": {"type": "long"}}}, {"n": Decimal(1)}),
        ({"type": "object", "enabled": False}, {"n": DIGITS}),
        ({"type": "nested", "properties": {"t": {"type": "keyword"}}}, [{"t": "a"}, {"t": "b"}]),
        ({"type": "long"}, None),
    ],
    ids=named,
)
def test_what_is_written_is_taken(client, mapping, value):
    assert status(client, mapping, writer("f", mapping)(value)) == 201


REFUSED = [
    ({"type": "long"}, 10**30),
    ({"type": "byte"}, 128),
    ({"type": "half_float"}, 65_600),
    ({"type": "keyword"}, {"a": 1}),
    ({"type": "text"}, {"a": 1}),
    ({"type": "boolean"}, 1),
    ({"type": "date", "format": "strict_date"}, 1_795_341_600),
]
ONLY_ON_A_NODE = [
    ({"type": "keyword"}, "x" * 32_767),
    ({"type": "text", "fields": {"exact": {"type": "keyword"}}}, "x" * 32_767),
    ({"type": "float"}, 1e39),
]
"""Where osmem differs: it takes keywords of any size and floats beyond their range."""


@pytest.mark.parametrize(("mapping", "value"), [*REFUSED, *ONLY_ON_A_NODE], ids=named)
def test_what_is_rejected_here_the_engine_would_refuse(request, client, mapping, value):
    with pytest.raises(Rejected):
        writer("f", mapping)(value)
    if (mapping, value) in REFUSED or "node" in request.node.callspec.id:
        assert status(client, mapping, plain(value)) == 400
