"""Hostile bytes end as they would without us, and no record blocks a shard that would have been parked."""

import json
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distributary.archive.line import line
from distributary.errors import Rejected
from distributary.stream import records as stream_records
from distributary.stream import stream_event
from distributary.stream.change import Change
from tests.selection import examples
from tests.unit.hostile_bytes import check
from tests.unit.records import event, stream_record

texts = st.sampled_from(["S", "N", "M", "L", "x", "user_id", "u-1", "NewImage", "é", "\U0001f30a", "", "1", "-1.5E3"])
numbers = st.sampled_from(
    ["0", "-0", "1E3", "1e400", "-1e-400", "18446744073709551616", "9" * 60, "0.1", "NaN", "-Infinity", "01", "1."]
)
spaces = st.sampled_from(["", " ", "\n\t"])


@st.composite
def strings(draw):
    """A text as JSON spells it: plain, or with every character escaped; now and then with a lone surrogate."""
    text, how = draw(texts), draw(st.integers(0, 4))
    if how == 0:
        return '"' + "".join(f"\\u{ord(each):04x}" if ord(each) < 2**16 else "\\ud83c\\udf0a" for each in text) + '"'
    return f'"{text}\\ud800"' if how == 1 else json.dumps(text, ensure_ascii=how == 2)


def _members(inner, named):
    gap = spaces
    if named:
        pairs = st.tuples(strings(), gap, inner).map(lambda each: f"{each[0]}{each[1]}:{each[1]}{each[2]}")
        return st.tuples(st.lists(pairs, max_size=4), gap).map(lambda each: "{" + f",{each[1]}".join(each[0]) + "}")
    return st.tuples(st.lists(inner, max_size=3), gap).map(lambda each: "[" + f"{each[1]},".join(each[0]) + "]")


spelled = st.recursive(
    strings() | numbers | st.sampled_from(["null", "true"]),
    lambda inner: _members(inner, True) | _members(inner, False),
    max_leaves=8,
)
typed = st.tuples(st.sampled_from(["S", "N", "B", "BOOL", "NULL", "SS", "M", "L", "?"]), spelled).map(
    lambda each: f'{{"{each[0]}":{each[1]}}}'
)
images = st.lists(st.tuples(strings() | st.just('"user_id"'), typed | spelled), max_size=4).map(
    lambda pairs: ",".join(f"{name}:{value}" for name, value in pairs)
)


def body_of(new, old, kind="MODIFY", **style):
    """An event of two records; the first has these members in its images beside its key, in the text's own spelling."""
    record = stream_record(0, kind=kind, new={"HERE": 1}, old={"THERE": 1})
    body = json.dumps(event(record, stream_record(1, user="u-2")), **style)
    sep = style.get("separators", (", ", ": "))[1]
    return (
        body.replace(f'"HERE"{sep}1', new or '"HERE": {"S": "x"}')
        .replace(f'"THERE"{sep}1', old or '"THERE": {"S": "x"}')
        .encode(errors="surrogatepass")
    )


@settings(max_examples=examples(120))
@given(images, images, st.sampled_from(["MODIFY", "REMOVE"]))
def test_any_spelling_of_an_image_ends_as_without_us(new, old, kind):
    check(body_of(new, old, kind))


BODY = body_of('"x": {"S": "\\u00e9"}, "y": {"N": "1"}', '"z": {"L": [{"M": {}}]}', ensure_ascii=False)


@settings(max_examples=examples(300))
@given(st.lists(st.tuples(st.integers(0, len(BODY)), st.integers(0, 3), st.binary(max_size=3)), min_size=1, max_size=3))
def test_any_damage_to_an_event_s_bytes_ends_as_without_us(edits):
    body = BODY
    for place, removed, put in edits:
        body = body[:place] + put + body[place + removed :]
    check(body)


@settings(max_examples=examples(200))
@given(st.integers(0, len(BODY)), st.integers(0, len(BODY)), st.integers(0, len(BODY)))
def test_a_part_of_the_bytes_put_elsewhere_ends_as_without_us(start, end, place):
    """Duplicate names among them, and names of the envelope inside of images."""
    check(BODY[:place] + BODY[start:end] + BODY[place:])


@settings(max_examples=examples(150))
@given(images, images)
def test_an_archive_line_of_bytes_says_what_the_decoded_one_says(new, old):
    lines_agree(body_of(new, old))


