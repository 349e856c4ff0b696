"""An event when an order is paid, once for each order."""

from distributary.welcome import Entity, EventBridge, Rule, Stored, became

ORDER = Entity(name="order", keys=("id",), attributes=("customer", "status"))

RULES = [
    Rule(
        name="order-paid",
        of=ORDER,
        on=became("status", "paid"),
        channel=EventBridge,
        content={"en": Stored("order-paid", values=("id", "customer"))},
    )
]
