"""A new user's walk: sales of each customer."""

from distributary.derive import Aggregate, Entity, key_prefix

ORDER = Entity(
    name="order",
    keys=("pk", "sk"),
    attributes=("customer", "email", "total", "status"),
    where=key_prefix("sk", "ORDER#"),
)

VIEWS = [
    Aggregate(
        name="sales",
        of=ORDER,
        pk="CUSTOMER#{customer}",
        sk="SALES",
        count="orders",
        sum={"revenue": "total"},
    ),
]
