"""The version attribute of tables whose items are merged tells a replicator's write from everybody else's."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributary.replicate.multi_active.crdt import NEVER, Time, Timestamp
from distributary.replicate.multi_active.edits import Marks
from distributary.stream.codec import encode_item
from tests.unit.strategies import as_event, items

MARKS = Marks("_v1")
times = st.sampled_from([NEVER, Time.of(Decimal(1)), Time.of("a.b.c")])
stamps = st.builds(
    Timestamp, times, st.sampled_from(["eu-west-1", "us-east-1"]), st.integers(0, 10**46 - 1), st.booleans()
)
versions = st.dictionaries(st.sampled_from(["eu-west-1", "us-east-1"]), st.integers(0, 10**46 - 1))


def marked(row, at, versions=()):
    return {**row, "_v1": {"S": MARKS.text(MARKS.plain(row), at, dict(versions))}}


@given(item=items, at=stamps, versions=versions)
def test_a_mark_is_known_with_its_timestamp_as_a_table_or_a_record_spells_it(item, at, versions):
    row = marked(encode_item(item), at, versions)
    for each in (row, {name: as_event(typed) for name, typed in row.items()}):
        assert MARKS.shown(each, ()).at == at
        assert MARKS.shown(each, ()).seen == versions


@given(item=items, at=stamps, versions=versions, name=st.sampled_from(["added", "other"]))
def test_a_write_that_keeps_the_mark_is_the_application_s_and_tells_its_view(item, at, versions, name):
    row = {**marked(encode_item(item), at, versions), name: {"S": "written on top, whatever stood there"}}
    assert MARKS.shown(row, ()).at is None
    assert MARKS.shown(row, ()).seen == versions


@given(at=stamps)
def test_a_row_that_is_marked_as_gone_is_not_one_that_lives(at):
    row = marked({"a": {"S": "x"}}, at)
    text = row["_v1"]["S"]
    other = text.replace("gone.", "live.", 1) if at.dead else text.replace("live.", "gone.", 1)
    assert MARKS.shown({**row, "_v1": {"S": other}}, ()).at is None


@pytest.mark.parametrize(
    "typed",
    [
        {"S": ""},
        {"S": "live"},
        {"S": "live.x.[]"},
        {"S": "live.x." + "[" * 100_000},
        {"S": f'live.x.[[{{"NULL":true}},"eu-west-1","{"9" * 5000}",false],{{}}]'},
        {"S": f'live.x.[[{{"NULL":true}},"eu-west-1","1",false],{{"eu-west-1":"{"9" * 47}"}}]'},
        {"S": 'live.x.[[{"N":"x"},"eu-west-1","1",false],{}]'},
        {"S": 'live.x.[[{"NULL":true},"eu-west-1","1",false],[]]'},
        {"S": f"{1:046d}"},
        {"N": "1"},
        {},
        "text",
        None,
    ],
    ids=lambda typed: repr(typed)[:24],
)
def test_whatever_else_stands_in_the_attribute_is_nobody_s_mark(typed):
    row = {"id": {"S": "x"}, "_v1": typed}
    assert MARKS.shown(row, ("id",)) == ({}, None, {})
