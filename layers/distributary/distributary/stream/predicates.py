"""Ready-made `where`s for entities that share a table."""

from distributary.stream.change import Image
from distributary.stream.entity import Predicate


def key_prefix(attribute: str, prefix: str) -> Predicate:
    """Items whose key attribute begins with `prefix`, such as `ORDER#`."""

    def where(item: Image) -> bool:
        value = item.get(attribute)
        return isinstance(value, str) and value.startswith(prefix)

    return where


def type_is(value: str, attribute: str = "type") -> Predicate:
    """Items whose attribute `attribute` has the text `value`."""
    return lambda item: item.get(attribute) == value


def electro_entity(entity: str, version: str | None = None, service: str | None = None, key: str = "pk") -> Predicate:
    """Items of an [ElectroDB](https://electrodb.dev/en/modeling/schema/) entity, recognized by the attributes that
    ElectroDB adds to each item. Without `version`, items of every version of the entity.

    If two services share a table and both have an entity of this name, give `service`. It is compared with the start of
    the partition key, which is in the attribute `key`."""

    def where(item: Image) -> bool:
        if item.get("__edb_e__") != entity or version not in (None, item.get("__edb_v__")):
            return False
        if service is None:
            return True
        found = item.get(key)
        return isinstance(found, str) and f"{found.lower()}#".startswith(f"${service.lower()}#")

    return where
