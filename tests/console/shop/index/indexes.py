"""The console's tests: a shop's indexes."""

from distributary.index import Entity, Index, key_prefix

PRODUCT = Entity(
    name="product",
    keys=("pk", "sk"),
    attributes=("title", "price", "tags"),
    where=key_prefix("pk", "PRODUCT#"),
)

INDEXES = [
    Index(
        name="products",
        of=PRODUCT,
        id="{pk}/{sk}",
        fields={"title": {"type": "text"}, "price": {"type": "double"}, "tags": {"type": "keyword"}},
    ),
]
