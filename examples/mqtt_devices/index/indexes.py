"""Messages as documents, to search by device, topic, time and what is in the payload."""

import json

from distributary.index import Entity, Field, Index, type_is

MESSAGE = Entity(
    name="message",
    keys=("id",),
    attributes=("clientid", "username", "topic", "payload", "qos", "flags", "timestamp"),
    where=type_is("message.publish", attribute="event"),
)
KEYWORD = {"type": "keyword"}


def username(record):
    """The broker writes `undefined` for a client without a name."""
    return None if record.get("username") == "undefined" else record.get("username")


def retained(record):
    """A field of the JSON in `flags`."""
    return json.loads(record["flags"])["retain"]


INDEXES = [
    Index(
        name="device-messages",
        of=MESSAGE,
        id="{id}",
        fields={
            "id": KEYWORD,
            "device": Field(mapping=KEYWORD, of="clientid"),
            "username": Field(mapping=KEYWORD, of=username),
            "topic": KEYWORD,
            "qos": {"type": "byte"},
            "retained": Field(mapping={"type": "boolean"}, of=retained),
            "at": Field(mapping={"type": "date", "format": "epoch_millis"}, of="timestamp"),
            "text": Field(mapping={"type": "text"}, of="payload"),
            "payload": Field(mapping={"type": "flat_object"}, json=True, on_error="null"),
        },
    )
]
