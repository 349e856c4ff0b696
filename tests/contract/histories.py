"""What may happen to the items of a table, drawn at random from a seed."""

from random import Random
from typing import Any

from tests.contract.source import SINGLE, Source, Table

NAMES = ("sentinel", "sentinel ☃ Åse", "sentinel 水の 🌊", "sentinel\u0000\n")
BALANCES = ("27182818284590452353602874713526624977", "-0.0271828182845904523", "271828182845904523")
AVATARS = ("c2VudGluZWw=", "c2VudGluZWwA/wA=")
TAGS = ({"SS": ["sentinel", "a sentinel"]}, {"SS": ["sentinel ü"]})
NESTED = ({"M": {"sentinel": {"L": [{"NULL": True}, {"BS": ["c2VudGluZWw="]}]}}}, {"L": []}, {"S": ""})
STATUSES, KINDS = ("active", "active", "asleep"), ("person", "person", "person", "robot")


def attributes(random: Random) -> dict[str, Any]:
    """Some attributes of a user; `status` and `kind` move it in and out of what the branches keep."""
    every = {
        "name": {"S": random.choice(NAMES)},
        "balance": {"N": random.choice(BALANCES)},
        "visits": {"N": str(random.randrange(271828182845904523))},
        "avatar": {"B": random.choice(AVATARS)},
        "tags": random.choice(TAGS),
        "nested": random.choice(NESTED),
    }
    kept = {name: value for name, value in every.items() if random.random() < 0.6}
    return {**kept, "status": {"S": random.choice(STATUSES)}, "kind": {"S": random.choice(KINDS)}}


def step(source: Source, user: int) -> None:
    """One thing happens to a user: an insert, an update, a delete, a TTL delete, a new life after it."""
    random = source.random
    if user in source.items and random.random() < 0.35:
        source.delete(user, expired=random.random() < 0.5)
    else:
        source.put(user, **attributes(random))


def at_random(seed: int, table: Table = SINGLE, users: int = 3, changes: int = 12) -> Source:
    """A table to which so much happened."""
    source = Source(table, seed)
    while len(source.records) < changes:
        step(source, source.random.randrange(users))
    return source


def one_life() -> Source:
    """The shortest history that holds it all: made, left out, back, deleted; another stays; a third is born again."""
    source = Source()
    source.put(0, name={"S": "sentinel"})
    source.put(1, balance={"N": BALANCES[0]})
    source.put(0, name={"S": "sentinel"}, status={"S": "asleep"})
    source.put(2, avatar={"B": AVATARS[0]})
    source.delete(2)
    source.put(0, name={"S": "sentinel again"})
    source.delete(0, expired=True)
    source.put(2, tags=TAGS[0])
    return source


def shortest() -> Source:
    """Made, changed, deleted; and one that stays."""
    source = Source()
    source.put(0)
    source.put(1)
    source.put(0, name={"S": "sentinel"}, status={"S": "asleep"})
    source.delete(0)
    return source
