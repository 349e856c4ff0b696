"""What a Join stores beside its rows, and the actions that write all of it: pure decisions.

In the derived table, in a partition for each right item (no template writes `%j`):
    the right item    `version` last applied, `since` (the first version with this content), `digest`, `part` and `item`
                      (see `RightContent`; none of both if it is deleted), `fanned` (how far `since` was fanned out)
    subscriptions     one for each left item that names it, under the id of its ledger row: the key of the row, if no
                      right item decides it. None where the rows themselves are in a partition of the right item's key.
In the ledger, a row for each left item: `rows` (its row and its subscription), and `join` with its foreign key, the
`since` that the row was put with, the row's key if there is none, and the left item if rows come and go with the right.
A row carries its foreign key and its right `since` beside what it shows.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from distributary.derive.delta import EXPIRY, Key, Row, typed_key
from distributary.derive.format import FORMAT, WRITTEN
from distributary.derive.join_view import NO_KEY, JoinView, LeftContent, Reach, RightContent
from distributary.derive.transact_items import delete, put, unchanged
from distributary.stream import version as versions
from distributary.stream.codec import Typed
from distributary.stream.format import check_format, format_of
from distributary.stream.keys import PARTITION_KEY_BYTES, bounded
from distributary.stream.struct import Struct

PREFIX = "%j"
RIGHT_ROW = "!"
"""The sort key of a right item; a subscription's begins with a letter or `%`, which are greater."""
ALL_FANNED = "~"
"""Greater than all sort keys of subscriptions."""

FOREIGN_KEY, SINCE = "_distributary_foreign_key", "_distributary_right"
NEVER = "-"
"""The `since` of a row without a right item: less than all versions."""
OWN = (FOREIGN_KEY, SINCE)
"""A row's attributes beside what it shows."""

Action = dict[str, Any]


def partition(view: str, foreign_key: str) -> str:
    """That of a right item."""
    return PREFIX + bounded(f"{view}|{foreign_key}", PARTITION_KEY_BYTES - len(PREFIX))


def is_joined(row: Row) -> bool:
    """Whether a row of the derived table is a right item or a subscription, and no view's row."""
    return row["pk"]["S"].startswith(PREFIX)


class RightRow(Struct, frozen=True):
    """A right item as it is stored; `content` is None if it is deleted, `version` and `since` are texts."""

    version: str
    since: str
    digest: str
    content: RightContent | None
    fanned: str = ""

    @classmethod
    def read(cls, row: Row) -> "RightRow | None":
        """From a row, empty if there is none. Raises ConfigError if a later release wrote it."""
        if not row:
            return None
        check_format("a right item of a join", format_of(row), FORMAT)
        part, item = row.get("part"), row.get("item")
        content = RightContent(part["M"], item["M"] if item else {}) if part is not None else None
        version, since, digest = (row[name]["S"] for name in ("version", "since", "digest"))
        return cls(version, since, digest, content, row.get("fanned", {"S": ""})["S"])


def right_row(view: str, keys: Row, foreign_key: str, version: str, content: RightContent | None, expires: int) -> Row:
    """A right item that has this content since this version; `expires`: when a deleted one may go, in epoch seconds."""
    row: dict[str, Typed] = {
        **typed_key((partition(view, foreign_key), RIGHT_ROW)),
        "version": {"S": version},
        "since": {"S": version},
        "digest": {"S": digest_of(content)},
        "view": {"S": view},
        "keys": {"M": dict(keys)},
        **WRITTEN,
    }
    if content is None:
        return {**row, EXPIRY: {"N": str(expires)}}
    return {**row, "part": {"M": dict(content.part)}, **({"item": {"M": dict(content.item)}} if content.item else {})}


def digest_of(content: RightContent | None) -> str:
    """The same for the same content; `gone` for none."""
    return "gone" if content is None else content.digest()


class LeftRow(Struct, frozen=True):
    """A ledger row of a left item: `read` is its version as text, None if there is no row; `version` is -1 then.
    `shown`: the row's key, None if it has none; `place`: where it would be. `left`: see the module."""

    read: str | None = None
    version: int = -1
    foreign_key: str = NO_KEY
    held: str = NEVER
    shown: Key | None = None
    place: Key | None = None
    subscription: Key | None = None
    left: Row | None = None

    @classmethod
    def of(cls, row: Row) -> "LeftRow":
        """From a ledger row, empty if there is none."""
        if not row:
            return cls()
        read, found = row["version"]["S"], row.get("join", {"M": {}})["M"]
        keys = [(pk["S"], sk["S"]) for pk, sk, _ in (each["L"] for each in row.get("rows", {"L": []})["L"])]
        subscription = next((key for key in keys if key[0].startswith(PREFIX)), None)
        shown = next((key for key in keys if not key[0].startswith(PREFIX)), None)
        place = tuple(each["S"] for each in found["place"]["L"]) if "place" in found else shown
        left = found["left"]["M"] if "left" in found else None
        fk, held = (found.get(name, {"S": default})["S"] for name, default in (("fk", NO_KEY), ("held", NEVER)))
        return cls(read, versions.from_text(read), fk, held, shown, place, subscription, left)

    @property
    def exists(self) -> bool:
        """Whether the left item was there."""
        return self.shown is not None or self.subscription is not None or self.place is not None


