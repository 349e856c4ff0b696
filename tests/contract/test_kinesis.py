"""What holds of a table's stream holds of its changes in a Kinesis data stream: every promise of delivery, in its form.

`test_delivery` shuffles, repeats and rewinds; here each record comes as DynamoDB writes it into a data stream. Crashes
and outages are mended on either source, too.
"""

import pytest

from distributary.consumer.consume import consume
from distributary.stream.kinesis import plain
from tests.contract import lambda_service, test_crashes, test_delivery, test_outages
from tests.contract.harness import deploy
from tests.contract.histories import one_life
from tests.contract.source import TABLES  # noqa: F401  (the promises' parameters)
from tests.contract.test_crashes import (  # noqa: F401
    test_a_crash_before_or_after_any_call_is_mended_by_redelivery,
    test_a_crash_without_redelivery_is_repaired_by_the_items_next_changes,
)
from tests.contract.test_delivery import *  # noqa: F403  (the promises)
from tests.contract.test_outages import test_an_outage_at_any_call_is_mended_by_redelivery  # noqa: F401
from tests.fakes.kinesis import MICROS, delivered, source_of, written

SOURCE = "users"


def carried(record):
    """A stream's record as Kinesis brings it; what Distributary feeds itself is no record of Kinesis's."""
    ours = {name: record[name] for name in ("distributary",) if name in record}
    number = record["dynamodb"].get("SequenceNumber")
    if number is None:
        return {**record, "eventSourceARN": source_of(SOURCE)}
    counter = int(number[:-20])
    by_kinesis = delivered(written(record, SOURCE, MICROS + counter), counter)
    return {**plain(by_kinesis), **ours} if ours else by_kinesis


@pytest.fixture(autouse=True)
def by_kinesis(monkeypatch):
    def invoke(deployment, records, seconds=30.0):
        event = {"Records": [carried(record) for record in records]}
        failures = consume(event, lambda_service.Context(seconds), deployment)["batchItemFailures"]
        return failures[0]["itemIdentifier"] if failures else None

    for module in (lambda_service, test_crashes, test_delivery, test_outages):
        monkeypatch.setattr(module, "invoke", invoke)


def test_what_fails_is_named_by_the_data_stream_s_own_number(harness, imagine):
    """Lambda knows no other of these records."""
    source = one_life()
    deployment = deploy(harness, imagine(source))
    failed = lambda_service.invoke(deployment, source.records, seconds=0.0)
    assert failed in {carried(record)["kinesis"]["sequenceNumber"] for record in source.records}
