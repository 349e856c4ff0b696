"""However a record is broken, it is a change, is parked, or is rejected: nothing else is ever raised."""

import copy
import json
import random
from contextlib import suppress

import pytest

from distributary import derive as views
from distributary import index as indexes
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.derive.branch import plan
from distributary.errors import Rejected
from distributary.index.branch import IndexBranch
from distributary.replicate.mirror import MirrorBranch
from distributary.stream import records as stream_records
from distributary.stream.change import Change
from distributary.welcome import rules
from indexes import INDEXES
from rules import RULES
from tests.unit.records import event, stream_record
from views import VIEWS

VIEW, (RULE,) = views.check(VIEWS), rules.check(RULES)
INDEXED = IndexBranch(indexes.check(INDEXES), 0, None)
MIRROR = MirrorBranch(None, "us-west-2/users")
PARKING = Parking(None, "parking", "derive", Parallel(1))
RECORD = stream_record(
    kind="MODIFY",
    new={"email": {"S": "ada@example.com"}, "name": {"S": "Ada"}, "avatar": {"B": "AP8="}, "tags": {"SS": ["a"]}},
    old={"email": {"S": "a@example.com"}, "balance": {"N": "1"}, "more": {"L": [{"M": {"x": {"NULL": True}}}]}},
    userIdentity={"type": "Service", "principalId": "dynamodb.amazonaws.com"},
)
JUNK = [None, True, -1, 1.5, float("nan"), 10**400, "", "x", "\ud800", [], [1], {}, {"S": 1}, {"S": "\ud800"}]
JUNK += [{"N": "1"}, {"B": "?"}, {"L": {}}, {"\ud800": {"S": "x"}}, {"M": {"\ud800": {"S": "x"}}}, {"a": {"S": "b"}}]


def places(part, way=()):
    members = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for name, member in members:
        yield (*way, name)
        yield from places(member, (*way, name))


def broken(chance):
    """The record with one or two of its places taken out, renamed or filled with junk."""
    record = copy.deepcopy(RECORD)
    for _ in range(chance.choice([1, 1, 2])):
        *way, last = chance.choice(list(places(record)) or [("eventID",)])
        part = record
        for step in way:
            part = part[step]
        match chance.randrange(4):
            case 0 if last in part or isinstance(part, list):
                del part[last]
            case 1 if isinstance(part, dict) and last in part:
                part[chance.choice(["\ud800", "user_id", "dynamodb"])] = part.pop(last)
            case _:
                part[last] = copy.deepcopy(chance.choice(JUNK))
    return record


def asked(change):
    """Everything that a function asks of a change before it writes."""
    yield lambda: plan(VIEW, change)
    yield lambda: INDEXED.plan(change)
    yield lambda: MIRROR.plan(change)
    yield lambda: rules.compose(RULE, change.new) if change.new else None


@pytest.mark.parametrize("seed", range(10))
def test_no_malformed_record_raises_anything_but_a_rejection(seed):
    chance = random.Random(seed)
    for _ in range(200):
        record = broken(chance)
        good, entry = stream_records.decode(event(stream_record(), record), 0)
        assert isinstance(good, Change)
        assert PARKING.name(entry).encode()
        json.dumps({"batchItemFailures": [{"itemIdentifier": entry.identifier}]})
        for ask in asked(entry) if isinstance(entry, Change) else ():
            with suppress(Rejected):
                ask()
