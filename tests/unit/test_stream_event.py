"""What is read from the event's bytes is what the runtime's own decoding would have given."""

import copy
import json
import pickle
import random

import msgspec
import orjson
import pytest
import simplejson
from hypothesis import given
from hypothesis import strategies as st

from distributary.consumer.consume import consume
from distributary.consumer.outcome import APPLIED, parked
from distributary.consumer.streams import Streams
from distributary.errors import ConfigError, Rejected
from distributary.stream import records as stream_records
from distributary.stream import stream_event
from distributary.stream.change import Change, Image, Undecodable
from distributary.stream.codec import encode_item
from distributary.stream.raw_image import RawImage, image_of
from tests.unit.branches import Bucket, Context, Ledger, deployment
from tests.unit.broken_records import broken
from tests.unit.records import ARN, event, stream_record
from tests.unit.strategies import as_event, items

SOURCE = "aws:dynamodb"
FED = [{}, {"distributary": {"origin": "snapshot"}}, {"distributary": {"origin": "snapshot", "first_fill": True}}]
"""What says of a record that it is a stream's, or what a table held, or that into an empty branch."""


def read(body):
    return stream_event.read(body, SOURCE, simplejson.loads)


def text(*records, **style):
    return json.dumps(event(*records), **style).encode()


def whole(body):
    return stream_records.decode(simplejson.loads(body), 0)


def told(entry):
    """All that an entry tells, its images as DynamoDB JSON and as values."""
    if not isinstance(entry, Change):
        return entry
    images = [told_of(entry.keys), told_of(entry.old), told_of(entry.new)]
    return (*entry._replace(keys=None, old=None, new=None, record=None), images, dict(entry.record))


def told_of(image):
    return image and (list(image), len(image), [valued(image, name) for name in image], image.raw, repr(image))


def valued(image, name):
    try:
        return image[name], image.typed(name), name in image
    except Rejected as error:
        return str(error), error.detail


def of_slices(body):
    read_once = read(body)
    assert read_once is not None
    return stream_records.decode(read_once, 0)


@given(st.lists(st.tuples(items, items), min_size=1, max_size=4), st.booleans(), st.sampled_from([None, 1]))
def test_slices_tell_what_the_whole_event_tells(pairs, escaped, indent):
    records = [
        stream_record(place, kind="MODIFY", new=typed(new), old=typed(old)) for place, (new, old) in enumerate(pairs)
    ]
    body = text(*records, ensure_ascii=escaped, indent=indent)
    found = of_slices(body)
    assert [told(entry) for entry in found] == [told(entry) for entry in whole(body)]
    assert all(isinstance(entry.new, RawImage) for entry in found) or indent


def typed(item):
    encoded = encode_item({name: value for name, value in item.items() if name != "user_id"})
    return {name: as_event(value) for name, value in encoded.items()}


@given(st.lists(st.tuples(items, st.sampled_from(FED)), min_size=1, max_size=4))
def test_the_slices_of_what_a_table_held_tell_what_the_whole_event_tells(given):
    records = [stream_record(place, new=typed(new), **note) for place, (new, note) in enumerate(given)]
    body = text(*records)
    found, expected = of_slices(body), whole(body)
    assert [told(entry) for entry in found] == [told(entry) for entry in expected]
    assert [entry.first_fill for entry in found] == [entry.first_fill for entry in expected]
    assert all(isinstance(entry.new, RawImage) for entry in found)


def test_whether_a_record_is_of_a_first_fill_is_told_without_decoding_it():
    def decodes(_):
        raise AssertionError("a record was decoded")

    body = text(*(stream_record(place, **note) for place, note in enumerate(FED)))
    found = stream_records.decode(stream_event.read(body, SOURCE, decodes), 0)
    assert [entry.first_fill for entry in found] == [False, False, True]


