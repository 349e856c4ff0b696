"""However a record is broken, it is a change, is parked, or is rejected: nothing else is ever raised."""

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
from tests.unit.broken_records import broken
from tests.unit.records import event, stream_record
from views import VIEWS

VIEW, (RULE,) = views.check(VIEWS), rules.check(RULES)
INDEXED = IndexBranch(indexes.check(INDEXES), 0, None)
MIRROR = MirrorBranch(None, "us-west-2/users")
PARKING = Parking(None, "parking", "derive", Parallel(1))


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
