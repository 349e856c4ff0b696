"""A new user's walk: orders can be searched."""

from distributary.index import Entity, Index, key_prefix

ORDER = Entity(
    name="order",
    keys=("pk", "sk"),
    attributes=("customer", "email", "total", "status"),
    where=key_prefix("sk", "ORDER#"),
)

INDEXES = [
    Index(
        name="orders",
        of=ORDER,
        id="{pk}/{sk}",
        fields={"customer": {"type": "keyword"}, "status": {"type": "keyword"}},
    ),
]
