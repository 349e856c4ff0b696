"""A new user's walk: orders in another region."""

from distributary.replicate import Entity, Mirror, key_prefix

ORDER = Entity(
    name="order",
    keys=("pk", "sk"),
    attributes=("customer", "email", "total", "status"),
    where=key_prefix("sk", "ORDER#"),
)

REPLICA = Mirror(of=ORDER)
