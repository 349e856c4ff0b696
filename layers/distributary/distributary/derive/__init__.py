"""Derived tables: rows of items under other keys, totals of groups, the first items of each group, and joins."""

from distributary.derive.declarations import Aggregate, Earliest, Join, Latest, Projection, Top
from distributary.derive.levels import rows_of
from distributary.derive.validation import check
from distributary.stream.computed import date_trunc, json_field, lower, nested, split_part
from distributary.stream.entity import Entity
from distributary.stream.predicates import electro_entity, key_prefix, type_is
from distributary.stream.sort_key import sortable_number

__all__ = [
    "Aggregate",
    "Earliest",
    "Entity",
    "Join",
    "Latest",
    "Projection",
    "Top",
    "check",
    "date_trunc",
    "electro_entity",
    "json_field",
    "key_prefix",
    "lower",
    "nested",
    "rows_of",
    "sortable_number",
    "split_part",
    "type_is",
]
