"""Orders as documents, to search by customer, product, status, country, time and total."""

from distributary.index import Entity, Field, Index

ORDER = Entity(
    name="order", keys=("id",), attributes=("customer", "status", "country", "placed_at", "total", "lines", "by")
)
KEYWORD = {"type": "keyword"}


def products(order):
    """What was ordered."""
    return sorted({line["sku"] for line in order.get("lines", ())})


INDEXES = [
    Index(
        name="orders",
        of=ORDER,
        id="{id}",
        fields={
            "id": KEYWORD,
            "customer": KEYWORD,
            "status": KEYWORD,
            "country": KEYWORD,
            "placed_at": {"type": "date"},
            "total": {"type": "scaled_float", "scaling_factor": 100},
            "products": Field(mapping=KEYWORD, of=products),
            "staff": Field(mapping=KEYWORD, of="by"),
        },
    )
]
