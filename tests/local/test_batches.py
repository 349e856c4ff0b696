"""What a mapping does with an answer."""

import pytest

from distributary.consumer.partial_response import first_failure
from local.esm.batches import PAYLOAD_BYTES, Batch, decide, expired, ready
from local.esm.records import Record
from local.esm.settings import MappingSettings


def settings(**given):
    return MappingSettings("TRIM_HORIZON", reports_failures=True, **given)


def records(count, created=0.0):
    return tuple(Record({}, b"{}", str(n), "item", created) for n in range(count))


@pytest.mark.parametrize("payload", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}])
def test_nothing_reported_is_success(payload):
    assert first_failure(["1", "2"], payload) is None


@pytest.mark.parametrize(
    "reported",
    [
        [{"itemIdentifier": ""}],
        [{"itemIdentifier": None}],
        [{"itemIdentifier": "9"}],
        [{"id": "2"}],
        ["2"],
        "2",
        "",
        5,
        0.0,
    ]
    + [[{"itemIdentifier": each}] for each in (2, ["2"], {"2": "2"})],
)
def test_an_identifier_that_names_nothing_fails_the_whole_batch(reported):
    assert first_failure(["1", "2"], {"batchItemFailures": reported}) == 0


def test_an_empty_identifier_names_no_record_not_even_one_without_any():
    assert first_failure(["1", "", "2"], {"batchItemFailures": [{"itemIdentifier": ""}]}) == 0


def test_one_bad_identifier_among_good_ones_fails_the_whole_batch():
    reported = [{"itemIdentifier": "3"}, {"itemIdentifier": "unknown"}]
    assert first_failure(["1", "2", "3"], {"batchItemFailures": reported}) == 0


def test_an_answer_that_is_no_response_fails_the_whole_batch():
    assert first_failure(["1", "2"], "done") == 0


def test_the_first_reported_record_in_batch_order_is_the_checkpoint():
    reported = [{"itemIdentifier": "3"}, {"itemIdentifier": "2"}]
    assert first_failure(["1", "2", "3"], {"batchItemFailures": reported}) == 1


def test_of_records_with_one_identifier_the_first_counts():
    assert first_failure(["1", "2", "2"], {"batchItemFailures": [{"itemIdentifier": "2"}]}) == 1


def test_success_ends_every_record():
    batch = Batch(records(3))
    assert decide(batch, None, settings()).done == batch.records


def test_a_partial_failure_delivers_again_from_the_reported_record_on():
    batch = Batch(records(4))
    decision = decide(batch, 1, settings())
    assert decision.done == batch.records[:1]
    assert [each.records for each in decision.again] == [batch.records[1:]]
    assert decision.again[0].retries == 1


def test_a_split_at_the_reported_record_uses_up_no_retry():
    decision = decide(Batch(records(4)), 1, settings(bisect=True, retries=0))
    assert decision.again[0].retries == 0
    assert decision.bisected


def test_an_error_splits_a_batch_in_halves_and_uses_up_no_retry():
    batch = Batch(records(5))
    decision = decide(batch, 0, settings(bisect=True, retries=0))
    assert [each.records for each in decision.again] == [batch.records[:3], batch.records[3:]]
    assert {each.retries for each in decision.again} == {0}


def test_a_single_record_uses_up_its_retries_and_is_then_discarded():
    batch = Batch(records(1))
    tried = decide(batch, 0, settings(bisect=True, retries=1))
    assert tried.again[0].retries == 1
    assert decide(tried.again[0], 0, settings(bisect=True, retries=1)).discarded == batch.records


def test_without_bisect_the_rest_of_the_batch_is_discarded_with_its_culprit():
    batch = Batch(records(4), retries=2)
    decision = decide(batch, 1, settings(retries=2))
    assert (decision.done, decision.discarded) == (batch.records[:1], batch.records[1:])


def test_without_a_limit_a_batch_is_retried_for_ever():
    assert decide(Batch(records(2), retries=10_000), 0, settings(retries=-1)).retried


def test_records_too_old_are_taken_from_the_front_of_a_batch():
    batch = Batch((*records(2, created=10), *records(1, created=99)))
    old, rest = expired(batch, 100, settings(record_age=60))
    assert (old, rest.records) == (batch.records[:2], batch.records[2:])


def test_without_an_age_limit_no_record_is_too_old():
    assert expired(Batch(records(2)), 1e12, settings()) == ((), Batch(records(2)))


def test_a_batch_waits_for_its_window_unless_it_is_full():
    assert ready([10, 10], 0.5, settings(batch_size=3, window=1)) == 0
    assert ready([10, 10], 1.0, settings(batch_size=3, window=1)) == 2
    assert ready([10, 10, 10, 10], 0.0, settings(batch_size=3, window=1)) == 3


def test_without_a_window_whatever_waits_is_a_batch():
    assert ready([10], 0.0, settings()) == 1


def test_a_batch_never_exceeds_lambdas_payload_of_six_megabytes():
    megabyte = 1024 * 1024
    assert ready([megabyte] * 8, 0.0, settings(window=5)) == 5
    assert ready([PAYLOAD_BYTES * 2], 0.0, settings()) == 1
