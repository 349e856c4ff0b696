"""One event for each session that ends. The closed record alone tells which: DeleteChat writes `delete_time` into it,
RenewChat does not. The active record's own change is not needed, so the order of the two does not matter."""

from distributary.welcome import Entity, EventBridge, Rule, Stored


def is_closed(record):
    """Whether a record is of a session that ended. Its key tells."""
    return "#OLD#" in record["SK"]


CLOSED = Entity(
    name="closed",
    keys=("PK", "SK"),
    attributes=("chat_id", "ai_version", "create_time", "delete_time"),
    where=is_closed,
)

RULES = [
    Rule(
        name="chat-closed",
        of=CLOSED,
        channel=EventBridge,
        where=lambda record: "delete_time" in record,
        content={"en": Stored("chat-closed", values=("PK", "chat_id", "ai_version"))},
    ),
    Rule(
        name="chat-renewed",
        of=CLOSED,
        channel=EventBridge,
        where=lambda record: "delete_time" not in record,
        content={"en": Stored("chat-renewed", values=("PK", "chat_id", "ai_version"))},
    ),
]
