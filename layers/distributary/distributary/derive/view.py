"""Checked declarations, ready for use: which rows an item has, and what they hold."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import StrEnum

from distributary.derive.declarations import Aggregate, Declaration, Join, Projection
from distributary.derive.delta import EXPIRY
from distributary.derive.expiry import end_of
from distributary.derive.scope import Scope, read
from distributary.errors import Rejected
from distributary.stream import version as versions
from distributary.stream.change import Change, Image, Kind, Origin
from distributary.stream.codec import Typed, Value, decode, encode, for_client
from distributary.stream.computed import Source
from distributary.stream.entity import claimable, concerns, guarded
from distributary.stream.keys import PARTITION_KEY_BYTES, SORT_KEY_BYTES, Template
from distributary.stream.struct import Struct

KEY_ATTRIBUTES = ("pk", "sk")
"""The derived table's key; both strings."""

MAX_PARTS = 1000
"""Rows or groups of one item in a view: the ledger's row of at most 400 KB names them all."""


_SHARD = re.compile(r"%s[0-9]+$")


class Primitive(StrEnum):
    """What keeps a view's rows; see `dynamodb/versioned_table.py`, `derive/ledger.py` and `derive/joins.py`."""

    REGISTER = "Register"
    LEDGER = "Ledger"
    JOIN = "Join"


