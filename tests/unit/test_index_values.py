"""A value is written as its field's mapping says, or its change is rejected by the field's name."""

import json
from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributary.errors import Rejected
from distributary.index import Entity, Field, Index, check
from distributary.index.field_writers import writer
from distributary.index.nesting import JSON_DEPTH
from distributary.stream.change import Image
from distributary.stream.codec import encode_item
from distributary.stream.struct import replace

DIGITS = Decimal("12345678901234567890123456789012345678")


def named(value):
    """The same in every process, whatever order a set has there."""
    if isinstance(value, frozenset):
        value = sorted(value)
    return "huge" if isinstance(value, int) and value > 10**40 else repr(value)[:40]


SECRET = "sentinel"


def written(mapping, value):
    return orjson.dumps(writer("f", mapping)(value)).decode()


@pytest.mark.parametrize(
    ("type", "value", "text"),
    [
        ("long", Decimal(2**63 - 1), str(2**63 - 1)),
        ("long", Decimal(-(2**63)), str(-(2**63))),
        ("long", Decimal("1E3"), "1000"),
        ("long", Decimal("7.0"), "7"),
        ("long", "12", '"12"'),
        ("long", None, "null"),
        ("long", frozenset({Decimal(10), Decimal(9)}), "[9,10]"),
        ("unsigned_long", Decimal(2**64 - 1), str(2**64 - 1)),
        ("byte", Decimal(127), "127"),
        ("double", Decimal("0.1"), "0.1"),
        ("double", DIGITS, str(DIGITS)),
        ("double", 0.5, "0.5"),
        ("keyword", DIGITS, f'"{DIGITS}"'),
        ("keyword", Decimal("1.50"), '"1.5"'),
        ("keyword", frozenset("ba"), '["a","b"]'),
        ("keyword", True, "true"),
        ("keyword", b"\x00\xff", '"AP8="'),
        ("text", Decimal("1.50"), "1.5"),
        ("boolean", False, "false"),
        ("boolean", "true", '"true"'),
        ("binary", b"\x00\xff", '"AP8="'),
        ("binary", frozenset({b"b", b"a"}), '["YQ==","Yg=="]'),
        ("date", "2026-11-23T01:02:03Z", '"2026-11-23T01:02:03Z"'),
        ("date", Decimal(1_795_341_600_000), "1795341600000"),
        ("date", Decimal("1795341600.5"), "1795341600.5"),
        ("geo_point", {"lat": Decimal("1.5"), "lon": Decimal(2)}, '{"lat":1.5,"lon":2}'),
        ("flat_object", {"a": [DIGITS]}, f'{{"a":[{DIGITS}]}}'),
    ],
    ids=named,
)
def test_a_value_that_fits_is_written_exactly(type, value, text):
    assert written({"type": type}, value) == text


