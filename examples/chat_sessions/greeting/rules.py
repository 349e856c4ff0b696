"""A greeting on a user's first session. It reads the derived table, which has one row `FIRST-SESSION#user` for each
user; a rule greets once for each item, so once for each user."""

from distributary.welcome import Entity, EventBridge, Rule, Stored, key_prefix

FIRST = Entity(
    name="first-session",
    keys=("pk", "sk"),
    attributes=("user", "chat_id"),
    where=key_prefix("pk", "FIRST-SESSION#"),
)

RULES = [
    Rule(name="greeting", of=FIRST, channel=EventBridge, content={"en": Stored("greeting", values=("user",))}),
]
