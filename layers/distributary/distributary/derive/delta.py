"""What one item contributes to one view, as it is, as the ledger keeps it, and the difference of the two."""

from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow, Subnormal
from typing import Any

from distributary.stream.canonical import digest
from distributary.stream.codec import Typed, number_text
from distributary.stream.keys import PARTITION_KEY_BYTES, bounded
from distributary.stream.struct import Struct, field

Key = tuple[str, str]
"""A derived row's pk and sk."""
Row = Mapping[str, Typed]


def typed_key(key: Key) -> dict[str, Typed]:
    """A derived row's key, as a client takes it."""
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


MemberName = tuple[str, str]
"""The set that a member belongs to, and its place in the set's order."""

EXPIRY = "expires_at"
"""The derived table's TTL attribute; N, epoch seconds."""

ITEMS = "items"
"""The amount by which every share counts its item: a group of none is gone."""

_WIDE = Context(prec=600, Emin=-999, Emax=999, traps=[Inexact, InvalidOperation, Overflow, Subnormal])
"""Room for any sum of numbers that a table can hold: a difference is never rounded on its way."""


class Edge(Struct, frozen=True):
    """The first or last members of a set, shown in the group's row: a single one under a name, or spread if the name is
    None; or, if `many` is a number, at most so many of them as a list, from that end inwards."""

    of: str
    last: bool
    output: str | None
    many: int | None = None

    @property
    def size(self) -> int:
        """How many members it shows at most."""
        return self.many or 1

    @property
    def name(self) -> str:
        """What the group's row calls it among its edges."""
        return f"{self.of}:{'last' if self.last else 'first'}"


class Shape(Struct, frozen=True):
    """How a view's group rows look: `present` makes the visible attributes of the amounts and of the count of
    different members of each set (`{set: count}`). `until`: when they expire, None if never; see `expiry.Until`."""

    present: Callable[[Mapping[str, Decimal], Mapping[str, Decimal]], Row]
    edges: tuple[Edge, ...] = ()
    until: Callable[[Key], int | None] | None = None

    def expiry(self, key: Key) -> dict[str, Typed]:
        """The TTL attribute of a group's row and its members'; nothing if they never expire."""
        at = self.until(key) if self.until is not None else None
        return {} if at is None else {EXPIRY: {"N": str(at)}}


class Share(Struct, frozen=True):
    """An item's part in one group: what it adds to each amount, and the members that it counts for."""

    amounts: Mapping[str, Decimal]
    members: Mapping[MemberName, Typed] = field(default_factory=dict)


class Contribution(Struct, frozen=True):
    """`rows` are the item's own (with their keys, as boto3 takes them), `shares` its parts in groups."""

    rows: Mapping[Key, Row] = field(default_factory=dict)
    shares: Mapping[Key, Share] = field(default_factory=dict)


class Entry(Struct, frozen=True):
    """What an item should contribute as of `version`; `name` names view and item, `id` is that or a digest of it,
    `shape` is the view's, `revision` a repair's (see `version.to_text`). `if_present`: an entry of nothing is not
    written if nothing is recorded.
    `mark`: of what outlives its item, see `version.KEPT`. `rest`: of a step towards it, what the ledger remembers
    besides `contribution`; see `PendingEntry.step`. `closed`: what it goes on to remember of groups that are closed,
    see `expiry`. `spare`: if it comes alone, contributes nothing and nothing is recorded, it need not be written."""

    id: str
    name: str
    view: str
    version: int
    contribution: Contribution
    shape: Shape
    revision: str = ""
    if_present: bool = False
    mark: str = ""
    rest: "RecordedContribution | None" = None
    spare: bool = False
    closed: "RecordedContribution | None" = None


