"""Stream records and changes of the sample users table, as short as a test wants them."""

from distributary.stream import records as stream_records
from distributary.stream.change import Change
from tests.fakes.streaming import arn_of, record

ARN = arn_of("users")
FIRST_SEQUENCE = 203_673_600_000_000_020_074_864_356


def stream_record(place=0, kind="INSERT", user="u-1", new=None, old=None, **top):
    """A record of user `user`; `new` and `old` are attributes besides the key, in DynamoDB JSON."""
    keys = {"user_id": {"S": user}}
    before = None if kind == "INSERT" else {**keys, **(old or {})}
    after = None if kind == "REMOVE" else {**keys, **(new or {})}
    named = {"eventID": f"{place:032x}", "eventName": kind, **top}
    return record(ARN, keys, before, after, FIRST_SEQUENCE + place, **named)


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
