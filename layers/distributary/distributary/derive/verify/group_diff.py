"""A group's row and members against the sum of what the ledger's rows say: pure decisions.

Of a group's members only their number, an additive fingerprint, and those at its edges are held: the first and the
last, of a Top the `n` that it shows. So memory grows with the number of groups and sets, never with that of items.
"""

from bisect import insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from distributary.derive.contribution import RANK, set_name, shape_of
from distributary.derive.declarations import Aggregate, Ranked
from distributary.derive.delta import EXPIRY, ITEMS, Edge, Key, RecordedContribution, Row, add, member_partition
from distributary.derive.format import STATE
from distributary.derive.groups import REVISION, Figures, Group, at_edges, made_row
from distributary.derive.verify.expected_rows import Problem, name_of
from distributary.derive.verify.key_owner import view_of
from distributary.derive.view import View
from distributary.stream.canonical import digest_bytes
from distributary.stream.codec import Typed, decode_item
from distributary.stream.format import FORMAT_ATTRIBUTE

_FINGERPRINTS = 1 << 128


@dataclass(slots=True)
class Members:
    """One set of one group, as its member rows are; `edges`: those that its row shows some of."""

    edges: tuple[Edge, ...] = ()
    number: int = 0
    fingerprint: int = 0
    ends: dict[Edge, list[tuple[str, Typed]]] = field(default_factory=dict)

    def count(self, row: Row) -> None:
        """One member row more."""
        place, value, items = row["sk"]["S"], row.get("value", {"NULL": True}), int(row.get("items", {"N": "0"})["N"])
        self.number += 1
        self.fingerprint = (self.fingerprint + items * mark(place)) % _FINGERPRINTS
        for edge in self.edges:
            end = self.ends.setdefault(edge, [])
            insort(end, (place, value), key=lambda each: each[0].encode())
            if len(end) > edge.size:
                del end[0 if edge.last else -1]

    def same(self, other: "Members") -> bool:
        """Whether both count the same members."""
        return (self.number, self.fingerprint) == (other.number, other.fingerprint)

    def at(self, edge: Edge) -> list[tuple[str, Typed]]:
        """Place and value of those at an edge, from there inwards."""
        end = self.ends.get(edge, [])
        return end[::-1] if edge.last else end


@dataclass(slots=True)
class Sums:
    """What the ledger's rows add up to: amounts by group, fingerprints by the members' partition."""

    amounts: dict[Key, dict[str, Decimal]] = field(default_factory=dict)
    fingerprints: dict[str, int] = field(default_factory=dict)
    owners: dict[Key, str] = field(default_factory=dict)

    def count(self, view: str, recorded: RecordedContribution) -> None:
        """One ledger row more."""
        for key, (amounts, members) in recorded.shares.items():
            self.owners[key] = view
            into = self.amounts.setdefault(key, {})
            for name, amount in amounts.items():
                into[name] = add(into.get(name, Decimal()), amount)
            for of, place in members:
                at = member_partition(view, key, of)
                self.fingerprints[at] = (self.fingerprints.get(at, 0) + mark(place)) % _FINGERPRINTS


@dataclass(frozen=True, slots=True)
class GroupFinding:
    """What is wrong with one group, and all that it was judged by. `leftover`: an incarnation whose members no
    item explains."""

    view: View
    key: Key
    row: Row
    sums: Sums
    members: dict[str, Members]
    problems: tuple[Problem, ...]
    leftover: str | None = None


def mark(place: str) -> int:
    """A member's part in the fingerprint."""
    return int.from_bytes(digest_bytes(place), "big")


def sets_of(view: View) -> list[str]:
    """The sets of members that a view's groups count."""
    sets = [edge.of for edge in shape_of(view).edges]
    if isinstance(view.declared, Ranked):
        sets.append(RANK)
    if isinstance(view.declared, Aggregate):
        sets += [set_name(output, source) for output, source in view.declared.distinct.items()]
    return list(dict.fromkeys(sets))


def edges_of(view: View, of: str) -> tuple[Edge, ...]:
    """Those that show members of one set."""
    return tuple(edge for edge in shape_of(view).edges if edge.of == of)


