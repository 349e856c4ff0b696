"""A shop's views: fourteen of its three tables, two of them joins. Another one, over `spent`, is in tiers/views.py."""

from distributary.derive import Aggregate, Earliest, Entity, Join, Latest, Projection, Top, date_trunc, lower, nested
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
BUYER = Entity(name="buyer", keys=("id",), attributes=("name", "email", "active"), table="customers")
"""A customer as the other side of an order, where `customer` names the foreign key."""

PRODUCT = Entity(name="product", keys=("id",), attributes=("name", "category", "price", "by"), table="products")
ANYTHING = Entity(name="anything", keys=("id",), attributes=("by",))


def has(status: str):
    """Whether an order has this status."""
    return lambda order: order.get("status") == status


def amount(order: Image):
    """What a line of an order costs."""
    return order["each"]["quantity"] * order["each"]["price"]


def to_be_served(order: Image) -> bool:
    """Whether an order, with its buyer, is still to be delivered."""
    return order.get("status") in ("open", "paid") and order["buyer"].get("active") is True


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
    Earliest(
        name="first-order",
        of=ORDER,
        pk="CUSTOMER#{customer}",
        sk="FIRST-ORDER",
        by="placed_at",
        keep=("id", "total", "status"),
    ),
    Top(
        name="largest-orders",
        n=5,
        of=ORDER,
        pk="COUNTRY#{country}",
        sk="LARGEST",
        by="total",
        keep=("id", "total", "customer"),
        where=lambda order: order.get("status") != "cancelled",
    ),
    Join(
        name="orders-of-customer",
        of=ORDER,
        right=BUYER,
        on="customer",
        pk="CUSTOMER#{customer}",
        sk="ORDER#{id}",
        keep=("status", "total"),
        rename_right={"name": "customer_name"},
    ),
    Join(
        name="orders-to-serve",
        of=ORDER,
        right=BUYER,
        on="customer",
        kind="inner",
        pk="BUYER#{buyer.name}",
        sk="{country}#{id}",
        keep=("status",),
        keep_right=("email",),
        where=to_be_served,
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
