"""No two different inputs make one key, and no value forges another template's structure."""

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from distributary.errors import ConfigError, Rejected
from distributary.stream.codec import decode_item
from distributary.stream.keys import SEPARATORS, Template, bounded, escape, item_identity, table_of
from tests.unit.strategies import hostile, numbers, texts

LIMIT = 1 << 16
FIELDS = {"s": hostile, "t": hostile, "n:N": numbers, "m:sortable": numbers, "b:B": st.binary(max_size=4)}
NAMES = {"s": "s", "t": "t", "n:N": "n", "m:sortable": "m", "b:B": "b"}
literals = st.text(st.sampled_from("aB1#|/ -.é"), max_size=3)


@st.composite
def template_texts(draw):
    """Templates, also such as `parse` refuses."""
    pieces = [draw(literals)]
    for field in draw(st.lists(st.sampled_from(list(FIELDS)), max_size=3)):
        pieces += [f"{{{field}}}", draw(literals)]
    return "".join(pieces)


def parsed(text):
    try:
        return Template.parse(text)
    except ConfigError:
        assume(False)


inputs = st.fixed_dictionaries({NAMES[field]: values for field, values in FIELDS.items()})


def rendered(template, item):
    try:
        return template.render(item, LIMIT)
    except Rejected:
        assume(False)


@given(template_texts(), inputs, inputs)
def test_two_different_inputs_never_make_one_key(text, one, other):
    template = parsed(text)
    differ = any(one[name] != other[name] for name in template.attributes)
    assert (rendered(template, one) != rendered(template, other)) == differ


@given(template_texts(), st.permutations(["", "#", "a", "%23", "a#", "#a", "%", "\x00", " "]))
def test_values_that_trade_their_borders_make_different_keys(text, chosen):
    template = parsed(text)
    one = {"s": chosen[0], "t": chosen[1], "n": Decimal(1), "m": Decimal(1), "b": b"#"}
    other = {"s": chosen[2], "t": chosen[3], "n": Decimal(1), "m": Decimal(1), "b": b"#"}
    differ = any(one[name] != other[name] for name in template.attributes)
    assert (rendered(template, one) != rendered(template, other)) == differ


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(template_texts(), template_texts(), inputs, inputs)
def test_templates_that_can_meet_say_so(text, other_text, one, other):
    """Many texts are no template, and both must be."""
    template, another = parsed(text), parsed(other_text)
    if rendered(template, one) == rendered(another, other):
        assert template.may_equal(another)


@given(st.data())
def test_templates_that_differ_in_one_literal_say_when_they_can_meet(data):
    """Small pieces, so that texts do meet."""
    pieces = st.lists(st.sampled_from(["{s}", "{t}", "#", "a", "b"]), min_size=1, max_size=5).map("".join)
    words = st.text(st.sampled_from("ab"), max_size=2)
    template, another = parsed(data.draw(pieces)), parsed(data.draw(pieces))
    one = {"s": data.draw(words), "t": data.draw(words)}
    other = {"s": data.draw(words), "t": data.draw(words)}
    if rendered(template, one) == rendered(another, other):
        assert template.may_equal(another)
        assert another.may_equal(template)


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("USER#{a}", "USER#{b}", True),
        ("USER#{a}", "USER#7", True),
        ("USER#{a}", "USER#7#x", False),
        ("USER#{a}", "ORDER#{a}", False),
        ("USER#{a}", "USER#{a}#ORDER#{b}", False),
        ("USER#{a}#{b}", "USER#{a}#ORDER#{b}", False),
        ("USER#{a}#{b}", "USER#{a}#ORDER", True),
        ("{a}", "{b}", True),
        ("{a}", "#", True),
        ("A-{a}", "A-{a}#{b}", True),
        ("A#{a}", "A#{a}#{b}", False),
        ("A#{a}", "A#{a}/{b}", True),
        ("A/{a}", "A/{a}#B/{b}", False),
        ("DAY#{a}", "DAY#2026-11-20T12:00", True),
        ("DAY#{a}", "DAY#2026-11-20#12", False),
        ("{a}x", "y{b}", True),
        ("{a}x", "{b}y", False),
        ("x{a}", "y{b}", False),
        ("A", "A", True),
        ("A", "B", False),
        ("ACTIVE", "USER#{a}", False),
        ("{a:N}", "{b}", True),
        ("{a:sortable}", "{b}", True),
        ("{a:B}#x", "{b}#y", False),
    ],
)
def test_two_templates_meet_or_not(one, other, meet):
    assert Template.parse(one).may_equal(Template.parse(other)) is meet
    assert Template.parse(other).may_equal(Template.parse(one)) is meet


