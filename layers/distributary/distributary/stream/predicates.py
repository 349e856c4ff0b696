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
    """Items whose type attribute is `value`."""
    return lambda item: item.get(attribute) == value


def electro_entity(entity: str, version: str | None = None) -> Predicate:
    """Items of an ElectroDB entity, by the markers that it writes into each of them; of any version if None.
    https://electrodb.dev/en/modeling/schema/"""
    return lambda item: item.get("__edb_e__") == entity and version in (None, item.get("__edb_v__"))
