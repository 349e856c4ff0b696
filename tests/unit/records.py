"""Stream records and changes of the sample users table, as short as a test wants them."""

from distributary.stream import records as stream_records
from distributary.stream.change import Change

ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/users/stream/2026-11-20T09:12:44.017"
CREATED = 1_795_341_600
FIRST_SEQUENCE = 203_673_600_000_000_020_074_864_356


def stream_record(place=0, kind="INSERT", user="u-1", new=None, old=None, **top):
    """A record of user `user`; `new` and `old` are attributes besides the key, in DynamoDB JSON."""
    keys = {"user_id": {"S": user}}
    body = {
        "ApproximateCreationDateTime": CREATED,
        "Keys": keys,
        "SequenceNumber": str(FIRST_SEQUENCE + place),
        "SizeBytes": 26,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    if kind != "REMOVE":
        body["NewImage"] = {**keys, **(new or {})}
    if kind != "INSERT":
        body["OldImage"] = {**keys, **(old or {})}
    return {
        "eventID": f"{place:032x}",
        "eventName": kind,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": body,
        "eventSourceARN": ARN,
        **top,
    }


def sequence(place):
    """The sequence number, and so the identifier, of the record at `place`."""
    return str(FIRST_SEQUENCE + place)


def event(*records):
    """What Lambda hands to the function."""
    return {"Records": list(records)}


def change(*args, generation=0, **kwargs) -> Change:
    """The change that `stream_record` describes."""
    (entry,) = stream_records.decode(event(stream_record(*args, **kwargs)), generation)
    assert isinstance(entry, Change), entry
    return entry