@given(hostile, hostile)
def test_a_value_cannot_forge_the_structure_of_another_template(user, order):
    short, long = Template.parse("USER#{user}"), Template.parse("USER#{user}#ORDER#{order}")
    assert short.render({"user": f"{user}#ORDER#{order}"}, LIMIT) != long.render({"user": user, "order": order}, LIMIT)


@given(texts)
def test_an_escaped_text_holds_no_separator_and_comes_from_one_text_only(text):
    escaped = escape(text)
    assert not set(escaped) & set(SEPARATORS)
    assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in escaped)
    assert unescaped(escaped) == text


@given(hostile)
def test_hostile_text_is_escaped_as_reversibly(text):
    assert unescaped(escape(text)) == text


def unescaped(text):
    raw, at = bytearray(), 0
    while at < len(text):
        if text[at] == "%":
            raw.append(int(text[at + 1 : at + 3], 16))
            at += 3
        else:
            raw += text[at].encode()
            at += 1
    return raw.decode()


@given(texts | st.text(st.sampled_from("a🌊#%"), max_size=200), st.integers(66, 120))
def test_a_bounded_text_keeps_to_its_limit_and_is_itself_if_it_fits(text, limit):
    escaped = escape(text)
    short = bounded(escaped, limit)
    assert len(short.encode()) <= limit
    assert (short == escaped) == (len(escaped.encode()) <= limit)


@given(texts | hostile, st.text(max_size=200))
def test_a_shortened_text_never_meets_an_escaped_one(text, long):
    shortened = bounded(escape(long) + "x" * 200, 66)
    assert shortened.startswith("%h")
    assert escape(text) != shortened
    assert escape(shortened) != shortened


def test_two_long_texts_are_shortened_apart():
    assert bounded("a" * 600 + "1", 512) != bounded("a" * 600 + "2", 512)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "empty"),
        ("{a}{b}", "put a separator between 'a' and 'b'"),
        ("{a}x{b}", "between two fields needs one of"),
        ("{a}-{b}", "between two fields needs one of"),
        ("50%#{a}", "'%' is the escape's own sign"),
        ("{}", "write a field as"),
        ("{a!r}", "write a field as"),
        ("{a:>10}", "write a field as"),
        ("{a:SS}", "write a field as {name}, {name:N}, {name:sortable} or {name:B}"),
        ("{a:{b}}", "write a field as"),
        ("{a", "write a literal brace as"),
        ("a}", "write a literal brace as"),
    ],
)
def test_a_template_that_could_make_one_key_of_two_inputs_is_refused(text, fault):
    with pytest.raises(ConfigError, match=fault):
        Template.parse(text)


def test_a_template_says_what_it_interpolates_and_writes_literal_braces():
    template = Template.parse("{{{a}}}#{b:N}")
    assert template.attributes == ("a", "b")
    assert template.render({"a": "x{", "b": Decimal("1.50")}, LIMIT) == "{x%7B}#1.5"


@pytest.mark.parametrize(
    ("text", "item", "cause"),
    [
        ("U#{a}", {}, "no attribute 'a'"),
        ("U#{a}", {"a": Decimal(1)}, "write {a:N}"),
        ("U#{a:N}", {"a": "1"}, "'a' is S, expected N"),
        ("U#{a}", {"a": b"1"}, "'a' is B, expected S"),
        ("U#{a:B}", {"a": "1"}, "'a' is S, expected B"),
        ("U#{a:sortable}", {"a": "1"}, "'a' is S, expected N"),
        ("U#{a:sortable}", {"a": True}, "'a' is bool, expected N"),
        ("U#{a}", {"a": None}, "'a' is NoneType"),
        ("U#{a}", {"a": True}, "'a' is bool"),
        ("U#{a}", {"a": frozenset("x")}, "'a' is frozenset"),
        ("{a}", {"a": ""}, "would have 0 bytes"),
        ("{a}", {"a": "x" * 65}, "would have 65 bytes, and may have 1 to 64"),
        ("{a}", {"a": "é" * 33}, "would have 66 bytes"),
    ],
)
def test_an_item_of_which_no_key_can_be_made_is_rejected(text, item, cause):
    with pytest.raises(Rejected) as caught:
        Template.parse(text).render(item, 64)
    assert cause in str(caught.value)


