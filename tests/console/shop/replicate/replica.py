"""The console's tests: a shop's replica."""

from distributary.replicate import Entity, Mirror, key_prefix

ORDER = Entity(
    name="order",
    keys=("pk", "sk"),
    attributes=("customer", "number", "total", "status"),
    where=key_prefix("sk", "ORDER#"),
)

REPLICA = Mirror(of=ORDER)