@pytest.mark.parametrize(
    ("mapping", "value"),
    [
        ({"type": "long"}, DIGITS),
        ({"type": "long"}, Decimal(2**63)),
        ({"type": "long"}, Decimal("1.5")),
        ({"type": "long"}, Decimal("1E+999999")),
        ({"type": "long"}, 10**5000),
        ({"type": "long"}, [Decimal(1), Decimal(2**63)]),
        ({"type": "long"}, True),
        ({"type": "long"}, {"a": SECRET}),
        ({"type": "long"}, float("inf")),
        ({"type": "integer"}, Decimal(2**31)),
        ({"type": "unsigned_long"}, Decimal(-1)),
        ({"type": "double"}, float("nan")),
        ({"type": "double"}, Decimal("NaN")),
        ({"type": "double"}, Decimal("1E+309")),
        ({"type": "double"}, Decimal("1E+9999999")),
        ({"type": "float"}, Decimal("1E+39")),
        ({"type": "half_float"}, Decimal(65_505)),
        ({"type": "double"}, b"x"),
        ({"type": "keyword"}, {"a": SECRET}),
        ({"type": "keyword"}, "x" * 32_767),
        ({"type": "keyword"}, ["fine", "\u00e4" * 16_384]),
        ({"type": "keyword", "ignore_above": 20_000}, "\u4e00" * 12_000),
        ({"type": "keyword", "index": False}, "x" * 32_767),
        ({"type": "text", "fields": {"exact": {"type": "keyword"}}}, "x" * 32_767),
        ({"type": "text"}, {"a": SECRET}),
        ({"type": "boolean"}, Decimal(1)),
        ({"type": "binary"}, Decimal(1)),
        ({"type": "date"}, True),
        ({"type": "date"}, {"a": SECRET}),
        ({"type": "date"}, Decimal("1E+50")),
        ({"type": "date", "format": "strict_date"}, Decimal(1_795_341_600)),
        ({"type": "knn_vector", "dimension": 2}, [Decimal(1)]),
        ({"type": "knn_vector", "dimension": 2}, [Decimal(1), "x"]),
        ({"type": "knn_vector", "dimension": 1}, [Decimal("1E+100")]),
        ({"type": "knn_vector", "dimension": 1}, SECRET),
        ({"type": "object", "properties": {"n": {"type": "long"}}}, {"n": DIGITS}),
        ({"type": "nested", "properties": {}}, [SECRET]),
        ({"type": "flat_object"}, SECRET),
        ({"type": "flat_object"}, True),
        ({"type": "flat_object"}, [{"a": SECRET}, Decimal(1)]),
    ],
    ids=named,
)
def test_a_value_that_does_not_fit_is_rejected_by_field_and_not_shown(mapping, value):
    with pytest.raises(Rejected, match=r"^field 'f(\.n)?'") as caught:
        written(mapping, value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "mapping",
    [
        {"type": "keyword", "ignore_above": 256},
        {"type": "keyword", "index": False, "doc_values": False},
        {"type": "text"},
        {"type": "text", "fields": {"exact": {"type": "keyword", "ignore_above": 256}}},
    ],
    ids=named,
)
def test_a_long_text_is_written_where_no_term_is_made_of_the_whole_of_it(mapping):
    assert len(written(mapping, "x" * 40_000)) == 40_002


def test_a_keyword_of_the_longest_length_is_written():
    assert len(written({"type": "keyword"}, "x" * 32_766)) == 32_768


def test_a_vector_is_passed_on_and_objects_by_their_members():
    assert written({"type": "knn_vector", "dimension": 2}, [Decimal("0.1"), Decimal(2)]) == "[0.1,2]"
    mapping = {"type": "object", "properties": {"n": {"type": "long"}, "t": {"type": "keyword"}}}
    assert written(mapping, {"n": Decimal(1), "t": DIGITS, "x": b"a"}) == f'{{"n":1,"t":"{DIGITS}","x":"YQ=="}}'
    assert written(mapping, [{"n": Decimal(1)}, None]) == '[{"n":1},null]'
    assert written({"type": "object", "enabled": False}, {"n": DIGITS}) == f'{{"n":{DIGITS}}}'


THING = Entity(name="thing", keys=("id",), attributes=("name", "raw", "total"))


def document(fields, **item):
    (source,) = check([Index(name="things", of=THING, id="{id}", fields=fields)])
    return json.loads(orjson.dumps(source.document(Image(encode_item({"id": "a", **item})))))


def test_fields_are_kept_renamed_and_computed_and_what_is_missing_stays_away():
    fields = {
        "name": {"type": "keyword"},
        "sum": Field(mapping={"type": "double"}, of="total"),
        "twice": Field(mapping={"type": "long"}, of=lambda item: item["total"] * 2 if "total" in item else None),
    }
    assert document(fields, name="x", total=Decimal(2), raw="left out") == {"name": "x", "sum": 2, "twice": 4}
    assert document(fields) == {}


def test_json_in_a_string_is_expanded_with_its_digits():
    fields = {"raw": Field(mapping={"type": "object", "properties": {"n": {"type": "keyword"}}}, json=True)}
    assert document(fields, raw='{"n": 12345678901234567890.123, "m": [1]}') == {
        "raw": {"n": "12345678901234567890.123", "m": [1]}
    }
    assert document(fields, raw={"n": "a map already"}) == {"raw": {"n": "a map already"}}


