"""A group's figures, whether one row holds them or many shards."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import reduce

from distributary.consumer.deadline import FOREVER
from distributary.derive.contribution import figures, shards_of
from distributary.derive.declarations import Aggregate
from distributary.derive.delta import Row, add, typed_key
from distributary.derive.groups import Group
from distributary.derive.view import View
from distributary.dynamodb.requests import BatchReader, batch_get
from distributary.stream.codec import Value, decode, encode
from distributary.stream.sort_key import sortable

_ANY_BYTES = 4096


def read(
    client: BatchReader, table: str, view: View, group: Mapping[str, Value], before: int | None = None
) -> dict[str, Value] | None:
    """Reads a group of an `Aggregate`, all of its shards together. Costs 1 read unit for each shard, in one
    BatchGetItem (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html). The shards are
    not read at one moment, so a total may miss what is written meanwhile.

    Args:
        client: A boto3 client of DynamoDB.
        table: The derived table's name.
        view: The view, as `check` returns it.
        group: The attributes that the view's keys name, with the group's values.
        before: The `shards` of an earlier declaration, whose rows are read as well: until a rebuild has moved all.

    Returns:
        The row's attributes, or None if the group is empty. Sums are exact Decimals, also beyond the 38 digits that
        one row can hold; averages have 38 digits.

    Raises:
        TypeError: The view is no `Aggregate`.
        Rejected: The group's key cannot be made: an attribute is missing or has the wrong type.
        Unavailable: DynamoDB does not answer.
    """
    declared = view.declared
    if not isinstance(declared, Aggregate):
        raise TypeError(f"view '{view.name}' is no Aggregate")
    spread = [declared, *([] if before is None else [replace(declared, shards=before)])]
    shards = dict.fromkeys(key for each in spread for key in shards_of(each, view.key(group)))
    keys = [typed_key(key) for key in shards]
    rows = batch_get(client, table, keys, FOREVER)
    return combined(declared, rows) if rows else None


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
