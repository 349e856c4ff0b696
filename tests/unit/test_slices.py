"""What a request carries as the text that was received is what the decoded item would have put there."""

import json

import msgspec
import pytest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from distributary.consumer.deadline import FOREVER
from distributary.dynamodb.client import DynamoDBClient
from distributary.errors import Rejected
from distributary.replicate.declarations import Mirror
from distributary.stream import records as stream_records
from distributary.stream import stream_event
from distributary.stream.change import REPLICA_VERSION, Change, Image
from distributary.stream.codec import decode_item, encode_item
from distributary.stream.entity import Entity, concerns
from distributary.stream.predicates import key_prefix
from tests.fakes.built import FAR, mirror
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.dynamodb_server import serving
from tests.selection import examples
from tests.unit.records import event, stream_record
from tests.unit.strategies import as_event, items
from tests.unit.test_hostile_bytes import body_of, images, once

COMPACT = {"separators": (",", ":"), "ensure_ascii": False}


def image_of(body):
    """The new image of the first change, None if the event is not read as bytes or that record is no change."""
    made = stream_event.read(body, "aws:dynamodb", json.loads)
    first = None if made is None else stream_records.decode(made, 0)[0]
    return first.new if isinstance(first, Change) else None


def with_attributes(spelled):
    """An image that has these members, in their own spelling, after its key."""
    return image_of(body_of(spelled, "", **COMPACT))


def sent(row):
    """The row as it stands in a request, with its names in order; no name is twice in an object."""
    written = msgspec.json.encode({**row, REPLICA_VERSION: {"S": "ours"}})
    return json.loads(written.decode(), object_pairs_hook=once)


WHOLE = Mirror()


def agrees(image, declared=WHOLE):
    """Whether the row of slices says what the decoded one says. Checks it if there is one."""
    slices = image.slices()
    if slices is None:
        return False
    assert list(slices) == list(image.raw)
    assert sent(slices) == sent(image.raw)
    try:
        plain = declared.row(image)
    except Rejected:
        return True
    taken = json.loads(msgspec.json.encode(declared.row(image, sliced=True)))
    assert decode_item(taken) == decode_item(plain)
    assert [*taken] == [*plain] or declared.mask
    return True


@settings(max_examples=examples(150))
@given(items)
def test_an_items_slices_are_what_its_decoded_attributes_would_be(item):
    encoded = encode_item({name: value for name, value in item.items() if name != "user_id"})
    record = stream_record(new={name: as_event(value) for name, value in encoded.items()})
    assert agrees(image_of(json.dumps(event(record), **COMPACT).encode()))


@settings(max_examples=examples(200))
@given(images)
def test_any_spelling_is_carried_as_it_decodes_or_not_at_all(spelled):
    if (image := with_attributes(spelled)) is not None:
        agrees(image)


CARRIED = [
    '"x":{"S":"é🌊\u2028\x7f"}',
    '"x":{"S":""}',
    '"x":{"S":"\\"\\\\\\n"}',
    '"":{"S":"nameless"}',
    '"x":{"N":"1.50"},"y":{"N":"-1E-130"},"z":{"N":"12345678901234567890123456789012345678"}',
    '"x":{"B":"AA=="},"y":{"BS":["AA==",""]}',
    '"x":{"BOOL":true},"y":{"NULL":true}',
    '"x":{"SS":["a","b"]},"y":{"NS":["1","1.0"]}',
    '"x":{"M":{}},"y":{"L":[]}',
    '"x":{"M":{"S":{"S":"S"},"M":{"M":{}},"a b":{"L":[{"N":"1"}]}}}',
    '"x":{"L":[' * 1 + '{"L":[' * 30 + '{"S":"deep"}' + "]}" * 31,
    f'"{REPLICA_VERSION}":{{"S":"theirs"}},"x":{{"S":"y"}}',
]


@pytest.mark.parametrize("spelled", CARRIED)
def test_what_a_table_holds_is_carried_as_text(spelled):
    assert agrees(with_attributes(spelled))


NOT_CARRIED = [
    '"x":{"S":"a","S":"b"}',
    '"x":{"S":"a"},"x":{"S":"b"}',
    '"x":{"M":{"a":{"S":"1"},"a":{"S":"2"}}}',
    f'"{REPLICA_VERSION}":{{"S":"1"}},"{REPLICA_VERSION}":{{"S":"2"}}',
    '"x":{"S":"\\u00e9"}',
    '"\\u0078":{"S":"y"}',
    '"x":{"S":1}',
    '"x":{"N":1}',
    '"x":{"?":"y"}',
    '"x":{"S":"y","?":1}',
    '"x":{"S":null}',
    '"x":{"SS":"a"}',
    '"x":{"M":{"a":"b"}}',
    '"x":"y"',
    '"x":{"S": "y"}',
]


