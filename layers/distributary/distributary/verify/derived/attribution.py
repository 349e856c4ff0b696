"""Whose a derived row or a ledger row is, told by its key alone: pure decisions."""

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from urllib.parse import unquote

from distributary.codec import Typed
from distributary.keys import SEPARATORS, Template
from distributary.tables.contributions import Key, Row
from distributary.views import Aggregate, Projection, View

Keys = dict[str, Typed]
"""An item's key attributes, DynamoDB JSON."""

_FIELD = f"([^{re.escape(SEPARATORS)}]*)"
_SHARD = re.compile(r"%s[0-9]+$")


def view_of(views: Iterable[View], key: Key) -> View | None:
    """The view that writes rows under such a key; None if no view does."""
    for view in views:
        pk, sk = key
        if isinstance(view.declared, Aggregate) and view.declared.shards > 1:
            pk = _SHARD.sub("", pk)
        if _fields(view, (pk, sk)) is not None:
            return view
    return None


def item_of_row(view: View, key: Key) -> Keys | None:
    """The item whose row stands under a Projection's key: its templates hold the item's whole key."""
    fields = _fields(view, key) if isinstance(view.declared, Projection) else None
    if fields is None:
        return None
    try:
        return {name: _typed(*fields[name]) for name in view.declared.of.keys}
    except (KeyError, ValueError, binascii.Error):
        return None


def item_of_entry(views: Iterable[View], id: str) -> tuple[View, Keys] | None:
    """View and item that a ledger row's id names; None if it is a digest, or no view's."""
    name, _, identity = id.partition("|")
    view = next((view for view in views if view.name == name), None)
    if view is None:
        return None
    keys: Keys = {}
    for part in identity.split("&"):
        match = re.fullmatch(r"([^=]*)=([SNB]):(.*)", part, re.DOTALL)
        if match is None:
            return None
        keys[unquote(match[1])] = _typed(match[2], match[3])
    return (view, keys) if set(keys) == set(view.declared.of.keys) else None


def view_of_member(views: Iterable[View], row: Row) -> str | None:
    """The name of the view that a member row counts for; None if its key is a digest."""
    name = row["pk"]["S"].removeprefix("%m").partition("|")[0]
    return next((view.name for view in views if view.name == name), None)


def _fields(view: View, key: Key) -> dict[str, tuple[str, str]] | None:
    """Type and text of each attribute that the key interpolates."""
    found: dict[str, tuple[str, str]] = {}
    for template, text in ((view.pk, key[0]), (view.sk, key[1])):
        match = re.fullmatch(_pattern(template), text, re.DOTALL)
        if match is None:
            return None
        fields = [part for part in template.parts if not isinstance(part, str)]
        for field, plain in zip(fields, match.groups(), strict=True):
            if found.setdefault(field.name, (field.type, plain)) != (field.type, plain):
                return None
    return found


def _pattern(template: Template) -> str:
    parts: Sequence[str] = [re.escape(part) if isinstance(part, str) else _FIELD for part in template.parts]
    return "".join(parts)


def _typed(type: str, plain: str) -> Typed:
    match type:
        case "B":
            return {"B": base64.urlsafe_b64decode(plain + "=" * (-len(plain) % 4))}
        case "N":
            return {"N": plain}
    return {"S": unquote(plain, errors="strict")}
