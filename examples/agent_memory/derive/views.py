"""What is kept of agents' memory: counts, the latest messages and all messages of each thread, and scores."""

import json

from distributary.derive import Aggregate, Entity, Join, Top, electro_entity

KEYS = ("pk", "sk")
MESSAGE = Entity(
    name="message",
    keys=KEYS,
    attributes=("id", "threadId", "role", "content", "createdAt"),
    where=electro_entity("message"),
)
THREAD = Entity(name="thread", keys=KEYS, attributes=("id", "resourceId", "title"), where=electro_entity("thread"))
SCORE = Entity(name="score", keys=KEYS, attributes=("scorerId", "score"), where=electro_entity("score"))

PREVIEW = 40
"""Characters."""


def preview(message):
    """The beginning of its text. Nothing of an attachment."""
    parts = json.loads(message["content"]).get("parts", ())
    return " ".join(part["text"] for part in parts if part.get("type") == "text")[:PREVIEW]


VIEWS = [
    Aggregate(name="messages", of=MESSAGE, pk="THREAD#{threadId}", sk="MESSAGES", count="messages"),
    Aggregate(
        name="ever",
        of=MESSAGE,
        pk="THREAD#{threadId}",
        sk="WITH-EXPIRED",
        count="messages",
        on_expiry="keep",
    ),
    Top(
        name="latest",
        n=3,
        of=MESSAGE,
        pk="THREAD#{threadId}",
        sk="LATEST",
        by="createdAt",
        keep=("id", "role"),
        compute={"preview": preview},
    ),
    Join(
        name="messages-with-title",
        of=MESSAGE,
        right=THREAD,
        on={"pk": "$mastra#entity_thread#id_{threadId}", "sk": "$thread_1#id_{threadId}"},
        pk="TITLED#{threadId}",
        sk="{createdAt}#{pk}#{sk}",
        keep=("id", "role"),
        keep_right=("title",),
    ),
    Aggregate(name="threads", of=THREAD, pk="RESOURCE#{resourceId}", sk="THREADS", count="threads"),
    Aggregate(
        name="scores",
        of=SCORE,
        pk="SCORER#{scorerId}",
        sk="SCORES",
        count="scores",
        average={"mean": "score"},
        min={"least": "score"},
    ),
]