@pytest.mark.parametrize("text", ["{", SECRET, '{"n": NaN}', "[" * 100_000, "", "9" * 5000], ids=lambda each: each[:8])
def test_malformed_json_is_rejected_by_its_field(text):
    fields = {"raw": Field(mapping={"type": "object", "dynamic": True}, json=True)}
    with pytest.raises(Rejected, match="field 'raw'") as caught:
        document(fields, raw=text)
    assert SECRET not in str(caught.value)


def test_a_function_that_raises_is_rejected_by_its_field_and_type_alone():
    def wrong(item):
        raise ValueError(SECRET)

    with pytest.raises(Rejected, match=r"^field 'name' raised ValueError$") as caught:
        document({"name": Field(mapping={"type": "keyword"}, of=wrong)})
    assert SECRET in caught.value.detail


def declared(kind):
    (source,) = check([Index(name="i", of=Entity(name="e", keys=("id",), attributes=("f",)), id="{id}",
                             fields={"f": {"type": kind}})])  # fmt: skip
    return source


def unhurried(source):
    """The same index, whose writers see every value."""
    return replace(source, fields=tuple(each._replace(tag="") for each in source.fields))


def line_of(source, typed):
    try:
        return orjson.dumps(source.document(Image({"f": typed})))
    except Rejected as error:
        return str(error)


@given(
    st.sampled_from(["keyword", "text", "date", "long", "double", "integer", "boolean"]),
    st.one_of(
        st.text(max_size=9).map(lambda text: {"S": text}),
        st.sampled_from(["0", "-0", "7", "-12", "007", "1E+3", "0.50", "9" * 18, "9" * 19, "1" * 38]).map(
            lambda text: {"N": text}
        ),
        st.sampled_from([{"S": "x" * 40_000}, {"BOOL": True}, {"NULL": True}, {"SS": ["a"]}, {"B": "AA=="}]),
        st.sampled_from([{}, {"S": 7}, {"S": "a", "N": "1"}, {"N": "1", "S": "a"}, {"N": 1}, [], "S", None]),
    ),
)
def test_a_value_that_no_writer_sees_is_written_as_its_writer_would(kind, typed):
    source = declared(kind)
    assert line_of(source, typed) == line_of(unhurried(source), typed)


@pytest.mark.parametrize(("kind", "typed"), [("keyword", {"S": "Zoë"}), ("long", {"N": "-12"}), ("date", {"S": "now"})])
def test_short_texts_and_whole_numbers_are_seen_by_no_writer(kind, typed):
    def unasked(value):
        raise AssertionError(value)

    source = declared(kind)
    asking_none = replace(source, fields=tuple(each._replace(write=unasked) for each in source.fields))
    assert asking_none.document(Image({"f": typed}))


@pytest.fixture
def source():
    """The index function's view of one field."""

    def source(**field):
        entity = Entity(name="e", keys=("id",), attributes=("raw",))
        (found,) = check([Index(name="i", of=entity, id="{id}", fields={"raw": Field(**field)})])
        return found

    return source


OBJECT = {"type": "object", "dynamic": True}


def deep(levels):
    return "[" * levels + "]" * levels


@pytest.mark.parametrize("levels", [JSON_DEPTH + 1, 300, 2_000, 100_000])
@pytest.mark.parametrize(
    "mapping", [OBJECT, {"type": "flat_object"}, {"type": "keyword"}, {"type": "object", "enabled": False}]
)
def test_json_that_is_nested_too_deeply_is_rejected_whatever_python_allows(source, levels, mapping):
    """Python 3.13 reads 2,000 levels, and then fails in any function that walks them."""
    item = Image(encode_item({"id": "a", "raw": deep(levels)}))
    with pytest.raises(Rejected, match="field 'raw'"):
        source(mapping=mapping, json=True).document(item)


def test_what_a_declared_function_makes_is_held_to_the_same_depth(source):
    def nested(item):
        found = []
        for _ in range(2_000):
            found = [found]
        return found

    def endless(item):
        return endless(item)

    for function in (nested, endless):
        with pytest.raises(Rejected, match="field 'raw'"):
            source(mapping={"type": "flat_object"}, of=function).document(Image(encode_item({"id": "a"})))