class RecordedContribution(Struct, frozen=True):
    """What the ledger remembers: keys with digests of their rows, never the content itself. `marks`: by group, the
    newest incarnation that counts the share, if it is not the first; see `groups.Group`."""

    rows: Mapping[Key, str] = field(default_factory=dict)
    shares: Mapping[Key, tuple[Mapping[str, Decimal], Mapping[MemberName, str]]] = field(default_factory=dict)
    marks: Mapping[Key, str] = field(default_factory=dict)

    @classmethod
    def of(cls, contribution: Contribution, marks: Mapping[Key, str] | None = None) -> "RecordedContribution":
        """The memory of a contribution; of other groups no mark is kept."""
        return cls(
            {key: digest(row) for key, row in contribution.rows.items()},
            {
                key: (share.amounts, {name: digest(value) for name, value in share.members.items()})
                for key, share in contribution.shares.items()
            },
            {key: mark for key, mark in (marks or {}).items() if mark and key in contribution.shares},
        )

    @classmethod
    def read(cls, row: Row) -> "RecordedContribution":
        """From a ledger row; empty if there is none."""
        rows = {(pk, sk): kept for pk, sk, kept in map(_strings, row.get("rows", {"L": []})["L"])}
        shares = {}
        marks: dict[Key, str] = {}
        for each in row.get("shares", {"L": []})["L"]:
            pk, sk, amounts, members, *mark = each["L"]
            if mark:
                marks[pk["S"], sk["S"]] = mark[0]["S"]
            shares[pk["S"], sk["S"]] = (
                {name: Decimal(number["N"]) for name, number in amounts["M"].items()},
                {(of, sort): kept for of, sort, kept in map(_strings, members["L"])},
            )
        return cls(rows, shares, marks)

    def only(self, keys: Collection[Key]) -> "RecordedContribution":
        """What it says of some groups."""
        return self.without([key for key in (*self.rows, *self.shares) if key not in keys])

    def without(self, keys: Collection[Key]) -> "RecordedContribution":
        """What is left of it."""
        rows = {key: kept for key, kept in self.rows.items() if key not in keys}
        shares = {key: kept for key, kept in self.shares.items() if key not in keys}
        return RecordedContribution(rows, shares, {key: mark for key, mark in self.marks.items() if key in shares})

    def beside(self, other: "RecordedContribution") -> "RecordedContribution":
        """Both, which have no key in common."""
        return RecordedContribution(
            {**self.rows, **other.rows}, {**self.shares, **other.shares}, {**self.marks, **other.marks}
        )

    def written(self) -> dict[str, Typed]:
        """Attributes of a ledger row; what is empty is left out."""
        content: dict[str, Typed] = {}
        if self.rows:
            content["rows"] = {"L": [_list(*key, kept) for key, kept in self.rows.items()]}
        if self.shares:
            content["shares"] = {"L": [_share(key, *share, self.marks.get(key)) for key, share in self.shares.items()]}
        return content


class GroupDelta(Struct, frozen=True):
    """What changes in a group; the change of each member's count, and its value now."""

    amounts: Mapping[str, Decimal]
    members: Mapping[MemberName, tuple[int, Typed | None]]


class Delta(Struct, frozen=True):
    """The contribution minus the recorded one: only what differs is written."""

    puts: Mapping[Key, Row]
    deletes: frozenset[Key]
    groups: Mapping[Key, GroupDelta]

    def of(self, keys: Collection[Key]) -> "Delta":
        """Of these rows and groups alone."""
        chosen = frozenset(keys)
        return Delta(
            {key: row for key, row in self.puts.items() if key in chosen},
            self.deletes & chosen,
            {key: each for key, each in self.groups.items() if key in chosen},
        )

    def touched(self, view: str) -> set[Key]:
        """The rows that must be written, besides the ledger's."""
        members = {member_key(view, group, name) for group, delta in self.groups.items() for name in delta.members}
        return {*self.puts, *self.deletes, *self.groups, *members}