@pytest.mark.parametrize(
    "spelled",
    [
        '{"S":"a"}',
        '{"S":"é🌊\u2028\x7f"}',
        '{"S":""}',
        '{"B":"AA=="}',
        '{"BOOL":true}',
        '{"NULL":true}',
        '{"SS":["a"]}',
        '{"L":[]}',
        '{"M":{}}',
        '{"M":{"a":{"N":"1.50"},"b":{"L":[{"S":"\\n"}]}}}',
        '{"S":"\\ud800"}',
        '{"S":"\\u00e9"}',
        '{"N":1E3}',
        '{"N":1.0}',
        '{"N":123456789012345678901234567890}',
        '{"N":1e400}',
        '{"S":"a","S":"b"}',
        '{"M":{"a":{"S":"1"},"a":{"S":"2"}}}',
        '{"S":\n"a"}',
        '{"L":[' * 40 + '{"S":"x"}' + "]}" * 40,
    ],
)
def test_an_archive_line_is_the_same_however_an_attribute_is_spelled(spelled):
    for style in ({"ensure_ascii": False}, {"separators": (",", ":"), "ensure_ascii": False}):
        lines_agree(body_of(f'"x": {spelled}', f'"y": {spelled}', **style))


def lines_agree(body):
    """The archive's lines of slices and of the whole event: the same content, one line each, or the same refusal."""
    if (made := stream_event.read(body, "aws:dynamodb", json.loads)) is None:
        return
    by_slices, as_a_whole = (stream_records.decode(each, 0) for each in (made, json.loads(body)))
    for ours, theirs in zip(by_slices, as_a_whole, strict=True):
        if isinstance(ours, Change):
            assert written(ours) == written(theirs)


def written(change):
    try:
        text = line(change)
    except Rejected as error:
        return str(error)
    assert text.endswith(b"}\n")
    assert text.count(b"\n") == 1
    return json.loads(text.decode(), object_pairs_hook=once)


def once(pairs):
    """An object as a list in its order; no name is twice in it."""
    assert len(dict(pairs)) == len(pairs)
    return pairs


def test_an_archive_line_of_a_usual_change_is_the_events_own_text():
    images = '"x":{"S":"é"},"y":{"L":[{"M":{"a":{"N":"1"}}}]}'
    body = body_of(images, images, separators=(",", ":"), ensure_ascii=False)
    change, _ = stream_records.decode(stream_event.read(body, "aws:dynamodb", json.loads), 0)
    assert images.encode() in line(change)
    assert change.new._parts is None or "x" in change.new._parts
    assert change.old._parts is None


def test_bytes_that_are_no_utf_8_are_never_archived():
    body = body_of('"x": {"S": "fine"}', '"y": {"S": "HERE"}').replace(b"HERE", b"\xff\xfe")
    change, _ = stream_records.decode(stream_event.read(body, "aws:dynamodb", json.loads), 0)
    with pytest.raises(Rejected):
        line(change)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"eventName"', b'"eventName": "REMOVE", "eventName"'),
        (b'"eventName": "MODIFY"', b'"eventName": "MODIFY", "eventName": "REMOVE"'),
        (b'"dynamodb": {', b'"dynamodb": null, "dynamodb": {'),
        (b'"dynamodb": {', b'"dynamodb": {"NewImage": {}}, "dynamodb": {'),
        (b'"NewImage": {', b'"NewImage": {"user_id": {"S": "other"}}, "NewImage": {'),
        (b'"Records": [', b'"Records": 1, "Records": ['),
        (b'"Records": [', b'"Records": [], "\\u0052ecords": ['),
        (b'"eventSource"', b'"\\u0065ventSource"'),
        (b'"Keys"', b'"\\u004beys"'),
        (b'"eventID": "', b'"eventID": "\\ud800'),
        (b'"SequenceNumber": "', b'"SequenceNumber": "\xef\xbc\x91'),
    ],
)
def test_names_that_come_twice_or_escaped_end_as_without_us(old, new):
    assert BODY.count(old) > 0
    check(BODY.replace(old, new, 1))


@pytest.mark.parametrize("image", ["new", "old"])
@pytest.mark.parametrize("padding", ["", '"pad": {"S": "' + "p" * 2000 + '"}, '])
@pytest.mark.parametrize("kind", ["MODIFY", "REMOVE", "RENAME"])
def test_no_depth_blocks_a_shard_that_would_have_been_parked(image, padding, kind):
    limit, read = sys.getrecursionlimit(), set()
    for depth in [*range(10, limit // 2, 100), *range(limit // 2 - 60, limit // 2), limit, 100_000]:
        deep = f'{padding}"x": ' + '{"L":[' * depth + '{"S":"deep"}' + "]}" * depth
        body = body_of(**{"new": "", "old": "", image: deep}, kind=kind)
        read.add(check(body))
    assert "bytes" in read


def test_one_record_of_6_mb_ends_as_without_us():
    long = '"x": {"L": [' + ", ".join('{"S": "\\u00e9 and more"}' for _ in range(250_000)) + "]}"
    assert check(body_of(long, "")) == "bytes"