def ledger_row(join: JoinView, id: str, version: str, content: LeftContent, held: str, shown: Key | None) -> Row:
    """Of a left item that is there."""
    subscription = subscription_of(join, content.foreign_key, id)
    keys = [key for key in (shown, subscription) if key is not None]
    found: dict[str, Typed] = {"fk": {"S": content.foreign_key}, "held": {"S": held}}
    if shown is None and (place := join.place(content.item)) is not None:
        found["place"] = {"L": [{"S": text} for text in place]}
    if join.reach is not Reach.PART:
        found["left"] = {"M": dict(content.item)}
    row: dict[str, Typed] = {"id": {"S": id}, "version": {"S": version}, "join": {"M": found}, **WRITTEN}
    if keys:
        row["rows"] = {"L": [{"L": [{"S": pk}, {"S": sk}, {"S": ""}]} for pk, sk in keys]}
    return row


def emptied(id: str, version: str, expires: int) -> Row:
    """A ledger row of a left item that is gone, until `expires` in epoch seconds."""
    return {"id": {"S": id}, "version": {"S": version}, EXPIRY: {"N": str(expires)}, **WRITTEN}


def subscription_of(join: JoinView, foreign_key: str, id: str) -> Key | None:
    """None if the left item names no right item, or its row is its own subscription."""
    if foreign_key == NO_KEY or join.holds_subscribers:
        return None
    return partition(join.name, foreign_key), id


def row_of(join: JoinView, key: Key, left: LeftContent, right: RightContent | None, since: str) -> Row:
    """A row as it is put. Raises Rejected."""
    own = {FOREIGN_KEY: {"S": left.foreign_key}, SINCE: {"S": since}}
    return {**join.part(left.item), **(right.part if right is not None else {}), **typed_key(key), **own}


def ledger_write(ledger: str, row: Row, read: str | None) -> Action:
    """On condition that it is as it was read; a refusal brings the row along."""
    action = put(ledger, row, *unchanged(read))
    action["Put"]["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    return action


def subscribe(derived: str, key: Key, place: Key | None) -> Action:
    """A subscription, with the key of the row."""
    to = {"to": {"L": [{"S": text} for text in place]}} if place is not None else {}
    return put(derived, {**typed_key(key), **to, **WRITTEN})


def updated(derived: str, key: Key, names: Sequence[str], values: Row, *condition: Any) -> Action:
    """These attributes of a row set to `values`, and those of them that have none removed. `condition`: expression,
    names and values."""
    expression, more, given = condition or ("", {}, {})
    paths = {f"#a{at}": name for at, name in enumerate(names)}
    sets = [f"{path} = :{path[1:]}" for path, name in paths.items() if name in values]
    removes = [path for path, name in paths.items() if name not in values]
    update = [f"SET {', '.join(sets)}"] * bool(sets) + [f"REMOVE {', '.join(removes)}"] * bool(removes)
    typed = {f":{path[1:]}": values[name] for path, name in paths.items() if name in values} | given
    return {
        "Update": {
            "TableName": derived,
            "Key": typed_key(key),
            "UpdateExpression": " ".join(update),
            "ExpressionAttributeNames": {**paths, **more},
            **({"ExpressionAttributeValues": typed} if typed else {}),
            **({"ConditionExpression": expression} if expression else {}),
        }
    }


def older(foreign_key: str, since: str) -> tuple[str, dict[str, str], dict[str, Any]]:
    """The condition that a row is there, has this foreign key and an older right item."""
    names = {"#fk": FOREIGN_KEY, "#since": SINCE}
    return "#fk = :fk AND #since < :since", names, {":fk": {"S": foreign_key}, ":since": {"S": since}}


def missing_or_older(since: str) -> tuple[str, dict[str, str], dict[str, Any]]:
    """The condition that a row is not there, or has an older right item."""
    return "attribute_not_exists(pk) OR #since < :since", {"#since": SINCE}, {":since": {"S": since}}


def removed(derived: str, key: Key, *condition: Any) -> Action:
    """A row or a subscription."""
    return delete(derived, key, *condition)


def place_in(subscription: Row) -> Key | None:
    """The row's key that a subscription holds."""
    to: Mapping[str, Any] = subscription.get("to", {})
    return tuple(each["S"] for each in to["L"]) if to else None
