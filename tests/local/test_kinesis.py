"""A Kinesis data stream that the embedded table writes into, and the mapping that delivers it to a function."""

import base64
import json
import time

import pytest

from distributary.stream.change import Change, Kind
from distributary.stream.records import decode
from local.attach import source_table
from local.errors import LocalError
from local.esm.data_stream import DataStream
from local.esm.lane import Backoff
from local.esm.mapping import EventSourceMapping, Hooks, Stream
from local.esm.settings import MappingSettings
from local.runtime_api import Answer
from tests.local.test_mapping import ARN, drain

REGION = "us-east-1"
PATTERNS = {"data": {"tableName": ["TABLE"], "eventName": ["INSERT", "MODIFY", "REMOVE"]}}
DATA = b"\x00\xff data"


@pytest.fixture
def shared(aws, table):
    """The table and another one write into one data stream of two shards."""
    kinesis, dynamodb = aws.client("kinesis"), aws.client("dynamodb")
    name = f"changes-{table.name}"
    kinesis.create_stream(StreamName=name, ShardCount=2)
    arn = kinesis.describe_stream(StreamName=name)["StreamDescription"]["StreamARN"]
    key = {"AttributeName": "id"}
    other = f"other-{table.name}"
    dynamodb.create_table(
        TableName=other,
        KeySchema=[key | {"KeyType": "HASH"}],
        AttributeDefinitions=[key | {"AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for each in (table.name, other):
        dynamodb.enable_kinesis_streaming_destination(
            TableName=each,
            StreamArn=arn,
            EnableKinesisStreamingConfiguration={"ApproximateCreationDateTimePrecision": "MICROSECOND"},
        )
    yield name, other
    kinesis.delete_stream(StreamName=name)


class Keeping:
    """A function that keeps its events, and fails one record of Kinesis the first time."""

    def __init__(self, failing=None):
        self.failing, self.events = failing, []

    def __call__(self, payload):
        event = json.loads(payload)
        self.events.append(event)
        numbers = [each["kinesis"]["sequenceNumber"] for each in event["Records"]]
        if self.failing is not None and len(self.events) == 1:
            return Answer("request", {"batchItemFailures": [{"itemIdentifier": numbers[self.failing]}]})
        return Answer("request", {"batchItemFailures": []})

    def changes(self):
        return [each for event in self.events for each in decode(event, 3)]


def mapped(aws, function, source, table, **more):
    patterns = (json.loads(json.dumps(PATTERNS).replace("TABLE", table)),)
    settings = MappingSettings("TRIM_HORIZON", reports_failures=True, patterns=patterns, **more)
    stream = Stream(source, REGION, DataStream(aws.client("kinesis")))
    return EventSourceMapping(stream, ARN, function, settings, aws.client, Hooks(), Backoff(0.01, 0.05))


def test_a_table_s_changes_are_delivered_as_changes_and_no_other_table_s(aws, table, shared):
    name, other = shared
    described, _ = source_table(aws, table.name, name)
    function = Keeping()
    mapping = mapped(aws, function, described.stream_arn, table.name)
    mapping.start()
    try:
        dynamodb, begun = aws.client("dynamodb"), time.time()
        dynamodb.put_item(TableName=table.name, Item={"id": {"S": "a"}, "raw": {"B": DATA}, "all": {"BS": [DATA]}})
        dynamodb.put_item(TableName=other, Item={"id": {"S": "a"}})
        dynamodb.put_item(TableName=table.name, Item={"id": {"S": "a"}, "raw": {"B": b""}})
        dynamodb.delete_item(TableName=table.name, Key={"id": {"S": "a"}})
        drain(mapping)
    finally:
        mapping.stop()
    changes = function.changes()
    assert all(isinstance(each, Change) for each in changes)
    assert [each.kind for each in changes] == [Kind.INSERT, Kind.MODIFY, Kind.REMOVE]
    assert dict(changes[0].new) == {"id": "a", "raw": DATA, "all": {DATA}}
    assert {each.source for each in changes} == {described.stream_arn}
    assert sorted(each.version for each in changes) == [each.version for each in changes]
    assert begun - 1 < changes[0].created < time.time() + 1


def test_what_fails_comes_again_from_its_own_number_on(aws, table, shared):
    described, _ = source_table(aws, table.name, shared[0])
    for at in range(3):
        aws.client("dynamodb").put_item(TableName=table.name, Item={"id": {"S": "a"}, "at": {"N": str(at)}})
    function = Keeping(failing=1)
    mapping = mapped(aws, function, described.stream_arn, table.name, batch_size=10, window=1)
    mapping.start()
    try:
        drain(mapping)
    finally:
        mapping.stop()
    first, again = (event["Records"] for event in function.events)
    assert [base64.b64decode(each["kinesis"]["data"]) for each in again] == [
        base64.b64decode(each["kinesis"]["data"]) for each in first[1:]
    ]


def test_a_table_that_writes_into_no_such_data_stream_is_told_how_to(aws, table):
    with pytest.raises(LocalError, match=r"enable-kinesis.* --table-name .*=MICROSECOND"):
        source_table(aws, table.name, "elsewhere")


@pytest.mark.emulator
def test_a_stack_has_a_consumer_of_its_data_stream_until_it_is_deleted(aws):
    kinesis, formation = aws.client("kinesis"), aws.client("cloudformation")
    kinesis.create_stream(StreamName="consumed", ShardCount=1)
    arn = kinesis.describe_stream_summary(StreamName="consumed")["StreamDescriptionSummary"]["StreamARN"]
    resource = {"Type": "AWS::Kinesis::StreamConsumer", "Properties": {"ConsumerName": "derive", "StreamARN": arn}}
    outputs = {"Named": {"Value": {"Ref": "Reader"}}, "Told": {"Value": {"Fn::GetAtt": ["Reader", "ConsumerARN"]}}}
    template = json.dumps({"Resources": {"Reader": resource}, "Outputs": outputs})
    formation.create_stack(StackName="reads", TemplateBody=template)
    formation.get_waiter("stack_create_complete").wait(StackName="reads", WaiterConfig={"Delay": 1})
    (stack,) = formation.describe_stacks(StackName="reads")["Stacks"]
    named = {each["OutputValue"] for each in stack["Outputs"]}
    assert named == {each["ConsumerARN"] for each in kinesis.list_stream_consumers(StreamARN=arn)["Consumers"]}
    assert len(named) == 1
    formation.delete_stack(StackName="reads")
    formation.get_waiter("stack_delete_complete").wait(StackName="reads", WaiterConfig={"Delay": 1})
    assert kinesis.list_stream_consumers(StreamARN=arn)["Consumers"] == []


@pytest.mark.emulator
def test_the_destinations_of_a_table_are_found_by_its_arn(aws, table, shared):
    client = aws.client("dynamodb")
    arn = client.describe_table(TableName=table.name)["Table"]["TableArn"]
    (found,) = client.describe_kinesis_streaming_destination(TableName=arn)["KinesisDataStreamDestinations"]
    assert found["StreamArn"].endswith(f"stream/{shared[0]}")
