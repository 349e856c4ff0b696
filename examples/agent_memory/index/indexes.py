"""Messages and workflow snapshots as documents, with what is inside their JSON."""

import json
from decimal import Decimal

from distributary.index import Entity, Field, Index, electro_entity

KEYWORD, DATE, ANYTHING = {"type": "keyword"}, {"type": "date"}, {"type": "flat_object"}
ATTACHMENT_CHARACTERS = 1000
"""A longer text inside a message's JSON is an attachment, and left out."""

MESSAGE = Entity(
    name="message",
    keys=("pk", "sk"),
    attributes=("id", "threadId", "resourceId", "role", "content", "createdAt"),
    where=electro_entity("message"),
)
SNAPSHOT = Entity(
    name="snapshot",
    keys=("pk", "sk"),
    attributes=("workflow_name", "run_id", "snapshot", "createdAt"),
    where=electro_entity("workflow_snapshot"),
)


def content(message):
    """The message's JSON without attachments; None for a text that is no JSON object."""
    try:
        found = json.loads(message["content"], parse_float=Decimal)
    except ValueError:
        return None
    return _slim(found) if isinstance(found, dict) else None


def _slim(value):
    if isinstance(value, dict):
        return {name: _slim(each) for name, each in value.items() if not _is_attachment(each)}
    return [_slim(each) for each in value if not _is_attachment(each)] if isinstance(value, list) else value


def _is_attachment(value):
    return isinstance(value, str) and len(value) > ATTACHMENT_CHARACTERS


def text(message):
    """What the message says."""
    found = content(message)
    if found is None:
        return message["content"][:ATTACHMENT_CHARACTERS]
    return "\n".join(part["text"] for part in found.get("parts", ()) if "text" in part)


def status(snapshot):
    """Of the run."""
    return json.loads(snapshot["snapshot"]).get("status")


INDEXES = [
    Index(
        name="agent-messages",
        of=MESSAGE,
        id="{pk}/{sk}",
        fields={
            "id": KEYWORD,
            "thread": Field(mapping=KEYWORD, of="threadId"),
            "resource": Field(mapping=KEYWORD, of="resourceId"),
            "role": KEYWORD,
            "created": Field(mapping=DATE, of="createdAt"),
            "text": Field(mapping={"type": "text"}, of=text),
            "content": Field(mapping=ANYTHING, of=content),
        },
    ),
    Index(
        name="agent-workflows",
        of=SNAPSHOT,
        id="{pk}/{sk}",
        fields={
            "id": Field(mapping=KEYWORD, of="run_id"),
            "workflow": Field(mapping=KEYWORD, of="workflow_name"),
            "status": Field(mapping=KEYWORD, of=status),
            "created": Field(mapping=DATE, of="createdAt"),
            "snapshot": Field(mapping=ANYTHING, json=True),
        },
    ),
]
