"""Chat sessions as documents, to search by user, character, version, state and time."""

from distributary.index import Entity, Field, Index

SESSION = Entity(name="session", keys=("PK", "SK"), attributes=("chat_id", "ai_version", "create_time", "delete_time"))
KEYWORD, DATE = {"type": "keyword"}, {"type": "date"}


def character(record):
    """The character's id, which is in the sort key."""
    sort = record["SK"]
    return sort.removeprefix("#ACTIVE#") if sort.startswith("#ACTIVE#") else sort.partition("#OLD#")[0]


def state(record):
    """A closed record without `delete_time` was renewed."""
    if record["SK"].startswith("#ACTIVE#"):
        return "active"
    return "closed" if "delete_time" in record else "renewed"


INDEXES = [
    Index(
        name="chat-sessions",
        of=SESSION,
        id="{PK}/{SK}",
        fields={
            "user": Field(mapping=KEYWORD, of="PK"),
            "character": Field(mapping=KEYWORD, of=character),
            "chat_id": KEYWORD,
            "ai_version": KEYWORD,
            "state": Field(mapping=KEYWORD, of=state),
            "created": Field(mapping=DATE, of="create_time"),
            "closed": Field(mapping=DATE, of="delete_time"),
        },
    )
]