def difference(recorded: RecordedContribution, contribution: Contribution) -> Delta:
    """What must be written so that the contribution replaces the recorded one."""
    puts = {key: row for key, row in contribution.rows.items() if recorded.rows.get(key) != digest(row)}
    groups = {}
    for key in {**recorded.shares, **contribution.shares}:
        delta = group_delta(recorded.shares.get(key, ({}, {})), contribution.shares.get(key, Share({})))
        if delta.amounts or delta.members:
            groups[key] = delta
    return Delta(puts, frozenset(recorded.rows.keys() - contribution.rows.keys()), groups)


def group_delta(old: tuple[Mapping[str, Decimal], Mapping[MemberName, str]], new: Share) -> GroupDelta:
    """What changes in a group where the new share takes the place of a recorded one."""
    amounts, digests = old
    changed = {name: subtract(new.amounts.get(name, Decimal()), amounts.get(name, Decimal())) for name in amounts}
    added = {name: amount for name, amount in new.amounts.items() if name not in amounts}
    members: dict[MemberName, tuple[int, Typed | None]] = {n: (-1, None) for n in digests if n not in new.members}
    for name, value in new.members.items():
        if digests.get(name) != digest(value):
            members[name] = (0 if name in digests else 1, value)
    return GroupDelta({name: amount for name, amount in {**changed, **added}.items() if amount}, members)


def fold(deltas: Iterable[GroupDelta]) -> GroupDelta:
    """Many items' deltas for one group as one."""
    amounts: dict[str, Decimal] = {}
    members: dict[MemberName, tuple[int, Typed | None]] = {}
    for delta in deltas:
        for name, amount in delta.amounts.items():
            amounts[name] = add(amounts.get(name, Decimal()), amount)
        for member, (count, value) in delta.members.items():
            before, earlier = members.get(member, (0, None))
            members[member] = (before + count, value or earlier)
    return GroupDelta(amounts, members)


def add(one: Decimal, other: Decimal) -> Decimal:
    """The sum, exactly."""
    return _WIDE.add(one, other)


def subtract(one: Decimal, other: Decimal) -> Decimal:
    """The difference, exactly."""
    return _WIDE.subtract(one, other)


def member_key(view: str, group: Key, member: MemberName, incarnation: str = "") -> Key:
    """Where a member is counted. No template can write `%m`, so no view's row is ever met."""
    return member_partition(view, group, member[0], incarnation), member[1]


def member_partition(view: str, group: Key, of: str, incarnation: str = "") -> str:
    """The partition that holds the members of one set of one incarnation of a group, in their order."""
    within = f"%{incarnation}|" if incarnation else ""
    return bounded(f"%m{view}|{within}{of}|{group[0]}|{group[1]}", PARTITION_KEY_BYTES)


def size_of(content: Any) -> int:
    """About the bytes of anything made of typed attributes."""
    match content:
        case str() | bytes():
            return 4 * len(content) if isinstance(content, str) and not content.isascii() else len(content)
        case Mapping():
            return sum(3 + size_of(name) + size_of(value) for name, value in content.items())
        case list() | tuple():
            return 3 + sum(1 + size_of(member) for member in content)
    return 24


def _list(*texts: str) -> Typed:
    return {"L": [{"S": text} for text in texts]}


def _strings(typed: Typed) -> tuple[str, ...]:
    return tuple(each["S"] for each in typed["L"])


def _share(key: Key, amounts: Mapping[str, Decimal], members: Mapping[MemberName, str], mark: str | None) -> Typed:
    numbers = {name: {"N": number_text(amount, name)} for name, amount in amounts.items()}
    return {
        "L": [
            *({"S": text} for text in key),
            {"M": numbers},
            {"L": [_list(*name, kept) for name, kept in members.items()]},
            *([{"S": mark}] if mark else []),
        ]
    }


def is_member(row: Row) -> bool:
    """Whether a row of the derived table counts a member, and is no view's: no key that a template makes begins so."""
    return row["pk"]["S"].startswith(("%m", "%h"))
