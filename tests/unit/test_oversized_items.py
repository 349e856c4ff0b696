"""An image over 400 KB, which DynamoDB refuses to hold, is parked, and its neighbours go through."""

import boto3
from moto import mock_aws

from distributary.consumer.consume import consume
from distributary.consumer.parallel import Parallel
from tests.fakes.built import mirror
from tests.unit.branches import Bucket, Context, deployment
from tests.unit.records import event, stream_record


def table(client, name, key):
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


@mock_aws
def test_an_image_over_400_kb_is_parked_and_its_neighbours_go_through(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    client, bucket = boto3.client("dynamodb", "eu-west-1"), Bucket()
    table(client, "replica", "user_id")
    table(client, "tombstones", "id")
    branch = mirror(client, parallel=Parallel(2))
    huge = stream_record(1, user="u-1", new={"name": {"S": "x" * 410_000}})
    batch = event(stream_record(0, user="u-0"), huge, stream_record(2, user="u-2"))
    assert consume(batch, Context(), deployment(branch, bucket, "replicate")) == {"batchItemFailures": []}
    assert {item["user_id"]["S"] for item in client.scan(TableName="replica")["Items"]} == {"u-0", "u-2"}
    (body,) = bucket.bodies().values()
    assert body["record"] == huge
    assert body["cause"] == "row PutItem: ValidationException"
