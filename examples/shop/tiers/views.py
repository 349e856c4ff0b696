"""Customers by what they have spent: a view over the view `spent`, for a second stack that reads the derived table."""

from distributary.derive import Aggregate, Entity, rows_of
from distributary.stream.change import Image

ORDER = Entity(name="order", keys=("id",), attributes=("customer", "country", "placed_at", "total"), table="orders")
SPENT = Aggregate(
    name="spent",
    of=ORDER,
    pk="CUSTOMER#{customer}",
    sk="SPENT",
    count="orders",
    sum={"revenue": "total"},
    average={"mean": "total"},
    min={"least": "total", "first": "placed_at"},
    max={"most": "total"},
    distinct={"countries": "country"},
)


def tier(row: Image) -> str:
    """By the revenue."""
    return "large" if row["revenue"] >= 100_000 else "small"


VIEWS = [
    Aggregate(
        name="tiers",
        of=rows_of(SPENT),
        pk="TIER#{tier}",
        sk="TOTALS",
        compute={"tier": tier},
        count="customers",
        sum={"orders": "orders", "revenue": "revenue"},
        max={"most": "most"},
    ),
]