class View(Struct, frozen=True):
    """A declaration with its templates parsed and its copied attributes by the name that the row gives them."""

    declared: Declaration
    pk: Template
    sk: Template
    copied: Mapping[str, str]

    @property
    def name(self) -> str:
        """The view's name."""
        return self.declared.name

    @property
    def primitive(self) -> Primitive:
        """Register if the item has one row whose key cannot change, Join for rows of two items, Ledger for the rest."""
        if isinstance(self.declared, Join):
            return Primitive.JOIN
        fixed = {*self.pk.attributes, *self.sk.attributes} <= set(self.declared.of.keys)
        alone = isinstance(self.declared, Projection) and self.declared.each is None
        return Primitive.REGISTER if fixed and alone else Primitive.LEDGER

    def key(self, keys: Mapping[str, Value]) -> tuple[str, str]:
        """The row's key. Raises Rejected for a key that cannot be made."""
        return self.pk.render(keys, PARTITION_KEY_BYTES), self.sk.render(keys, SORT_KEY_BYTES)

    def read(self, key: tuple[str, str]) -> dict[str, Typed] | None:
        """The attributes that a row's or a shard's key holds; None for a key that the view cannot have made. An
        aggregate may have had other `shards`."""
        grouped = isinstance(self.declared, Aggregate)
        pk = self.pk.read(_SHARD.sub("", key[0]) if grouped else key[0])
        sk = self.sk.read(key[1])
        if pk is None or sk is None or any(pk[name] != sk[name] for name in pk.keys() & sk.keys()):
            return None
        return {**pk, **sk}

    def until(self, group: tuple[str, str]) -> int | None:
        """When the group's rows expire, in epoch seconds: by its key alone. None if never, or if the view makes no such
        key. Raises Rejected for a key with another period than a time."""
        declared = self.declared
        if not isinstance(declared, Aggregate) or declared.expires_after is None or declared.period is None:
            return None
        named = self.read(group)
        if named is None:
            return None
        return end_of(decode(named[declared.period], declared.period)) + int(declared.expires_after.total_seconds())

    def parts(self, item: Image) -> list[tuple[tuple[str, str], Scope]]:
        """What the item has in the view: for each of its members, or for itself, the key of a row or a group, and what
        the declaration reads there. What lacks an attribute of the key has none. Raises Rejected as `key`, and
        for more than `MAX_PARTS` of them."""
        whole = Scope(item, self.declared.compute)
        each = self.declared.each
        scopes = [whole] if each is None else [whole.at(member) for member in _members(each, whole)]
        named = {*self.pk.attributes, *self.sk.attributes}
        found = [(self.key(scope), scope) for scope in scopes if all(name in scope for name in named)]
        if len(found) > MAX_PARTS and (many := len({key for key, _ in found})) > MAX_PARTS:
            raise Rejected(f"the item would have {many} rows or groups, and may have {MAX_PARTS}")
        return found

    def rows(self, item: Image) -> dict[tuple[str, str], Scope]:
        """A Projection's rows of the item: of two members with one key, the last. Raises Rejected as `parts`."""
        return dict(self.parts(item))

    def holds(self, item: Image) -> bool:
        """Whether the view is about the item. Raises Rejected if a predicate fails on it."""
        where = self.declared.where
        if not self.declared.of.claims(item):
            return False
        compute = self.declared.compute
        return where is None or bool(guarded("where", where, Scope(item, compute) if compute else item))

    @property
    def keeps_expired(self) -> bool:
        """Whether what an item contributes outlives its delete by TTL. It is then marked; without a mark, which release
        0.1 did not write, nothing is known of a contribution whose item is gone, so it is kept as well."""
        return self.declared.on_expiry == "keep"

    def shown(self, change: Change) -> Image | None:
        """The image that the view holds after the change: after a delete by TTL the old one, if the view keeps it."""
        return change.old if self.keeps_expired and change.expired else change.new

    def mark(self, change: Change) -> str:
        """Of what the view holds after the change."""
        return "" if not self.keeps_expired else versions.KEPT if change.expired else versions.LIVE

    def concerned(self, change: Change) -> bool:
        """See `concerns`. An inserted item may find what the one before it left: its delete was lost, or it was one by
        TTL, which the view with `on_expiry="keep"` only marks. Before a first fill there is nothing that it left."""
        if not self.declared.of.reads(change.source):
            return False
        claims, keep = self.declared.of.claims, self.keeps_expired
        if keep and change.expired:
            return change.old is not None and self.holds(change.old)
        inserted = change.kind is Kind.INSERT and not change.first_fill and (keep or claimable(claims, change.keys))
        return concerns(change, self.holds, claims) or inserted

    def found_nothing(self, change: Change) -> bool:
        """Whether the change, of an item that the view does not hold, needs no tombstone if there is nothing to take
        away: all that came before an insert ends with a delete of its own, and a snapshot loses to whatever is
        streamed. With `on_expiry="keep"` there may be no such delete."""
        snapshot = change.origin is Origin.SNAPSHOT
        return change.kind is Kind.INSERT and (snapshot or not self.keeps_expired)

    def content(self, scope: Scope) -> dict[str, Typed]:
        """What a row holds besides its key: copied attributes exactly, computed ones, and its expiry. Raises
        Rejected."""
        image, computed = scope.image, self.declared.compute
        content: dict[str, Typed] = {
            name: for_client(image.typed(source), source) for name, source in self.copied.items() if source in image
        }
        content |= {name: encode(scope.computed(name), name) for name in computed}
        expiry = self.declared.expires_at if isinstance(self.declared, Projection) else None
        if isinstance(expiry, str) and expiry in image and expiry not in computed:
            content[EXPIRY] = for_client(image.typed(expiry), expiry)
        elif (moment := read("expires_at", expiry, scope)) is not None:
            content[EXPIRY] = encode(moment, EXPIRY)
        return content


def expiry_of(row: Mapping[str, Typed]) -> int | None:
    """When the derived table's TTL may take the row, in epoch seconds; None if it never does."""
    typed = row.get(EXPIRY, {})
    return int(Decimal(typed["N"])) if "N" in typed else None


def _members(each: Source, scope: Scope) -> Sequence[Value]:
    """In an order that a scan gives them in as well as the stream."""
    found = read("each", each, scope)
    match found:
        case None:
            return ()
        case list() | tuple():
            return found
        case set() | frozenset():
            return sorted(found, key=repr)
    raise Rejected(f"each: {type(found).__name__} has no members; name a set or a list")
