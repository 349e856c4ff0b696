"""The event by which a command asks a function to set keys right from the items as they are now.

`{"distributary": {"reconcile": [{"key": {"id": {"S": "a"}}, "version": "0...7", "removed": true}, ...]}}`, where each
entry stands for a parked change, `"expired": true` for a delete by TTL. Where several regions are written to, an entry
also holds the change's `"record"`. `"only": ["sales"]` beside the list names the views or indexes to set right.
`"table": "orders"` names the items' table, if the function reads several.
The answer is `{"outcomes": [{"status": "Applied", "cause": ""}, ...]}`, in order.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Outcome
from distributary.errors import ConfigError, Rejected, Unavailable
from distributary.stream import version as versions
from distributary.stream.codec import Typed, for_client
from distributary.stream.keys import identity
from distributary.stream.stream_event import StreamEvent
from distributary.stream.struct import Struct

OURS = "distributary"
"""The one name at the top of an event that is a command."""

MOST_KEYS = 1000
"""Of one event."""


class Reconcile(Struct, frozen=True):
    """An item to read. `keys` in DynamoDB JSON; `version` is the greatest version among the changes that this stands
    for, 0 if it stands for none; `removed` if the newest of them is a delete that was not by TTL, so that a view which
    keeps what TTL takes does not keep this, and `expired` if it is a delete by TTL. `only` names the views or indexes
    to set right; all if empty. `record` is that of the change, as the stream delivered it; None if it was not given.
    `table`: the item's, empty for the only one that the function reads."""

    keys: Mapping[str, Typed]
    version: int = 0
    removed: bool = False
    expired: bool = False
    only: frozenset[str] = frozenset()
    record: Mapping[str, Any] | None = None
    table: str = ""

    def at_least(self, nothing_left: bool) -> int:
        """The version that what is written has at least, so that no change up to it takes effect any more. Where
        `nothing_left` of an item that TTL took, the record of that still may, since it brings what is to be kept."""
        return self.version - 1 if self.expired and nothing_left and self.version else self.version

    def outliving(self, version: int, mark: str) -> str | None:
        """The mark (`version.KEPT`) of a row that stays though its item is gone, by the row's version and its mark;
        None if the row goes. It goes if an application deleted the item: the change that is asked for may say so. If
        none is asked for, the row's own mark says that TTL did not; without a mark nothing is known, so it stays."""
        newer = self.version >= version
        if self.removed and newer:
            return None
        if self.expired and newer:
            return versions.KEPT
        return None if mark == versions.LIVE and not self.version else mark


Reconciler = Callable[[Sequence[Reconcile], Deadline], list[Outcome]]
"""One outcome per item, in order: Applied if something was written, Superseded if all was right already. Raises
Unavailable if nothing was begun, ConfigError."""


def is_command(event: Any) -> bool:
    """Whether the event is a command and no batch of a stream."""
    if isinstance(event, StreamEvent):
        return False
    return isinstance(event, Mapping) and OURS in event and "Records" not in event


def requests(event: Any) -> list[Reconcile]:
    """What the event asks for. Raises ConfigError that names the first entry that cannot be read."""
    command = event[OURS]
    entries = command.get("reconcile") if isinstance(command, Mapping) else None
    if not isinstance(entries, list) or len(entries) > MOST_KEYS:
        raise ConfigError(f"the command has no list 'reconcile' of at most {MOST_KEYS} entries")
    only, table = _only(command), table_named(command)
    return [_request(place, entry, only, table) for place, entry in enumerate(entries)]


def table_named(command: Mapping[str, Any]) -> str:
    """The source table that a command is about; empty if it names none. Raises ConfigError."""
    table = command.get("table", "")
    if not isinstance(table, str):
        raise ConfigError("the command's 'table' is no table's name")
    return table


def _only(command: Mapping[str, Any]) -> frozenset[str]:
    names = command.get("only", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError("the command's 'only' is no list of names")
    return frozenset(names)


def chosen(names: Sequence[str], asked: Sequence[Reconcile]) -> set[str]:
    """Which of these names the requests are for. Raises ConfigError for one that is not among them."""
    only = set[str]().union(*(each.only for each in asked))
    if unknown := sorted(only - set(names)):
        raise ConfigError(f"nothing is called '{unknown[0]}' here: this function keeps {', '.join(sorted(set(names)))}")
    return only or set(names)


def _request(place: int, entry: Any, only: frozenset[str], table: str) -> Reconcile:
    try:
        key, version = entry["key"], entry.get("version") or "0"
        if not (1 <= len(key) <= 2 and re.fullmatch(r"[0-9]{1,46}", version)):
            raise ValueError(version)
        for typed in key.values():
            (kind,) = typed
            if kind not in ("S", "N", "B"):
                raise ValueError(kind)
        keys = {name: for_client(typed, name) for name, typed in key.items()}
        removed, expired, record = entry.get("removed") is True, entry.get("expired") is True, entry.get("record")
        if not (record is None or isinstance(record, Mapping)):
            raise TypeError(record)
        return Reconcile(keys, int(version), removed, expired, only, record, table)
    except (KeyError, TypeError, ValueError, AttributeError, Rejected):
        raise ConfigError(
            f"reconcile entry {place}: give key (one or two attributes in DynamoDB JSON) and, if it stands for a "
            "change, version (digits), and the record for an item of several regions"
        ) from None


def newest(asked: Sequence[Reconcile]) -> dict[str, Reconcile]:
    """One request an item, by identity, with the greatest version that any of them stands for."""
    found: dict[str, Reconcile] = {}
    for each in asked:
        name = identity(each.keys)
        if name not in found or each.version > found[name].version:
            found[name] = each
    return found


Batch = Callable[[Mapping[str, Reconcile]], dict[str, Outcome]]
"""Sets items right, by identity; one outcome per item. Raises Unavailable: then all of them have failed."""


def in_batches(asked: Sequence[Reconcile], size: int, batch: Batch, deadline: Deadline) -> list[Outcome]:
    """One outcome per request, in order: `batch` gets so many items at once until the deadline comes, each item once
    with the greatest version that it is asked for. Raises ConfigError."""
    wanted, ends = newest(asked), dict[str, Outcome]()
    names = list(wanted)
    for at in range(0, len(names), size):
        some = {name: wanted[name] for name in names[at : at + size]}
        try:
            deadline.check()
            ends |= batch(some)
        except Unavailable as error:
            ends |= dict.fromkeys(some, outcomes.failed(error))
    return [ends[identity(each.keys)] for each in asked]


LOOKS = 6
"""So often a reconciler looks at an item whose rows or documents change between any two looks."""

MOVING = outcomes.failed(Unavailable(f"the item changed at {LOOKS} looks: its changes come by the stream"))
"""What such an item ends as."""


def answer(ends: Sequence[Outcome]) -> dict[str, list[dict[str, str]]]:
    """The function's answer to a command."""
    return {"outcomes": [{"status": end.status.value, "cause": end.cause} for end in ends]}
