"""Every received change comes to one end, and Lambda hears the first that failed."""

import json

import pytest
from botocore.exceptions import NoRegionError

from distributary.consumer import outcome as outcomes
from distributary.consumer.consume import Deployment, consume
from distributary.consumer.deadline import FOREVER, governing
from distributary.consumer.outcome import APPLIED, IGNORED, SUPERSEDED
from distributary.consumer.parallel import Parallel
from distributary.consumer.settings import StreamSettings
from distributary.consumer.telemetry import Telemetry
from distributary.errors import ConfigError, Rejected, Unavailable
from tests.unit.branches import Bucket, Context, Ledger, deployment
from tests.unit.records import event, sequence, stream_record

FAILED = outcomes.failed(Unavailable("busy"))
PARKED = outcomes.parked(Rejected("never", "the secret"))


def answer(*identifiers):
    return {"batchItemFailures": [{"itemIdentifier": each} for each in identifiers]}


def three(**kwargs):
    return event(*(stream_record(i, user=f"u-{i}", **kwargs) for i in range(3)))


def malformed(place=1):
    record = stream_record(place)
    del record["dynamodb"]["Keys"]
    return record


def metrics(capsys):
    """The counts that went out, one batch a line."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [{k: v[0] for k, v in line.items() if isinstance(v, list)} for line in lines if "_aws" in line]


def test_a_batch_without_failures_is_answered_with_an_empty_list():
    branch, bucket = Ledger(APPLIED, **{"u-1": SUPERSEDED, "u-2": IGNORED}), Bucket()
    assert consume(three(), Context(), deployment(branch, bucket)) == answer()
    assert bucket.objects == {}


def test_the_branch_gets_the_changes_in_the_order_of_the_batch():
    branch = Ledger(APPLIED)
    consume(three(), Context(), deployment(branch, Bucket()))
    assert [change.keys["user_id"] for change in branch.seen] == ["u-0", "u-1", "u-2"]


def test_the_first_failed_in_batch_order_is_answered_and_no_other():
    branch = Ledger(APPLIED, **{"u-2": FAILED, "u-1": FAILED})
    assert consume(three(), Context(), deployment(branch, Bucket())) == answer(sequence(1))


def test_an_empty_batch_asks_nothing_of_the_branch_and_counts_nothing(capsys):
    branch = Ledger(APPLIED)
    assert consume(event(), Context(), deployment(branch, Bucket())) == answer()
    assert branch.seen == []
    assert metrics(capsys)[0]["Received"] == 0


def test_the_buckets_client_is_made_when_a_change_is_parked_and_once():
    bucket, made = Bucket(), []
    settings = StreamSettings(parking_bucket="parking", generation=0)

    def clients(service):
        made.append(service)
        return bucket

    branch = Ledger(APPLIED, **{"u-1": PARKED, "u-2": PARKED})
    deployed = Deployment.of(branch, settings, clients, Parallel(2), Telemetry("derive"))
    consume(event(stream_record(0, user="u-0")), Context(), deployed)
    assert made == []
    for _ in range(2):
        assert consume(three(), Context(), deployed) == answer()
    assert (made, len(bucket.objects)) == (["s3"], 2)


def test_a_client_that_cannot_be_made_fails_what_would_have_been_parked():
    def clients(service):
        raise NoRegionError

    settings = StreamSettings(parking_bucket="parking", generation=0)
    deployed = Deployment.of(Ledger(PARKED), settings, clients, Parallel(2), Telemetry("derive"))
    assert consume(three(), Context(), deployed) == answer(sequence(0))


def test_a_rejected_change_is_parked_with_its_cause_and_the_shard_moves_on():
    bucket = Bucket()
    batch = three()
    assert consume(batch, Context(), deployment(Ledger(APPLIED, **{"u-1": PARKED}), bucket)) == answer()
    (body,) = bucket.bodies().values()
    assert body == {
        "format": 1,
        "branch": "derive",
        "eventID": batch["Records"][1]["eventID"],
        "table": "users",
        "key": {"user_id": {"S": "u-1"}},
        "expired": False,
        "version": sequence(1),
        "cause": "never",
        "detail": "the secret",
        "record": batch["Records"][1],
    }


def test_an_undecodable_record_is_parked_as_it_came_and_the_others_go_through():
    branch, bucket = Ledger(APPLIED), Bucket()
    batch = event(stream_record(0), malformed(), stream_record(2))
    assert consume(batch, Context(), deployment(branch, bucket)) == answer()
    assert len(branch.seen) == 2
    (body,) = bucket.bodies().values()
    assert body["record"] == batch["Records"][1]
    assert (body["version"], body["cause"]) == (None, "the record has no Keys")


def test_a_record_parked_twice_is_parked_once():
    bucket = Bucket()
    nameless = malformed()
    del nameless["eventID"]
    for _ in range(2):
        consume(event(malformed(), nameless), Context(), deployment(Ledger(APPLIED), bucket))
    assert len(bucket.objects) == 2


def test_a_batch_of_nothing_but_poison_asks_nothing_of_the_branch():
    class Idle:
        def apply(self, changes, deadline):
            raise AssertionError("asked for nothing")

    bucket = Bucket()
    assert consume(event(malformed()), Context(), deployment(Idle(), bucket)) == answer()
    assert len(bucket.objects) == 1


def test_what_cannot_be_parked_has_failed_and_comes_again():
    branch = Ledger(APPLIED, **{"u-1": PARKED})
    assert consume(three(), Context(), deployment(branch, Bucket(refuses="parked/"))) == answer(sequence(1))


def test_an_undecodable_record_that_cannot_be_parked_comes_again():
    batch = event(stream_record(0), malformed(1), stream_record(2))
    assert consume(batch, Context(), deployment(Ledger(APPLIED), Bucket(refuses="parked/"))) == answer(sequence(1))


def test_a_record_without_identifier_or_parking_brings_the_batch_again():
    """An empty identifier is one that Lambda does not know: it takes the whole batch as failed."""
    batch = event(stream_record(0), {"eventID": "lost"}, stream_record(2))
    assert consume(batch, Context(), deployment(Ledger(APPLIED), Bucket(refuses="parked/"))) == answer("")


def test_one_refused_parking_leaves_the_others_parked():
    batch = three()
    bucket = Bucket(refuses=batch["Records"][1]["eventID"])
    assert consume(batch, Context(), deployment(Ledger(PARKED), bucket)) == answer(sequence(1))
    assert len(bucket.objects) == 2


def test_what_cannot_be_written_to_json_is_parked_all_the_same():
    bucket = Bucket()
    record = {**malformed(), "note": {1, 2}, "text": "\ud800"}
    assert consume(event(record), Context(), deployment(Ledger(APPLIED), bucket)) == answer()
    (body,) = bucket.bodies().values()
    assert body["record"]["note"] == "{1, 2}"


@pytest.mark.parametrize("many", [0, 2, 4])
def test_a_branch_that_answers_too_few_or_too_many_is_an_error(many):
    class Broken:
        def apply(self, changes, deadline):
            return [APPLIED] * many

    with pytest.raises(AssertionError, match=f"answered {many} outcomes for 3 changes"):
        consume(three(), Context(), deployment(Broken(), Bucket()))


def test_what_a_branch_raises_rises_so_that_lambda_delivers_the_batch_again():
    class Broken:
        def apply(self, changes, deadline):
            raise RuntimeError("a fault of ours")

    with pytest.raises(RuntimeError, match="a fault of ours"):
        consume(three(), Context(), deployment(Broken(), Bucket()))


def test_an_event_of_no_stream_does_nothing_and_says_so():
    branch, bucket = Ledger(APPLIED), Bucket()
    with pytest.raises(ConfigError, match="see events/"):
        consume({"hello": "world"}, Context(), deployment(branch, bucket))
    assert branch.seen == []


def test_the_branch_is_given_less_time_than_lambda_gives():
    seen = []

    class Clocked:
        def apply(self, changes, deadline):
            seen.append(deadline.left())
            return [APPLIED] * len(changes)

    consume(three(), Context(30), deployment(Clocked(), Bucket()))
    assert 26 < seen[0] <= 27


def test_calls_that_are_given_no_deadline_have_the_invocation_s():
    class Asking(Ledger):
        def apply(self, changes, deadline):
            governed.append((governing(), deadline))
            return super().apply(changes, deadline)

    governed = []
    consume(event(stream_record(0)), Context(), deployment(Asking(APPLIED), Bucket()))
    ((found, given),) = governed
    assert found == given
    assert governing() == FOREVER


def test_the_generation_of_the_deployment_is_the_changes_own():
    branch = Ledger(APPLIED)
    consume(three(), Context(), deployment(branch, Bucket(), generation=4))
    assert branch.seen[0].version == 4 * 10**40 + int(sequence(0))


def test_received_is_the_sum_of_the_rest_also_when_parking_fails(capsys):
    batch = event(
        *(stream_record(i, user=f"u-{i}") for i in range(6)), malformed(6), stream_record(7, distributary={"origin": 1})
    )
    ends = {"u-1": SUPERSEDED, "u-2": IGNORED, "u-3": PARKED, "u-4": FAILED, "u-5": PARKED}
    bucket = Bucket(refuses=batch["Records"][5]["eventID"])
    assert consume(batch, Context(), deployment(Ledger(APPLIED, **ends), bucket)) == answer(sequence(4))
    (counts,) = metrics(capsys)
    counts.pop("Lag")
    assert counts.pop("Received") == sum(counts.values()) == 8
    assert counts == {"Applied": 1, "Superseded": 1, "Ignored": 1, "Parked": 3, "Failed": 2}
