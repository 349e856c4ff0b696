"""The actions of a transaction, each with the condition that what it replaces is as it was read."""

from typing import Any

from distributary.derive.delta import Key, Row, member_key, typed_key
from distributary.derive.groups import REVISION, Group, NewGroupState
from distributary.derive.transactions import Action, PendingEntry


def entry_actions(case: PendingEntry, row: Row, ledger: str, derived: str) -> list[Action]:
    """An entry's ledger row, and its own derived rows: these need no condition, since only who holds the ledger row
    writes them."""
    id = case.entry.id
    entry = put(ledger, row, *unchanged(case.read))
    entry["Put"]["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    return [
        Action(entry, id),
        *(Action(put(derived, each), id) for each in case.delta.puts.values()),
        *(Action(delete(derived, key), id) for key in case.delta.deletes),
    ]


def group_actions(view: str, key: Key, group: Group, following: NewGroupState, derived: str) -> list[Action]:
    """A group's row and its members'."""
    actions = [Action(group_write(derived, key, following.row, group), group=key)]
    sides = ((group.incarnation, group.members, following.members), (group.newest, group.built, following.built))
    for incarnation, before, after in sides:
        for name, row in after.items():
            count = _as_read("#n", {"#n": "items"}, before[name].get("items"))
            actions.append(Action(_write(derived, member_key(view, key, name, incarnation), row, *count), group=key))
    return actions


def group_write(derived: str, key: Key, row: Row | None, read: Group | None = None) -> dict[str, Any]:
    """One row alone, None to remove it; of a group that was read, on condition that its row is as it was then."""
    if read is None:
        return _write(derived, key, row)
    revision = {"S": read.revision} if read.revision else None
    return _write(derived, key, row, *_as_read("#r", {"#r": REVISION}, revision))


def unchanged(read: str | None) -> tuple[str, dict[str, str], dict[str, Any]]:
    """The condition that a ledger row has the version, as text, that was read; None: there was none."""
    if read is None:
        return "attribute_not_exists(#v)", {"#v": "version"}, {}
    return "#v = :read", {"#v": "version"}, {":read": {"S": read}}


def _as_read(path: str, names: dict[str, str], before: Any) -> tuple[str, dict[str, str], dict[str, Any]]:
    if before is None:
        return "attribute_not_exists(pk)", {}, {}
    return f"{path} = :read", names, {":read": before}


def _write(table: str, key: Key, row: Row | None, *condition: Any) -> dict[str, Any]:
    return delete(table, key, *condition) if row is None else put(table, row, *condition)


def put(table: str, row: Row, *condition: Any) -> dict[str, Any]:
    """One action. `condition`: expression, names and values."""
    return {"Put": {"TableName": table, "Item": row, **_condition(*condition)}}


def delete(table: str, key: Key, *condition: Any) -> dict[str, Any]:
    """One action; see `put`."""
    return {"Delete": {"TableName": table, "Key": typed_key(key), **_condition(*condition)}}


def _condition(expression: str = "", names: Any = None, values: Any = None) -> dict[str, Any]:
    if not expression:
        return {}
    return {
        "ConditionExpression": expression,
        **({"ExpressionAttributeNames": names} if names else {}),
        **({"ExpressionAttributeValues": values} if values else {}),
    }
