"""A Kinesis data stream, read as a mapping reads a DynamoDB stream."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from distributary.stream.kinesis import EVENT_SOURCE, data_stream_of


class DataStream:
    """A client of Kinesis with the calls of one of DynamoDB Streams, as far as a mapping makes them. A stream's ARN is
    as a function's source names it (see `stream.kinesis.source_of`)."""

    def __init__(self, kinesis: Any) -> None:
        self._kinesis = kinesis

    def describe_stream(self, StreamArn: str, **page: str) -> dict[str, Any]:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeStream.html"""
        found = self._kinesis.describe_stream(StreamARN=data_stream_of(StreamArn), **page)["StreamDescription"]
        last = found["Shards"][-1]["ShardId"] if found["HasMoreShards"] else None
        return {"StreamDescription": {"Shards": found["Shards"], "LastEvaluatedShardId": last}}

    def get_shard_iterator(self, StreamArn: str, SequenceNumber: str | None = None, **place: str) -> Any:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetShardIterator.html"""
        after = {"StartingSequenceNumber": SequenceNumber} if SequenceNumber else {}
        return self._kinesis.get_shard_iterator(StreamARN=data_stream_of(StreamArn), **place, **after)

    def get_records(self, **asked: Any) -> Any:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html"""
        return self._kinesis.get_records(**asked)


def sequence_of(record: Mapping[str, Any]) -> str:
    """The sequence number of a record of GetRecords, of either service."""
    return str(record["SequenceNumber"] if "Data" in record else record["dynamodb"]["SequenceNumber"])


def lambda_record(record: Mapping[str, Any], source: str, region: str, shard_id: str) -> dict[str, Any]:
    """One record of GetRecords in Lambda's form: https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html"""
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": record["PartitionKey"],
            "sequenceNumber": record["SequenceNumber"],
            "data": base64.b64encode(record["Data"]).decode(),
            "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"].timestamp(),
        },
        "eventSource": EVENT_SOURCE,
        "eventVersion": "1.0",
        "eventID": f"{shard_id}:{record['SequenceNumber']}",
        "eventName": "aws:kinesis:record",
        "awsRegion": region,
        "eventSourceARN": data_stream_of(source),
    }


def filterable(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """A record as filters see it: the data of one of Kinesis is decoded, and what is no JSON matches no pattern of JSON
    (https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis-filtering.html)."""
    if "kinesis" not in event:
        return event
    try:
        data = json.loads(base64.b64decode(event["kinesis"]["data"]))
    except ValueError:
        data = None
    return {**event, **event["kinesis"], "data": data}
