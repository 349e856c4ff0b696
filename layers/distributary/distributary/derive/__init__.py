"""Declarations of derived rows, checked as a whole before the first change."""

from distributary.derive.declarations import Aggregate, Entity, Latest, Predicate, Projection, guarded
from distributary.derive.validation import check, table
from distributary.derive.view import EXPIRY, Primitive, View, concerns
from distributary.stream.predicates import electro_entity, key_prefix, type_is

__all__ = [
    "EXPIRY",
    "Aggregate",
    "Entity",
    "Latest",
    "Predicate",
    "Primitive",
    "Projection",
    "View",
    "check",
    "concerns",
    "electro_entity",
    "guarded",
    "key_prefix",
    "table",
    "type_is",
]
