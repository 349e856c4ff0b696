"""What a user may try: rewinds, duplicates, faults, and edits of the table; and whether everything converges."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from cli.console import kept
from cli.console.attached import Attached
from cli.console.history import Seen
from distributary.consumer.aws import code_of
from distributary.errors import DistributaryError
from distributary.feed.snapshot import Table
from distributary.stream.codec import Typed
from distributary.stream.keys import identity, table_of
from local.esm.records import Record, event_of
from local.recording.faults import KINDS, Fault
from local.runtime_api import Throttled

ITEMS = 50
"""Items that a check looks at: those that changed last."""

Item = Mapping[str, Typed]


def possible(attached: Attached) -> dict[str, Any]:
    """What there is to try, and the faults that have not happened yet."""
    return {
        "readers": list(attached.mappings),
        "kinds": list(KINDS),
        "faults": attached.recorded.faults(),
        "writable": attached.writable,
    }


def rewind(attached: Attached, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Has a reader deliver all that its shards still hold again, as after a crash of Lambda's poller. Raises
    LookupError."""
    mapping = _reader(attached, asked)
    shards = [(part, shard) for part in mapping.parts for shard in part.shards()]
    for part, shard in shards:
        part.rewind(shard)
    return {"said": f"{len(shards)} shard{'s' * (len(shards) != 1)} rewound"}


def duplicate(attached: Attached, seen: Seen) -> dict[str, Any]:
    """Gives every reader a change once more, as Lambda may. What the function says of it is in the change's history.
    Raises Throttled's text as ValueError."""
    record = Record.of(seen.event_record())
    wrong = []
    for name in attached.mappings:
        try:
            answer = attached.stack.function(name).invoke(event_of([record]))
        except Throttled as error:
            raise ValueError(f"{name}: {error}") from None
        wrong += [f"{name}: {answer.error()}"] if answer.function_error else []
    return {"said": "; ".join(wrong) or f"delivered once more to {', '.join(attached.mappings)}"}


def fault(attached: Attached, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Causes a fault of `kind` for a `reader`; see `local.recording.faults`. Raises LocalError and LookupError."""
    _reader(attached, asked)
    given = Fault(
        str(asked["reader"]),
        str(asked.get("kind", "")),
        int(asked.get("left") or 1),
        int(asked.get("milliseconds") or 0),
        str(asked.get("region", "")),
    )
    return {"faults": attached.recorded.fault(given)}


def clear(attached: Attached, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Takes a reader's faults back that have not happened yet."""
    _reader(attached, asked)
    return {"faults": attached.recorded.clear(str(asked["reader"]))}


def put(attached: Attached, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Writes an `item` (DynamoDB JSON). `before`: the item as the page has seen it, None for one that is new: one that
    was changed meanwhile is left as it is. Raises ValueError and LookupError."""
    table = _writable(attached, asked)
    item = asked.get("item")
    if not isinstance(item, Mapping) or not set(table.keys) <= set(item):
        raise ValueError(f"give an item as DynamoDB JSON, with {', '.join(table.keys)}")
    identity({name: item[name] for name in table.keys})
    _written(attached.dynamodb.put_item, TableName=table.name, Item=dict(item), **_unchanged(table, asked))
    return {"said": "written: its change comes by the stream"}


def delete(attached: Attached, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Deletes an item that is as it was seen `before`. Raises as `put`."""
    table, before = _writable(attached, asked), asked.get("before")
    if not isinstance(before, Mapping) or not set(table.keys) <= set(before):
        raise ValueError("load the item first: what is deleted is what you have seen")
    key = {name: before[name] for name in table.keys}
    _written(attached.dynamodb.delete_item, TableName=table.name, Key=key, **_unchanged(table, asked))
    return {"said": "deleted: its change comes by the stream"}


def converged(attached: Attached) -> dict[str, Any]:
    """Whether each branch holds what it should of the items that changed last. Raises as `kept.kept`."""
    wrong, items = [], list(_last(attached))
    for table, keys in items:
        for holding in kept.kept(attached, table, keys):
            if holding["state"] != "right":
                wrong.append({"table": table.name, "key": keys, **{k: holding[k] for k in ("branch", "name", "state")}})
    return {"items": len(items), "wrong": wrong}


def _last(attached: Attached) -> Iterator[tuple[Table, dict[str, Any]]]:
    """Items by their last changes, each once; none of a record whose key cannot be read."""
    found: dict[tuple[str, str], None] = {}

    def is_first(seen: Seen) -> bool:
        return (seen.source, seen.key) not in found and not found.update({(seen.source, seen.key): None})

    attached.history.page(None, ITEMS - 1, is_first)
    for source, key in list(found)[:ITEMS]:
        try:
            table, keys = attached.table(table_of(source)), json.loads(key)
            identity(keys)
        except (LookupError, ValueError, TypeError, AttributeError, DistributaryError):
            continue
        yield table, keys


def _reader(attached: Attached, asked: Mapping[str, Any]) -> Any:
    name = str(asked.get("reader", ""))
    if name not in attached.mappings:
        raise LookupError(f"there is no reader '{name}': there are {', '.join(attached.mappings)}")
    return attached.mappings[name]


def _writable(attached: Attached, asked: Mapping[str, Any]) -> Table:
    table = attached.table(str(asked.get("table", "")))
    if not attached.writable:
        raise ValueError(f"{table.name} is on AWS, and is only read: start with --allow-writes to write to it")
    return table


def _unchanged(table: Table, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The condition that the item is as it was seen."""
    before = asked.get("before")
    if before is None:
        return {
            "ConditionExpression": "attribute_not_exists(#k)",
            "ExpressionAttributeNames": {"#k": table.keys[0]},
        }
    names: Sequence[str] = sorted(before)
    return {
        "ConditionExpression": " AND ".join(f"#n{at} = :v{at}" for at in range(len(names))),
        "ExpressionAttributeNames": {f"#n{at}": name for at, name in enumerate(names)},
        "ExpressionAttributeValues": {f":v{at}": before[name] for at, name in enumerate(names)},
    }


def _written(operation: Any, **request: Any) -> None:
    try:
        operation(**request)
    except ClientError as error:
        if code_of(error) == "ConditionalCheckFailedException":
            raise ValueError("the item was changed since you loaded it: load it again") from None
        raise