PRINTABLE = st.text(max_size=12).filter(lambda text: text.isprintable())
FOUR = Template.parse("USER#{a}/{b:N}|{c:B}|{a};{d:sortable}")
ALONE = Template.parse("{a}")


@given(PRINTABLE, st.integers(-(10**30), 10**30), st.binary(max_size=9), numbers)
def test_a_rendered_key_is_read_back_to_the_attributes_that_it_was_made_of(text, number, data, sortable):
    item = {"a": text, "b": Decimal(number), "c": data, "d": sortable}
    assert decode_item(FOUR.read(FOUR.render(item, 1 << 16))) == item


@given(texts.filter(bool))
def test_a_key_without_separators_is_read_back_whatever_the_value_holds(text):
    assert decode_item(ALONE.read(ALONE.render({"a": text}, 1 << 16))) == {"a": text}


STRANGERS = [
    "",
    "USER#a",
    "USER#a/1|AA|b;1",
    "user#a/1|AA|a;1",
    "USER#a/1|AA|a#;1",
    "USER#%ff/1|AA|%ff;1",
    "USER#a/1|AA|a;1-",
    *(f"USER#a/{number}|AA|a;1" for number in ("22005-", "", "x", "1.0", "01", "1_0", "NaN", "Infinity", "1E200")),
    "USER#a/1|AA|a;2200" + "1" * 39 + "-",
]


@pytest.mark.parametrize("key", STRANGERS)
def test_what_no_item_renders_is_not_read(key):
    assert FOUR.read(key) is None


@pytest.mark.parametrize(
    ("text", "value", "key"),
    [
        ("DAY#{a}", "2026-11-20T12:00:00Z", "DAY#2026-11-20T12:00:00Z"),
        ("DAY#{a}", "a#b|c%d\x00", "DAY#a%23b|c%25d%00"),
        ("{a}", "ORDER#1 [x]", "ORDER#1 [x]"),
        ("{a}/x", "ORDER#1/2", "ORDER#1%2F2/x"),
        ("A-{a}", "b-c", "A-b-c"),
        ("{a}", "caf\u00e9\u2028", "caf\u00e9%E2%80%A8"),
    ],
)
def test_a_value_keeps_the_separators_that_its_template_does_not_use(text, value, key):
    template = Template.parse(text)
    assert template.render({"a": value}, LIMIT) == key
    assert template.short({"a": {"S": value}}, LIMIT) == key
    assert decode_item(template.read(key)) == {"a": value}


@given(PRINTABLE, PRINTABLE)
def test_a_short_key_is_the_one_that_is_rendered(one, other):
    template, raw = Template.parse("USER#{a}/{b}"), {"a": {"S": one}, "b": {"S": other}}
    assert template.short(raw, 1 << 16) == template.render(decode_item(raw), 1 << 16)


LONG = {"a": {"S": "x" * 30_000}, "b": {"S": ""}}


@pytest.mark.parametrize(
    "raw", [{}, {"a": {"S": "x"}}, {"a": {"S": 7}, "b": {"S": ""}}, {"a": {"N": "7"}, "b": {}}, LONG]
)
def test_what_is_no_short_string_is_left_to_the_rendering(raw):
    assert Template.parse("USER#{a}/{b}").short(raw, 1 << 16) is None


def test_an_item_of_another_table_is_another_item():
    key = {"id": {"S": "1"}}
    assert item_identity("orders", key) == "orders/id=S:1"
    assert item_identity("orders", key) != item_identity("returns", key)
    assert item_identity("a/b", key) != item_identity("a", {"b/id": {"S": "1"}})


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        ("arn:aws:dynamodb:eu-west-1:123456789012:table/users/stream/2026-11-20T09:12:44.017", "users"),
        ("arn:aws-cn:dynamodb:cn-north-1:123456789012:table/a.b-c_d", "a.b-c_d"),
        ("users", ""),
        ("", ""),
        ("arn:aws:kinesis:eu-west-1:123456789012:stream/users", ""),
    ],
)
def test_a_table_s_name_is_read_from_its_stream_s_arn(arn, name):
    assert table_of(arn) == name
