"""A record with something wrong in it, from a seed."""

import copy

from tests.unit.records import stream_record

RECORD = stream_record(
    kind="MODIFY",
    new={"email": {"S": "ada@example.com"}, "name": {"S": "Ada"}, "avatar": {"B": "AP8="}, "tags": {"SS": ["a"]}},
    old={"email": {"S": "a@example.com"}, "balance": {"N": "1"}, "more": {"L": [{"M": {"x": {"NULL": True}}}]}},
    userIdentity={"type": "Service", "principalId": "dynamodb.amazonaws.com"},
)
JUNK = [None, True, -1, 1.5, float("nan"), 10**400, "", "x", "\ud800", [], [1], {}, {"S": 1}, {"S": "\ud800"}]
JUNK += [{"N": "1"}, {"B": "?"}, {"L": {}}, {"\ud800": {"S": "x"}}, {"M": {"\ud800": {"S": "x"}}}, {"a": {"S": "b"}}]


def places(part, way=()):
    members = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for name, member in members:
        yield (*way, name)
        yield from places(member, (*way, name))


def broken(chance):
    """The record with one or two of its places taken out, renamed or filled with junk."""
    record = copy.deepcopy(RECORD)
    for _ in range(chance.choice([1, 1, 2])):
        *way, last = chance.choice(list(places(record)) or [("eventID",)])
        part = record
        for step in way:
            part = part[step]
        match chance.randrange(4):
            case 0 if last in part or isinstance(part, list):
                del part[last]
            case 1 if isinstance(part, dict) and last in part:
                part[chance.choice(["\ud800", "user_id", "dynamodb"])] = part.pop(last)
            case _:
                part[last] = copy.deepcopy(chance.choice(JUNK))
    return record