def edges_in(view: View, partition: str) -> tuple[Edge, ...]:
    """Those that may show members which are counted in a partition; none if its name does not show the set."""
    behind = partition.removeprefix(f"%m{view.name}|")
    if behind.startswith("%"):
        behind = behind.partition("|")[2]
    return tuple(edge for edge in shape_of(view).edges if behind.startswith(f"{edge.of}|"))


def partitions(view: View, key: Key, incarnation: str = "") -> dict[str, str]:
    """Where each set's members are counted."""
    return {of: member_partition(view.name, key, of, incarnation) for of in sets_of(view)}


def group_of_members(view: View, partition: str) -> tuple[Key, str] | None:
    """The group and the incarnation whose members are counted in a partition; None if its name does not show them."""
    behind, incarnation = partition.removeprefix(f"%m{view.name}|"), ""
    if behind.startswith("%"):
        incarnation, _, behind = behind[1:].partition("|")
    found = set[Key]()
    for of in sets_of(view):
        parts = behind.removeprefix(f"{of}|").split("|")
        keys = [("|".join(parts[:at]), "|".join(parts[at:])) for at in range(1, len(parts))]
        same = [key for key in keys if member_partition(view.name, key, of, incarnation) == partition]
        found |= {key for key in same if view_of([view], key) is not None}
    return (found.pop(), incarnation) if len(found) == 1 else None


def group_problems(view: View, key: Key, row: Row, sums: Sums, members: Mapping[str, Members]) -> tuple[Problem, ...]:
    """`row` is empty if there is none; `members` by partition. A group that was written before its view got
    `expires_after` has members that would never expire, so it is built anew."""
    group, first = Group(row), partitions(view, key)
    if group.building is not None or group.dropping is not None:
        return (Problem("unfinished", name_of(key)),)
    wrong = tuple(
        Problem("stale", f"members {at}")
        for of, at in partitions(view, key, group.incarnation).items()
        if sums.fingerprints.get(first[of], 0) != members.get(at, Members()).fingerprint
    )
    if row and EXPIRY not in row and shape_of(view).until is not None:
        wrong = tuple(Problem("stale", f"members {at}") for at in partitions(view, key, group.incarnation).values())
    if wrong:
        return wrong
    due = group_row(view, key, row, sums, members)
    if due is None:
        return (Problem("dead", name_of(key)),) if row else ()
    if not row:
        return (Problem("missing", name_of(key)),)
    return () if _figures(row) == _figures(due) else (Problem("stale", name_of(key)),)


def group_row(view: View, key: Key, row: Row, sums: Sums, members: Mapping[str, Members]) -> dict[str, Typed] | None:
    """The row that the ledger's sum makes in the incarnation that `row` shows, but for its revision; None if the group
    is empty. Members must agree."""
    amounts = sums.amounts.get(key, {})
    if not amounts.get(ITEMS):
        return None
    incarnation = Group(row).incarnation
    counted = {of: members.get(at, Members()) for of, at in partitions(view, key, incarnation).items()}
    different = {of: Decimal(each.number) for of, each in counted.items()}
    ends = {edge: counted[edge.of].at(edge) for edge in shape_of(view).edges}
    underway: dict[str, Typed] = {"incarnation": {"S": incarnation}} if incarnation else {}
    return ended_row(view, key, Figures(amounts, different, {}), ends, underway)


def ended_row(
    view: View,
    key: Key,
    figures: Figures,
    ends: Mapping[Edge, Sequence[tuple[str, Typed]]],
    underway: Mapping[str, Typed],
) -> dict[str, Typed]:
    """A group's row but for its revision; `ends`: place and value of the members that it shows. See `made_row`."""
    edges, visible = at_edges(ends)
    return made_row(key, shape_of(view), figures, edges, visible, underway)


def _figures(row: Row) -> dict[str, Any]:
    """What a row holds, whatever its revision and its format."""
    state = {name: typed for name, typed in row.get(STATE, {"M": {}})["M"].items() if name != FORMAT_ATTRIBUTE}
    return decode_item({**{name: typed for name, typed in row.items() if name != REVISION}, STATE: {"M": state}})
