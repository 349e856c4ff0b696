"""The template's tables and buckets, made at an emulator."""

from typing import Any

from botocore.exceptions import ClientError

from local.aws import Aws, said_in_one_line
from local.template import Storage, TableSpec

_STREAM = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}}


def create(storage: Storage, aws: Aws) -> None:
    """Makes what is not there yet, and leaves the rest as it is. Time to live stays off: what
    a function keeps for days outlives no run here, and an emulator's own TTL may leave no trace in a stream."""
    with said_in_one_line(f"the functions' tables and buckets at {aws.endpoint}"):
        dynamodb, s3 = aws.client("dynamodb"), aws.client("s3")
        for table in storage.tables:
            try:
                dynamodb.create_table(**_arguments(table))
            except dynamodb.exceptions.ResourceInUseException:
                continue
        for bucket in storage.buckets:
            _create_bucket(s3, bucket, aws.region)


def _arguments(table: TableSpec) -> dict[str, Any]:
    return {
        "TableName": table.name,
        "KeySchema": list(table.key_schema),
        "AttributeDefinitions": list(table.attributes),
        "BillingMode": "PAY_PER_REQUEST",
        **(_STREAM if table.stream else {}),
    }


def _create_bucket(s3: object, name: str, region: str) -> None:
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        s3.create_bucket(Bucket=name, **place)  # type: ignore[attr-defined]
    except ClientError as error:
        if error.response["Error"]["Code"] != "BucketAlreadyOwnedByYou":
            raise
