"""A replay gives an event branch its records again, and is refused whole if it is none."""

import json

import pytest

from distributary.consumer import outcome as outcomes
from distributary.consumer.consume import consume
from distributary.consumer.outcome import APPLIED
from distributary.consumer.replay import MOST_RECORDS
from distributary.errors import ConfigError, Rejected
from tests.replaced import replace
from tests.unit.branches import Bucket, Context, Ledger, deployment
from tests.unit.records import stream_record

PARKED = outcomes.parked(Rejected("never", "the secret"))


def command(*records, **more):
    return {"distributary": {"replay": list(records), **more}}


def deployed(branch, bucket=None, replays=True):
    return replace(deployment(branch, bucket or Bucket(), "welcome"), replays=replays)


def test_each_record_of_a_replay_is_answered_in_order_and_nothing_is_parked(capsys):
    branch, bucket = Ledger(APPLIED, **{"u-1": PARKED}), Bucket()
    unread = stream_record(2)
    del unread["dynamodb"]["Keys"]
    records = [stream_record(0, user="u-0"), stream_record(1, user="u-1"), unread]
    assert consume(command(*records), Context(), deployed(branch, bucket)) == {
        "outcomes": [
            {"status": "Applied", "cause": ""},
            {"status": "Parked", "cause": "never"},
            {"status": "Parked", "cause": "the record has no Keys"},
        ]
    }
    assert bucket.objects == {}
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert line["Replayed"] == [3.0]
    assert "Received" not in line


def test_only_a_replay_that_asks_for_it_is_never_too_old():
    """A change without a time of creation is too old for no rule; a record that is no change has none to take away."""
    created = []
    for more in ({}, {"even_if_old": False}, {"even_if_old": "yes"}, {"even_if_old": True}):
        branch, unread = Ledger(APPLIED), {"eventID": "lost"}
        consume(command(stream_record(0), unread, **more), Context(), deployed(branch))
        created.append(branch.seen[0].created)
    assert created[0] is not None
    assert created == [created[0]] * 3 + [None]


@pytest.mark.parametrize("records", [{}, "records", None, [stream_record(0)] * (MOST_RECORDS + 1)], ids=type)
def test_a_replay_without_a_list_of_records_is_refused(records):
    branch = Ledger(APPLIED)
    with pytest.raises(ConfigError, match=f"no list 'replay' of at most {MOST_RECORDS} records"):
        consume({"distributary": {"replay": records}}, Context(), deployed(branch))
    assert branch.seen == []


def test_a_replay_takes_as_many_records_as_it_says():
    branch = Ledger(APPLIED)
    consume(command(*[stream_record(0)] * MOST_RECORDS), Context(), deployed(branch))
    assert len(branch.seen) == MOST_RECORDS


def test_a_branch_that_keeps_state_replays_no_records():
    branch = Ledger(APPLIED)
    with pytest.raises(ConfigError, match="welcome replays no records: welcome and archive do"):
        consume(command(stream_record(0)), Context(), deployed(branch, replays=False))
    assert branch.seen == []
