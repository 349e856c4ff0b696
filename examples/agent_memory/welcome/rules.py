"""An event for each message that expired. One that was deleted is not of them."""

from distributary.welcome import EXPIRED, Entity, EventBridge, Rule, Stored, electro_entity

MESSAGE = Entity(name="message", keys=("pk", "sk"), attributes=("id", "threadId"), where=electro_entity("message"))

RULES = [
    Rule(
        name="message-expired",
        of=MESSAGE,
        on=EXPIRED,
        channel=EventBridge,
        content={"en": Stored("message-expired", values=("id", "threadId"))},
    )
]
