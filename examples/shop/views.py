"""A shop's views: ten of its three tables. An eleventh, over `spent`, is in tiers/views.py."""

from distributary.derive import Aggregate, Entity, Latest, Projection, date_trunc, lower, nested
from distributary.stream.change import Image

ORDER = Entity(
    name="order",
    keys=("id",),
    attributes=("customer", "status", "country", "placed_at", "total", "lines", "by"),
    table="orders",
)
CUSTOMER = Entity(
    name="customer", keys=("id",), attributes=("name", "email", "active", "address", "by"), table="customers"
)
PRODUCT = Entity(name="product", keys=("id",), attributes=("name", "category", "price", "by"), table="products")
ANYTHING = Entity(name="anything", keys=("id",), attributes=("by",))


def has(status: str):
    """Whether an order has this status."""
    return lambda order: order.get("status") == status


def amount(order: Image):
    """What a line of an order costs."""
    return order["each"]["quantity"] * order["each"]["price"]


VIEWS = [
    Projection(
        name="profile",
        of=CUSTOMER,
        pk="CUSTOMER#{id}",
        sk="PROFILE",
        keep=("name",),
        rename={"email": "contact"},
        compute={"address_city": nested("address.city"), "login": lower("email")},
    ),
    Projection(
        name="by-city",
        of=CUSTOMER,
        pk="CITY#{city}",
        sk="CUSTOMER#{id}",
        keep=("name",),
        compute={"city": nested("address.city")},
        where=lambda customer: customer.get("active") is True,
    ),
    Projection(
        name="bought",
        of=ORDER,
        pk="BOUGHT#{each.sku}",
        sk="ORDER#{id}",
        each="lines",
        keep=("status",),
        compute={"quantity": lambda order: order["each"]["quantity"]},
    ),
    Aggregate(
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
    ),
    Aggregate(
        name="per-day",
        of=ORDER,
        pk="COUNTRY#{country}",
        sk="DAY#{day}",
        compute={"day": date_trunc("placed_at", "day")},
        count="orders",
        count_where={"refunds": has("refunded")},
        sum_where={"paid": ("total", has("paid"))},
    ),
    Aggregate(
        name="per-month",
        of=ORDER,
        pk="MONTH#{month}",
        sk="PRODUCT#{each.sku}",
        each="lines",
        compute={"month": date_trunc("placed_at", "month")},
        sum={"units": "each.quantity"},
        where=lambda order: order.get("status") != "cancelled",
    ),
    Aggregate(
        name="sold",
        of=ORDER,
        pk="PRODUCT#{each.sku}",
        sk="SOLD",
        each="lines",
        count="lines",
        sum={"units": "each.quantity", "revenue": amount},
        min={"cheapest": "each.price"},
        max={"dearest": "each.price"},
        distinct={"customers": "customer", "prices": "each.price"},
    ),
    Latest(
        name="last-order",
        of=ORDER,
        pk="CUSTOMER#{customer}",
        sk="LAST-ORDER",
        by="placed_at",
        keep=("id", "total", "status"),
        where=lambda order: order.get("status") != "cancelled",
    ),
    Aggregate(
        name="catalog",
        of=PRODUCT,
        pk="CATEGORY#{category}",
        sk="TOTALS",
        count="products",
        average={"mean": "price"},
        min={"cheapest": "price"},
        distinct={"names": "name"},
    ),
    Aggregate(name="edited", of=ANYTHING, pk="STAFF#{by}", sk="EDITED", count="items", distinct={"ids": "id"}),
]
