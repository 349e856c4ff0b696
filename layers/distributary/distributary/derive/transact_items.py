"""The actions of a transaction, each with the condition that what it replaces is as it was read."""

from typing import Any

from distributary.derive.delta import Key, Row, member_key, typed_key
from distributary.derive.groups import REVISION, Group, NewGroupState
from distributary.derive.transactions import Action, PendingEntry


def entry_actions(case: PendingEntry, row: Row, ledger: str, derived: str) -> list[Action]:
    """An entry's ledger row, and its own derived rows: these need no condition, since only who holds the ledger row
    writes them."""
    id = case.entry.id
    put = _put(ledger, row, *_unchanged(case.read))
    put["Put"]["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    return [
        Action(put, id),
        *(Action(_put(derived, each), id) for each in case.delta.puts.values()),
        *(Action(_delete(derived, key), id) for key in case.delta.deletes),
    ]


def group_actions(view: str, key: Key, group: Group, following: NewGroupState, derived: str) -> list[Action]:
    """A group's row and its members'."""
    revision = _as_read("#r", {"#r": REVISION}, {"S": group.revision} if group.revision else None)
    actions = [Action(_write(derived, key, following.row, *revision), group=key)]
    for name, row in following.members.items():
        count = _as_read("#n", {"#n": "items"}, group.members[name].get("items"))
        actions.append(Action(_write(derived, member_key(view, key, name), row, *count), group=key))
    return actions


def _unchanged(read: str | None) -> tuple[str, dict[str, str], dict[str, Any]]:
    """The ledger row is as it was read."""
    if read is None:
        return "attribute_not_exists(#v)", {"#v": "version"}, {}
    return "#v = :read", {"#v": "version"}, {":read": {"S": read}}


def _as_read(path: str, names: dict[str, str], before: Any) -> tuple[str, dict[str, str], dict[str, Any]]:
    if before is None:
        return "attribute_not_exists(pk)", {}, {}
    return f"{path} = :read", names, {":read": before}


def _write(table: str, key: Key, row: Row | None, *condition: Any) -> dict[str, Any]:
    return _delete(table, key, *condition) if row is None else _put(table, row, *condition)


def _put(table: str, row: Row, *condition: Any) -> dict[str, Any]:
    return {"Put": {"TableName": table, "Item": row, **_condition(*condition)}}


def _delete(table: str, key: Key, *condition: Any) -> dict[str, Any]:
    return {"Delete": {"TableName": table, "Key": typed_key(key), **_condition(*condition)}}


def _condition(expression: str = "", names: Any = None, values: Any = None) -> dict[str, Any]:
    if not expression:
        return {}
    return {
        "ConditionExpression": expression,
        **({"ExpressionAttributeNames": names} if names else {}),
        **({"ExpressionAttributeValues": values} if values else {}),
    }