@pytest.mark.parametrize("seed", range(10))
def test_a_broken_record_ends_the_same_by_its_slices_and_as_a_whole(seed):
    chance, by_slices = random.Random(seed), 0
    for _ in range(200):
        body = text(stream_record(), broken(chance))
        if (read_once := read(body)) is None:
            continue
        by_slices += 1
        found, expected = stream_records.decode(read_once, 0), whole(body)
        assert [repr(told(entry)) for entry in found] == [repr(told(entry)) for entry in expected]
    assert by_slices > 50


def test_the_records_of_several_streams_keep_each_its_own_generation():
    arns = [ARN, "a:table/old/stream/1", ARN, "a:table/unknown/stream/1", "a:table/old/stream/1", None, 7]
    body = text(*[stream_record(place, eventSourceARN=arn) for place, arn in enumerate(arns)], stream_record(9))
    streams = Streams(0, {ARN: 3, "a:table/old/stream/1": 1})
    found = stream_records.decode(read(body), streams.of_batch())
    expected = stream_records.decode(simplejson.loads(body), streams.of_batch())
    assert [told(entry) for entry in found] == [told(entry) for entry in expected]
    assert [entry.version // 10**40 for entry in found if isinstance(entry, Change)] == [3, 1, 3, 1, 3]


def test_a_sink_of_a_later_release_stops_the_function():
    def later(stream):
        raise ConfigError("written by a later release")

    with pytest.raises(ConfigError, match="later release"):
        stream_records.decode(read(text(stream_record())), later)


@pytest.mark.parametrize(
    "spelled",
    [
        '{"S": "a", "S": "b"}',
        '{"S": "\\ud83c\\udf0a"}',
        '{"S": "\\ud800"}',
        '{"\\u0053": "x"}',
        '{"N": 1}',
        '{"N": 1e400}',
        '{"N": 123456789012345678901234567890}',
        '{"M": {"a": {"S": "1"}, "a": {"S": "2"}, "\\ud800": {"S": "x"}}}',
        '{"L": [' * 40 + '{"S": "deep"}' + "]}" * 40,
        "null",
        '"text"',
        "{}",
        "[]",
        '{"BOOL": true, "S": "two types"}',
        '{"S": ""}',
        '{"SS": []}',
    ],
)
def test_an_attribute_is_read_the_same_however_it_is_spelled(spelled):
    record = json.dumps(stream_record(new={"x": "HERE"}))
    for new in (f'"x": {spelled}', f'"x": {{"S": "first"}}, "x": {spelled}', f'"\\u0078": {spelled}'):
        body = ('{"Records": [' + record.replace('"x": "HERE"', new) + "]}").encode()
        found = read(body)
        expected = [repr(told(entry)) for entry in whole(body)]
        assert found is None or [repr(told(entry)) for entry in stream_records.decode(found, 0)] == expected


@pytest.mark.parametrize("image", ["{}", "{ }", "null", '"text"', "[]", '{ "user_id" : {"S": "u-1"} }', "7"])
@pytest.mark.parametrize("name", ["NewImage", "OldImage"])
def test_an_image_that_is_none_is_judged_as_before(image, name):
    record = stream_record(kind="MODIFY", new={"x": {"S": "y"}})
    record["dynamodb"][name] = "HERE"
    body = text(record).replace(b'"HERE"', image.encode())
    assert [repr(told(entry)) for entry in of_slices(body)] == [repr(told(entry)) for entry in whole(body)]


@pytest.mark.parametrize(
    "body",
    [
        text(stream_record()) + b"trailing",
        text(stream_record())[:-3],
        b"\xef\xbb\xbf" + text(stream_record()),
        text(stream_record()).replace(b"1795341600", b"NaN"),
        text(stream_record()).replace(b"1795341600", b"1e999"),
        text(stream_record(distributary={"origin": "redrive"})),
        text(stream_record(distributary={"origin": "snapshot", "first_fill": 1})),
        text(stream_record(distributary={"origin": "snapshot", "more": True})),
        text(stream_record(distributary=None)),
        text(stream_record(), stream_record(eventSource="aws:kinesis")),
        json.dumps({"Records": [], "source": SOURCE}).encode(),
        json.dumps({"Records": [1], "source": SOURCE}).encode(),
        json.dumps({"Records": {"a": 1}, "source": SOURCE}).encode(),
        json.dumps({**event(stream_record()), "distributary": {}}).encode(),
        json.dumps([stream_record()]).encode(),
        text(stream_record(new={"x": "DEEP"})).replace(b'"DEEP"', b"[" * 100_000 + b"]" * 100_000),
    ],
)
def test_what_no_stream_sends_is_left_to_the_runtime(body):
    assert read(body) is None


def test_only_what_is_read_is_decoded():
    body = text(stream_record(kind="MODIFY", new={"x": {"S": "y"}, "other": {"S": "z" * 2000}}))
    change, *_ = of_slices(body)
    assert change.new["x"] == "y"
    assert type(change.new._parts["other"]) is msgspec.Raw
    assert change.old._parts is None


@pytest.mark.parametrize("size", [5, 2000])
def test_a_released_image_is_read_again_as_before(size):
    change, *_ = of_slices(text(stream_record(new={"x": {"S": "y" * size}, "n": {"N": "1"}})))
    before = told_of(change.new)
    change.new.release()
    assert change.new._parts is None
    assert change.new._decoded is None
    assert told_of(change.new) == before


def test_of_a_small_image_the_key_alone_is_decoded_for_its_check():
    change, *_ = of_slices(text(stream_record(new={"x": {"S": "y"}})))
    assert change.new._parts is None


KEYS = {"id": {"S": "1"}, 'a "quoted" name': {"N": "2"}}


@pytest.mark.parametrize("more", ["", "x" * 2000])
@pytest.mark.parametrize(
    ("item", "same"),
    [
        (KEYS, True),
        ({**KEYS, "id": {"S": "2"}}, False),
        ({**KEYS, "id": {"N": "1"}}, False),
        ({**KEYS, "id": "1"}, False),
        ({**KEYS, "id": {"S": "1", "N": "1"}}, False),
        ({"id": {"S": "1"}}, False),
        ({"m": {"M": KEYS}}, False),
    ],
)
def test_an_image_has_attributes_only_at_its_top_and_as_they_are(item, same, more):
    item = {**item, "more": {"S": more}}
    slice = msgspec.json.decode(json.dumps({"image": item}).encode(), type=dict[str, msgspec.Raw])["image"]
    assert image_of(slice).has({"id": KEYS["id"]}) is (item.get("id") == KEYS["id"])
    assert Image(item).has(KEYS) is same
    assert image_of(slice).has(KEYS) in ((same,) if more else (same, False))  # a quoted name is left to the other way


def decoded_once(body):
    """The event, and a list that grows by each decoding of it as a whole."""
    calls = []
    made = stream_event.read(body, SOURCE, lambda text: calls.append(1) or json.loads(text))
    return made, calls


def test_a_batch_without_a_parked_change_is_never_decoded_as_a_whole():
    made, calls = decoded_once(text(stream_record(0), stream_record(1)))
    assert consume(made, Context(), deployment(Ledger(APPLIED), Bucket())) == {"batchItemFailures": []}
    assert calls == []


def test_a_record_that_is_parked_is_kept_as_it_was_received():
    record = stream_record(new={"x": {"S": "é"}}, unknown=["more"])
    wrong = {**record, "eventName": "RENAME"}
    made, calls = decoded_once(text(record, wrong))
    bucket = Bucket()
    consume(made, Context(), deployment(Ledger(APPLIED), bucket))
    (kept,) = bucket.bodies().values()
    assert (kept["record"], calls) == (wrong, [1])
    bucket = Bucket()
    entry = of_slices(text(record))[0]
    assert json.loads(json.dumps(dict(entry.record))) == record


def test_of_a_batch_the_record_alone_that_is_parked_is_decoded():
    records = [stream_record(place, user=f"u-{place}", new={"x": {"S": "é"}}) for place in range(3)]
    texts = []
    body = text(*records, ensure_ascii=False)
    made = stream_event.read(body, SOURCE, lambda text: texts.append(text) or json.loads(text))
    bucket = Bucket()
    consume(made, Context(), deployment(Ledger(APPLIED, **{"u-1": parked(Rejected("no"))}), bucket))
    assert [each["record"] for each in bucket.bodies().values()] == [records[1]]
    assert [json.loads(text) for text in texts] == [records[1]]
    assert made["Records"] == records


BODY = text(stream_record(new={"x": {"S": "secret"}}))
PLAIN = json.loads(BODY)


def one():
    return stream_event.read(BODY, SOURCE, json.loads)


READINGS = {
    "index": lambda e: e["Records"] == PLAIN["Records"],
    "get": lambda e: e.get("Records") == PLAIN["Records"] and e.get("no") is None,
    "in": lambda e: "Records" in e and "no" not in e,
    "equal": lambda e: e == PLAIN and e == one() and (e != PLAIN) is False,
    "iterate": lambda e: list(e) == ["Records"] and list(reversed(e)) == ["Records"] and len(e) == 1,
    "views": lambda e: (dict(e.items()), list(e.keys()), list(e.values())) == (PLAIN, ["Records"], [PLAIN["Records"]]),
    "dict": lambda e: dict(e) == PLAIN,
    "spread": lambda e: {**e, "a": 1} == {**PLAIN, "a": 1},
    "or": lambda e: e | {"a": 1} == {**PLAIN, "a": 1} and {"a": 1} | one() == {"a": 1, **PLAIN},
    "copy": lambda e: copy.copy(e) == PLAIN and one().copy() == PLAIN,
    "deepcopy": lambda e: copy.deepcopy(e) == PLAIN,
    "pickle": lambda e: pickle.loads(pickle.dumps(e)) == PLAIN,
    "json": lambda e: json.loads(json.dumps(e)) == PLAIN,
    "json, indented": lambda e: json.loads(json.dumps(e, indent=1)) == PLAIN,
    "simplejson": lambda e: json.loads(simplejson.dumps(e)) == PLAIN,
    "update": lambda e: e.update(a=1) is None and e == {**PLAIN, "a": 1},
    "set": lambda e: e.__setitem__("a", 1) is None and e == {**PLAIN, "a": 1},
    "delete": lambda e: e.__delitem__("Records") is None and e == {},
    "pop": lambda e: e.pop("Records") == PLAIN["Records"] and e == {},
    "popitem": lambda e: e.popitem() == ("Records", PLAIN["Records"]),
    "setdefault": lambda e: e.setdefault("Records") == PLAIN["Records"],
    "ior": lambda e: e.__ior__({"a": 1}) == {**PLAIN, "a": 1},
    "clear": lambda e: e.clear() is None and e == {},
}


@pytest.mark.parametrize("reading", READINGS)
def test_it_is_the_dict_that_the_runtime_gives(reading):
    made = one()
    assert isinstance(made, dict)
    assert not made.decoded
    assert READINGS[reading](made)
    assert made.decoded


def test_it_matches_a_pattern():
    match one():
        case {"Records": [{"eventName": name}]}:
            assert name == "INSERT"
        case _:
            pytest.fail("no match")


@pytest.mark.parametrize("encode", [orjson.dumps, msgspec.json.encode, lambda e: json.dumps(dict.get(e, "Records"))])
def test_an_encoder_that_reads_past_its_methods_fails_and_writes_nothing(encode):
    with pytest.raises(TypeError):
        encode(one())


def test_its_text_shows_no_item():
    made = one()
    for _ in range(2):
        assert "secret" not in f"{made} {made!r}"
        assert dict.__repr__(made) if made.decoded else "secret" not in dict.__repr__(made)
        made["Records"]


def test_an_event_that_a_decorator_changed_is_read_as_it_is_now():
    made = one()
    made["Records"][0]["eventName"] = "RENAME"
    (entry,) = stream_records.decode(made, 0)
    assert isinstance(entry, Undecodable)
