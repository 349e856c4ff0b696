"""Which view owns a derived row or a ledger row, by its key alone: pure decisions."""

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote

from distributary.derive.declarations import Join, Projection
from distributary.derive.delta import Key, Row
from distributary.derive.join_rows import RIGHT_ROW
from distributary.derive.view import View
from distributary.stream.codec import Typed
from distributary.stream.entity import Entity
from distributary.stream.keys import escape, read_plain

Keys = dict[str, Typed]
"""An item's key attributes, DynamoDB JSON."""


def view_of(views: Iterable[View], key: Key) -> View | None:
    """The view that writes rows under such a key; None if no view does."""
    return next((view for view in views if view.read(key) is not None), None)


def item_of_row(view: View, key: Key) -> Keys | None:
    """The item whose row is under a Projection's key, or a Join's left item: the templates hold its whole key."""
    fields = view.read(key) if isinstance(view.declared, Projection | Join) else None
    if fields is None:
        return None
    names = view.declared.of.keys
    return {name: fields[name] for name in names} if fields.keys() >= set(names) else None


def item_of_entry(views: Iterable[View], table: str | None, id: str) -> tuple[View, Keys] | None:
    """View and item of a source table (of any table if None) that a ledger row's id names; None if it is a digest, no
    view's, or of an item of another table."""
    name, _, item = id.partition("|")
    view = next((view for view in views if view.name == name), None)
    owner, _, identity = item.partition("/")
    if view is None or (table is not None and owner != escape(table)):
        return None
    keys: Keys = {}
    for part in identity.split("&"):
        match = re.fullmatch(r"([^=]*)=([SNB]):(.*)", part, re.DOTALL)
        if match is None:
            return None
        try:
            keys[unquote(match[1])] = read_plain(match[2], match[3])
        except ValueError:
            return None
    return (view, keys) if set(keys) == set(view.declared.of.keys) else None


def view_of_member(views: Iterable[View], row: Row) -> str | None:
    """The name of the view that a member row counts for; None if its key is a digest."""
    name = row["pk"]["S"].removeprefix("%m").partition("|")[0]
    return next((view.name for view in views if view.name == name), None)


class JoinedOwner(NamedTuple):
    """The item of which a join stores something; `entity`: as which of the two; `left`: whether as the left one."""

    view: View
    keys: Keys
    entity: Entity
    left: bool


def owner_of_joined(views: Iterable[View], row: Row) -> JoinedOwner | None:
    """Whose right item or subscription a row is; None if that is no declared join's, or the key is a digest."""
    if row["sk"]["S"] != RIGHT_ROW:
        joins = [view for view in views if isinstance(view.declared, Join)]
        found = item_of_entry(joins, None, row["sk"]["S"])
        return JoinedOwner(*found, found[0].declared.of, True) if found is not None else None
    for view in views:
        if isinstance(view.declared, Join) and view.name == row["view"]["S"]:
            return JoinedOwner(view, dict(row["keys"]["M"]), view.declared.right, False)
    return None
