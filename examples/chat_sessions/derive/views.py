"""What is kept of chat sessions: the active ones, closings and renewals of each character, and each user's history."""

from distributary.derive import Aggregate, Earliest, Entity, Projection, date_trunc, key_prefix, split_part

KEYS = ("PK", "SK")
ATTRIBUTES = ("chat_id", "ai_version", "create_time", "delete_time")


def is_closed(record):
    """Whether a record is of a session that ended. Its key tells."""
    return "#OLD#" in record["SK"]


SESSION = Entity(name="session", keys=KEYS, attributes=ATTRIBUTES)
ACTIVE = Entity(name="active", keys=KEYS, attributes=ATTRIBUTES, where=key_prefix("SK", "#ACTIVE#"))
CLOSED = Entity(name="closed", keys=KEYS, attributes=ATTRIBUTES, where=is_closed)

VIEWS = [
    Aggregate(
        name="active",
        of=ACTIVE,
        pk="CHARACTER#{ai_id}",
        sk="ACTIVE",
        compute={"ai_id": split_part("SK", "#", 2)},
        count="sessions",
    ),
    Aggregate(
        name="closings",
        of=CLOSED,
        pk="CHARACTER#{ai_id}",
        sk="DAY#{day}",
        compute={"ai_id": split_part("SK", "#", 0), "day": date_trunc("delete_time", "day")},
        count="closings",
    ),
    Aggregate(
        name="renewals",
        of=CLOSED,
        pk="CHARACTER#{ai_id}",
        sk="RENEWALS",
        compute={"ai_id": split_part("SK", "#", 0)},
        where=lambda record: "delete_time" not in record,
        count="renewals",
    ),
    Projection(
        name="history",
        of=SESSION,
        pk="USER#{PK}",
        sk="SESSION#{create_time}#{SK}",
        keep=("chat_id", "ai_version", "delete_time"),
    ),
    Earliest(
        name="first-session",
        of=SESSION,
        pk="FIRST-SESSION#{PK}",
        sk="SESSION",
        by="create_time",
        keep=("chat_id",),
        rename={"PK": "user"},
    ),
]
