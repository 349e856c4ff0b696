"""Declarations of derived rows, checked as a whole before the first change."""

from distributary.stream.predicates import electro_entity, key_prefix, type_is
from distributary.views.checked import EXPIRY, Primitive, View, concerns
from distributary.views.declarations import Aggregate, Entity, Latest, Predicate, Projection, guarded
from distributary.views.faults import check, table

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
