"""Checked declarations, ready for use."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from msgspec import Struct

from distributary.derive.declarations import Aggregate, Declaration, Projection
from distributary.errors import Rejected
from distributary.stream import version as versions
from distributary.stream.change import Change, Image, Kind, Origin
from distributary.stream.codec import Value
from distributary.stream.entity import claimable, concerns, guarded
from distributary.stream.keys import PARTITION_KEY_BYTES, SORT_KEY_BYTES, Template

KEY_ATTRIBUTES = ("pk", "sk")
"""The derived table's key; both strings."""

EXPIRY = "expires_at"
"""The derived table's TTL attribute; N, epoch seconds."""

EACH = "each"
"""What templates call a member of what a Projection's `each` names."""

MAX_ROWS = 49
"""Of one item: as many may go while as many come, in one transaction with the ledger's row."""


class Primitive(StrEnum):
    """What keeps a view's rows; see `dynamodb/versioned_table.py` and `derive/ledger.py`."""

    REGISTER = "Register"
    LEDGER = "Ledger"


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
        """Register if the item has one row whose key cannot change, Ledger for everything else."""
        fixed = {*self.pk.attributes, *self.sk.attributes} <= set(self.declared.of.keys)
        alone = isinstance(self.declared, Projection) and self.declared.each is None
        return Primitive.REGISTER if fixed and alone else Primitive.LEDGER

    def key(self, keys: Mapping[str, Value]) -> tuple[str, str]:
        """The row's key. Raises Rejected for a key that cannot be made."""
        return self.pk.render(keys, PARTITION_KEY_BYTES), self.sk.render(keys, SORT_KEY_BYTES)

    def keys(self, item: Image) -> list[tuple[str, str]]:
        """Those of all rows; none if the item lacks an attribute of them. Raises Rejected as `key`, and for more rows
        than one transaction can move."""
        if any(name not in item for name in (*self.pk.attributes, *self.sk.attributes) if name != EACH):
            return []
        if not isinstance(self.declared, Projection) or self.declared.each is None:
            return [self.key(item)]
        named = (*self.pk.attributes, *self.sk.attributes)
        plain = {name: item[name] for name in named if name != EACH}
        keys = list(dict.fromkeys(self.key({**plain, EACH: member}) for member in self._each(item)))
        if len(keys) > MAX_ROWS:
            raise Rejected(f"the item would have {len(keys)} rows, and may have {MAX_ROWS}")
        return keys

    def _each(self, item: Image) -> Iterable[Value]:
        each = self.declared.each if isinstance(self.declared, Projection) else None
        found = guarded("each", each, item) if callable(each) else item.get(str(each), ())
        if not isinstance(found, frozenset | set | list | tuple):
            raise Rejected(f"each: {type(found).__name__} has no members; name a set or a list")
        return found

    def holds(self, item: Image) -> bool:
        """Whether the view is about the item. Raises Rejected if a predicate fails on it."""
        where = self.declared.where
        return self.declared.of.claims(item) and (where is None or bool(guarded("where", where, item)))

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
        TTL, which the view with `on_expiry="keep"` only marks."""
        claims, keep = self.declared.of.claims, self.keeps_expired
        if keep and change.expired:
            return change.old is not None and self.holds(change.old)
        inserted = change.kind is Kind.INSERT and (keep or claimable(claims, change.keys))
        return concerns(change, self.holds, claims) or inserted

    def found_nothing(self, change: Change) -> bool:
        """Whether the change, of an item that the view does not hold, needs no tombstone if there is nothing to take
        away: all that came before an insert ends with a delete of its own, and a snapshot loses to whatever is
        streamed. With `on_expiry="keep"` there may be no such delete."""
        snapshot = change.origin is Origin.SNAPSHOT
        return change.kind is Kind.INSERT and (snapshot or not self.keeps_expired)

    def computed(self, item: Image) -> dict[str, Value]:
        """The computed attributes. Raises Rejected if a function fails on the item."""
        if isinstance(self.declared, Aggregate):
            return {}
        functions = self.declared.compute.items()
        return {name: guarded(f"compute '{name}'", function, item) for name, function in functions}
