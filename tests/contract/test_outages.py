"""A service that is busy, broken or silent costs time, never a change."""

import pytest

from tests.contract.harness import deploy
from tests.contract.histories import one_life
from tests.contract.lambda_service import drain, invoke
from tests.contract.source import Source, sequence
from tests.contract.test_crashes import calls_of, check
from tests.fakes.faults import Faults, broken, slow, throttled, unanswered


def newcomers(many=5):
    source = Source()
    for user in range(many):
        source.put(user)
    return source


def seconds(harness):
    """Time enough to begin, and soon over."""
    return (harness.begins_with + 0.5) * 4 / 3


@pytest.mark.parametrize("outage", [throttled, broken, unanswered], ids=lambda outage: outage.__name__)
@pytest.mark.parametrize("begin", [0, 4])
@pytest.mark.sampled(2)
def test_an_outage_at_any_call_is_mended_by_redelivery(harness, imagine, outage, begin):
    source = one_life()
    before, batch = source.records[:begin], source.records[begin:]
    for at in range(calls_of(harness, imagine, source, before, batch)):
        world = imagine(source)
        drain(world, deploy(harness, world), before)
        faults = Faults({at: outage})
        drain(world, deploy(harness, world, faults), batch)
        check(harness, world, source)


@pytest.mark.parametrize("user", range(5))
def test_the_first_throttled_change_is_answered_and_the_others_go_through(harness, imagine, user):
    source = newcomers()
    world, faults = imagine(source), Faults()
    harness.inject_faults(world, faults, source, user)
    deployment = deploy(harness, world, faults)
    assert invoke(deployment, source.records, seconds(harness)) == sequence(source.records[user])
    harness.check(world, source, excused=[user])
    harness.clear_faults(world, faults)
    assert drain(world, deployment, source.records[user:]) == 1
    harness.check(world, source)
    assert world.parked(harness.name) == []


def test_when_nothing_answers_the_whole_batch_comes_again(harness, imagine):
    source = newcomers()
    world, faults = imagine(source), Faults()
    faults.when(lambda operation, arguments: True, throttled)
    deployment = deploy(harness, world, faults)
    assert invoke(deployment, source.records, seconds(harness)) == sequence(source.records[0])
    faults.cease()
    assert drain(world, deployment, source.records) == 1
    check(harness, world, source)


def test_time_that_runs_out_in_mid_batch_fails_the_rest_and_begins_no_more(harness, imagine, monkeypatch):
    monkeypatch.setattr("distributary.index.opensearch.bulk.MAX_ACTIONS", 2)
    monkeypatch.setattr("distributary.derive.transactions.ACTIONS", 12)
    source = newcomers()
    every = calls_of(harness, imagine, source, [], source.records)
    for at in (0, every // 2):
        world, faults = imagine(source), Faults({at: slow(0.6)})
        answered = invoke(deploy(harness, world, faults), source.records, seconds(harness))
        assert answered in map(sequence, source.records)
        assert faults.calls < every
        faults.cease()
        drain(world, deploy(harness, world, faults), source.records)
        check(harness, world, source)


def test_without_time_no_call_is_made_and_all_is_failed(harness, imagine):
    source = newcomers()
    world, faults = imagine(source), Faults()
    assert invoke(deploy(harness, world, faults), source.records, 0.0) == sequence(source.records[0])
    assert faults.calls == 0


def test_unprocessed_tombstones_are_asked_for_again(harness, imagine):
    """BatchGetItem may leave keys unread without an error."""
    source = newcomers(2)
    made = list(source.records)
    for user in range(2):
        source.delete(user)
    world = imagine(source)
    world.dynamodb.batch_get_item = one_at_a_time(world.dynamodb.batch_get_item)
    for batch in (source.records[2:], made):
        assert invoke(deploy(harness, world), batch) is None
    harness.check(world, source)


def one_at_a_time(batch_get_item):
    def first_only(*, RequestItems):
        asked = [
            (table, {**request, "Keys": [key]}) for table, request in RequestItems.items() for key in request["Keys"]
        ]
        left = {}
        for table, request in asked[1:]:
            left.setdefault(table, {**request, "Keys": []})["Keys"] += request["Keys"]
        return {**batch_get_item(RequestItems=dict(asked[:1])), "UnprocessedKeys": left}

    return first_only
