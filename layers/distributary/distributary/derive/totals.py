"""A group's figures, whether one row holds them or many shards."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import reduce

from distributary.derive.contribution import figures
from distributary.derive.declarations import Aggregate
from distributary.derive.delta import Row, add
from distributary.derive.groups import Group
from distributary.stream.codec import Value, decode, encode
from distributary.stream.sort_key import sortable

_ANY_BYTES = 4096


def combined(declared: Aggregate, rows: Sequence[Row]) -> dict[str, Value]:
    """The shards' rows as one row would show them."""
    groups = [Group(row) for row in rows]
    amounts = reduce(_added, (group.figures.amounts for group in groups))
    shown: dict[str, Value] = {**figures(declared, amounts, groups[0].figures.different)}
    for outputs, choose in ((declared.min, min), (declared.max, max)):
        for output in outputs:
            values = [decode(row[output], output) for row in rows if output in row]
            if values:
                shown[output] = decode(encode(choose(values, key=_order)), output)
    return shown


def _order(value: Value) -> bytes:
    return sortable(value, _ANY_BYTES).encode()


def _added(one: Mapping[str, Decimal], other: Mapping[str, Decimal]) -> dict[str, Decimal]:
    return {name: add(one.get(name, Decimal()), other.get(name, Decimal())) for name in {**one, **other}}
