"""The same items in another region: a mirror, or several regions that are all written to."""

from distributary.replicate.declarations import Mirror, MultiActive, check, greatest, last_writer
from distributary.replicate.multi_active.merge_rules import by_attribute, custom, total
from distributary.stream.entity import Entity
from distributary.stream.predicates import electro_entity, key_prefix, type_is

__all__ = [
    "Entity",
    "Mirror",
    "MultiActive",
    "by_attribute",
    "check",
    "custom",
    "electro_entity",
    "greatest",
    "key_prefix",
    "last_writer",
    "total",
    "type_is",
]
