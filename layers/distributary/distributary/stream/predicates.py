"""Ready-made `where`s for entities that share a table."""

from distributary.stream.change import Image
from distributary.stream.entity import Predicate


def key_prefix(attribute: str, prefix: str) -> Predicate:
    """For `where`: items of which the string `attribute` begins with `prefix`, such as `ORDER#`. Items without the
    attribute, or with another type in it, do not match."""

    def where(item: Image) -> bool:
        value = item.get(attribute)
        return isinstance(value, str) and value.startswith(prefix)

    return where


def type_is(value: str, attribute: str = "type") -> Predicate:
    """For `where`: items whose `attribute` is the string `value`. Items without the attribute do not match."""
    return lambda item: item.get(attribute) == value


def electro_entity(entity: str, version: str | None = None, service: str | None = None, key: str = "pk") -> Predicate:
    """For `where`: items of an [ElectroDB](https://electrodb.dev/en/modeling/schema/) entity. They are recognized by
    the attributes `__edb_e__` and `__edb_v__`, which ElectroDB adds to each item.

    Args:
        entity: The entity's name in ElectroDB.
        version: The entity's version; every version if None.
        service: The service's name, if two services share the table and both have an entity of this name. It is
            compared with the start of the partition key.
        key: The partition key's attribute. It is read only if `service` is given.
    """

    def where(item: Image) -> bool:
        if item.get("__edb_e__") != entity or version not in (None, item.get("__edb_v__")):
            return False
        if service is None:
            return True
        found = item.get(key)
        return isinstance(found, str) and f"{found.lower()}#".startswith(f"${service.lower()}#")

    return where
