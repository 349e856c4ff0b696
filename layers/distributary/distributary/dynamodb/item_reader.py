"""Items of a source table as they are now: read by key, and turned into snapshot changes."""

import time
from collections.abc import Callable, Sequence

from distributary.consumer.deadline import FOREVER, Deadline
from distributary.dynamodb.requests import BatchReader, Item, batch_get
from distributary.stream import version
from distributary.stream.change import Change
from distributary.stream.keys import identity


def items(
    client: BatchReader,
    table: str,
    wanted: Sequence[Item],
    deadline: Deadline = FOREVER,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Item]:
    """The items of these keys that exist, by `keys.identity`; consistent. Raises Unavailable."""
    by_name = {identity(keys): keys for keys in wanted}
    names = next(iter(by_name.values()), {})
    found = batch_get(client, table, by_name.values(), deadline, "batch_get_item", sleep=sleep)
    return {identity({name: item[name] for name in names}): item for item in found}


def change(item: Item, keys: Sequence[str], generation: int, now: float) -> Change:
    """The item as a snapshot of its generation: at position 0, so that any streamed change of that generation wins."""
    named = {name: item[name] for name in keys}
    at = version.of(generation, version.SNAPSHOT_POSITION)
    return Change.snapshot(named, item, at, now, f"snapshot-{identity(named)}")
