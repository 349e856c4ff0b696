"""The embedded DynamoDB expires items as AWS does."""

import time

import pytest

from local.aws import Aws
from local.expiry import OLDEST_SECONDS, expired

DYNAMODB = {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}


def switch(table, on, attribute="ttl"):
    given = {"Enabled": on, "AttributeName": attribute}
    table.client.update_time_to_live(TableName=table.name, TimeToLiveSpecification=given)


def records(aws, table):
    streams = aws.client("dynamodbstreams")
    (shard,) = streams.describe_stream(StreamArn=table.arn)["StreamDescription"]["Shards"]
    place = {"ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
    iterator = streams.get_shard_iterator(StreamArn=table.arn, **place)["ShardIterator"]
    return streams.get_records(ShardIterator=iterator)["Records"]


def removals(aws, table, count, seconds=15):
    until = time.monotonic() + seconds
    while True:
        found = [each for each in records(aws, table) if each["eventName"] == "REMOVE"]
        if len(found) >= count:
            return found
        assert time.monotonic() < until, f"{len(found)} of {count} items expired"
        time.sleep(0.1)


def left(table):
    return {item["id"]["S"] for item in table.client.scan(TableName=table.name)["Items"]}


def test_an_expired_item_leaves_a_record_that_names_dynamodb(aws, table):
    table.put("over", ttl={"N": str(int(time.time()) - 10)}, name={"S": "Ada"})
    switch(table, True)
    (record,) = removals(aws, table, 1)
    assert record["userIdentity"] == DYNAMODB
    assert record["dynamodb"]["Keys"] == {"id": {"S": "over"}}
    assert record["dynamodb"]["OldImage"]["name"] == {"S": "Ada"}
    assert "NewImage" not in record["dynamodb"]
    assert left(table) == set()


def test_a_delete_by_a_user_names_nobody(aws, table):
    switch(table, True)
    table.put("over", ttl={"N": str(int(time.time()) - 10)})
    removals(aws, table, 1)
    table.put("deleted")
    table.delete("deleted")
    of = {each["dynamodb"]["Keys"]["id"]["S"]: each.get("userIdentity") for each in removals(aws, table, 2)}
    assert of == {"over": DYNAMODB, "deleted": None}


def test_an_item_written_before_its_time_expires_then(aws, table):
    switch(table, True)
    ends = int(time.time()) + 2
    table.put("soon", ttl={"N": str(ends)})
    assert left(table) == {"soon"}
    (record,) = removals(aws, table, 1)
    assert record["dynamodb"]["ApproximateCreationDateTime"].timestamp() >= ends


@pytest.mark.parametrize(
    ("value", "over"),
    [
        (None, False),
        ({"N": "999"}, True),
        ({"N": "999.5"}, True),
        ({"N": "1000"}, False),
        ({"N": "1001"}, False),
        ({"S": "999"}, False),
        ({"NULL": True}, False),
        ({"N": str(1000 - OLDEST_SECONDS)}, True),
        ({"N": str(999 - OLDEST_SECONDS)}, False),
    ],
)
def test_only_a_number_of_the_last_five_years_expires(value, over):
    assert expired(value, 1000.0) is over


def test_nothing_expires_without_ttl_or_after_it_was_switched_off(aws, table):
    other = type(table)(aws)
    other.put("kept", ttl={"N": "1"})
    switch(table, True)
    assert table.client.describe_time_to_live(TableName=table.name)["TimeToLiveDescription"] == {
        "TimeToLiveStatus": "ENABLED",
        "AttributeName": "ttl",
    }
    switch(table, False)
    table.put("kept", ttl={"N": str(int(time.time()) - 10)})
    witness = type(table)(aws)
    switch(witness, True)
    witness.put("over", ttl={"N": str(int(time.time()) - 10)})
    removals(aws, witness, 1)
    assert left(table) == left(other) == {"kept"}


def test_a_table_of_another_region_expires_into_its_own_stream(endpoints, aws, table):
    abroad = Aws.at_emulator(endpoints.aws, "eu-west-1")
    other = type(table)(abroad)
    switch(other, True)
    other.put("over", ttl={"N": str(int(time.time()) - 10)})
    assert [each["awsRegion"] for each in removals(abroad, other, 1)] == ["eu-west-1"]


def test_a_deleted_table_does_not_disturb_the_others(aws, table):
    gone = type(table)(aws)
    switch(gone, True)
    gone.client.delete_table(TableName=gone.name)
    switch(table, True)
    table.put("over", ttl={"N": str(int(time.time()) - 10)})
    assert len(removals(aws, table, 1)) == 1