def test_json_up_to_the_limit_is_written(source):
    item = Image(encode_item({"id": "a", "raw": '{"x":' + deep(JSON_DEPTH - 1) + "}"}))
    line = orjson.dumps(source(mapping={"type": "flat_object"}, json=True).document(item))
    assert line == b'{"raw":' + item["raw"].encode() + b"}"


def test_a_document_that_python_cannot_walk_is_rejected_and_not_raised(source, monkeypatch):
    monkeypatch.setattr("distributary.index.document.JSON_DEPTH", 10**6)
    item = Image(encode_item({"id": "a", "raw": deep(900)}))
    with pytest.raises(Rejected, match="field 'raw'"):
        orjson_line(source(mapping={"type": "flat_object"}, json=True).document(item))


def orjson_line(document):
    try:
        return orjson.dumps(document)
    except TypeError:
        raise Rejected("field 'raw': as the branch says it") from None


@pytest.mark.parametrize("raw", ["{", "NaN", deep(2_000), '{"n":1e999999999}'])
def test_a_value_that_cannot_be_written_is_a_null_if_the_field_says_so(source, raw):
    found = source(mapping={"type": "object", "properties": {"n": {"type": "long"}}}, json=True, on_error="null")
    assert found.document(Image(encode_item({"id": "a", "raw": raw}))) == {"raw": None}


@pytest.mark.parametrize("raw", ["5", '"text"', "[1]", "true"])
def test_json_that_is_no_object_is_a_null_in_a_flat_object(source, raw):
    found = source(mapping={"type": "flat_object"}, json=True, on_error="null")
    assert found.document(Image(encode_item({"id": "a", "raw": raw}))) == {"raw": None}


def test_what_does_not_fit_its_mapping_is_a_null_too_and_other_fields_stay(source):
    entity = Entity(name="e", keys=("id",), attributes=("n", "s"))
    fields = {"n": Field(mapping={"type": "long"}, on_error="null"), "s": {"type": "keyword"}}
    (found,) = check([Index(name="i", of=entity, id="{id}", fields=fields)])
    item = Image(encode_item({"id": "a", "n": Decimal("0.5"), "s": "x"}))
    assert found.document(item) == {"n": None, "s": "x"}


def keys(many, prefix="k"):
    return {f"{prefix}{each}": 1 for each in range(many)}


@pytest.mark.parametrize(
    ("mapping", "value"),
    [
        (OBJECT, keys(101)),
        (OBJECT, [keys(60), keys(60, "other")]),
        (OBJECT, {"inner": keys(100)}),
        ({"type": "object", "dynamic": "true"}, keys(101)),
        ({"type": "nested", "dynamic": True}, [keys(101)]),
        ({"type": "object", "properties": {"inner": OBJECT}}, {"inner": keys(101)}),
        ({**OBJECT, "properties": {"inner": {"properties": {}}}}, {"inner": keys(101)}),
    ],
)
def test_an_item_cannot_fill_the_index_with_fields(source, mapping, value):
    """An index has 1,000 fields by default, for all its documents together."""
    item = Image(encode_item({"id": "a", "raw": json.dumps(value)}))
    with pytest.raises(Rejected, match="field 'raw': more than 100 keys that its mapping does not declare"):
        source(mapping=mapping, json=True).document(item)
    written = source(mapping=mapping, json=True, max_keys=200).document(item)
    assert json.loads(orjson.dumps(written)) == {"raw": value}


@pytest.mark.parametrize(
    ("mapping", "value"),
    [
        (OBJECT, keys(100)),
        (OBJECT, [keys(100), keys(100)]),
        ({"type": "object", "dynamic": False}, keys(500)),
        ({"type": "object", "enabled": False}, keys(500)),
        ({"type": "flat_object"}, keys(500)),
        ({"type": "object", "properties": {f"k{each}": {"type": "long"} for each in range(500)}}, keys(500)),
        ({**OBJECT, "properties": {"inner": {"dynamic": False}}}, {"inner": keys(500)}),
    ],
)
def test_what_adds_no_more_fields_than_that_is_written(source, mapping, value):
    item = Image(encode_item({"id": "a", "raw": json.dumps(value)}))
    assert json.loads(orjson.dumps(source(mapping=mapping, json=True).document(item))) == {"raw": value}
