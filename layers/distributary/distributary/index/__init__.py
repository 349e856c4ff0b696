"""OpenSearch indexes: documents of items, with the values that a declared mapping asks for."""

from distributary.index.declarations import Field, Index
from distributary.index.validation import check
from distributary.stream.entity import Entity
from distributary.stream.predicates import electro_entity, key_prefix, type_is

__all__ = ["Entity", "Field", "Index", "check", "electro_entity", "key_prefix", "type_is"]