@pytest.mark.parametrize("spelled", NOT_CARRIED)
def test_what_may_say_something_else_is_carried_decoded(spelled):
    image = with_attributes(spelled)
    assert image is not None
    assert image.slices() is None


def test_an_event_with_a_lone_surrogate_is_carried_decoded():
    body = body_of('"x":{"S":"\\ud800"}', "", **COMPACT)
    assert stream_event.read(body, "aws:dynamodb", json.loads) is None


def test_bytes_that_are_no_utf_8_are_never_carried():
    spelled = f'"x":{{"S":"HERE"}},"long":{{"S":"{"p" * 2000}"}}'
    image = image_of(body_of(spelled, "", **COMPACT).replace(b"HERE", b"\xff\xfe"))
    assert image.slices() is None


def test_an_image_that_was_not_received_as_text_has_no_slices():
    assert Image({"x": {"S": "y"}}).slices() is None


def test_a_mirror_drops_and_masks_what_it_carries_as_text():
    of = Entity(name="user", keys=("user_id",), attributes=("secret", "email", "absent"))
    declared = Mirror(of=of, drop=("secret",), mask={"email": lambda value: f"{value[:1]}-", "absent": lambda _: "x"})
    image = with_attributes('"secret":{"S":"s"},"email":{"S":"é@x"},"more":{"N":"1"}')
    assert agrees(image, declared)
    row = declared.row(image, sliced=True)
    assert (row["email"], "secret" in row, "absent" in row) == ({"S": "é-"}, False, False)
    assert type(row["more"]) is msgspec.Raw


def test_a_mask_that_fails_rejects_what_is_carried_as_text():
    of = Entity(name="user", keys=("user_id",), attributes=("email",))
    declared = Mirror(of=of, mask={"email": lambda value: value / 2})
    with pytest.raises(Rejected, match="mask 'email'"):
        declared.row(with_attributes('"email":{"S":"x"}'), sliced=True)


def regions():
    """A mirror over our own client and a socket, with its table; and one over boto3's operations, with its own."""
    schemas = {"users": {"user_id": "S"}, "tombstones": {"id": "S"}}
    text, plain = DynamoDB(schemas), DynamoDB(schemas)
    with serving(text) as server:
        own = DynamoDBClient(server.url, FAR, lambda: ReadOnlyCredentials("a", "b", None), 16, read_seconds=10)
        yield mirror(own, replica_table="users"), text
        yield mirror(plain, replica_table="users"), plain


@settings(max_examples=examples(25), deadline=None)
@given(st.lists(st.tuples(items, st.sampled_from(["INSERT", "MODIFY", "REMOVE"])), min_size=1, max_size=5))
def test_a_replica_of_text_has_what_a_replica_of_decoded_items_has(history):
    records = []
    for place, (item, kind) in enumerate(history):
        encoded = encode_item({name: value for name, value in item.items() if name != "user_id"})
        new = {name: as_event(value) for name, value in encoded.items()}
        records.append(stream_record(place, kind=kind, user=f"u-{place % 2}", new=new, old=new))
    body = json.dumps(event(*records), **COMPACT).encode()
    found = []
    for branch, table in regions():
        changes = stream_records.decode(stream_event.read(body, "aws:dynamodb", json.loads), 0)
        found.append(([end.status for end in branch.apply(changes, FOREVER)], table.state))
    assert [branch.sliced for branch, _ in regions()] == [True, False]
    assert found[0] == found[1]


@given(st.integers(0, 5))
def test_the_versions_attribute_is_ours_whatever_the_item_brought(more):
    spelled = ",".join([f'"{REPLICA_VERSION}":{{"S":"theirs"}}', *[f'"x{i}":{{"N":"{i}"}}' for i in range(more)]])
    written = dict(sent(with_attributes(spelled).slices()))
    assert written[REPLICA_VERSION] == [("S", "ours")]


def told(where, change):
    entity = Entity(name="user", keys=("user_id",), where=where)
    return concerns(change, entity.claims, entity.claims)


@pytest.mark.parametrize(
    ("where", "concerned", "read"),
    [
        (key_prefix("user_id", "order#"), False, False),
        (lambda item: item["user_id"] == "order" and item["x"] == "y", False, False),
        (key_prefix("user_id", "u-"), True, False),
        (lambda item: item.get("x") == "before", True, True),
        (lambda item: item.get("x") == "never", False, True),
    ],
)
def test_an_old_image_is_read_only_if_the_key_leaves_it_open(where, concerned, read):
    body = body_of('"x":{"S":"now"}', '"x":{"S":"before"}', **COMPACT)
    change = stream_records.decode(stream_event.read(body, "aws:dynamodb", json.loads), 0)[0]
    assert (told(where, change), change.old._parts is not None) == (concerned, read)
