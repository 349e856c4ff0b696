"""The console's tests: a shop's views."""

from distributary.derive import Aggregate, Entity, Projection, key_prefix

ORDER = Entity(
    name="order",
    keys=("pk", "sk"),
    attributes=("customer", "number", "total", "status"),
    where=key_prefix("sk", "ORDER#"),
)

VIEWS = [
    Projection(
        name="open-orders",
        of=ORDER,
        pk="OPEN-ORDERS",
        sk="{pk}/{sk}",
        keep=("customer", "total"),
        where=lambda order: order.get("status") == "open",
    ),
    Aggregate(
        name="sales",
        of=ORDER,
        pk="CUSTOMER#{customer}",
        sk="SALES",
        count="orders",
        sum={"revenue": "total"},
        max={"largest": "total"},
    ),
]
