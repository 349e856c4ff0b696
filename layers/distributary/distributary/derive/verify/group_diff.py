"""A group's row and members against the sum of what the ledger's rows say: pure decisions.

Of a group's members only their number, an additive fingerprint, the first and the last are held, so that memory grows
with the number of groups and sets, never with that of items or members.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from distributary.derive.contribution import set_name, shape_of
from distributary.derive.declarations import Aggregate
from distributary.derive.delta import ITEMS, Key, RecordedContribution, Row, add, member_partition
from distributary.derive.format import STATE, WRITTEN
from distributary.derive.groups import REVISION
from distributary.derive.verify.expected_rows import Problem, name_of
from distributary.derive.view import View
from distributary.stream.canonical import digest_bytes
from distributary.stream.codec import Typed, decode_item, number_text
from distributary.stream.format import FORMAT_ATTRIBUTE

_FINGERPRINTS = 1 << 128


@dataclass(slots=True)
class Members:
    """One set of one group, as its member rows are."""

    number: int = 0
    fingerprint: int = 0
    first: tuple[str, Typed] | None = None
    last: tuple[str, Typed] | None = None

    def count(self, row: Row) -> None:
        """One member row more."""
        place, value, items = row["sk"]["S"], row.get("value", {"NULL": True}), int(row.get("items", {"N": "0"})["N"])
        self.number += 1
        self.fingerprint = (self.fingerprint + items * mark(place)) % _FINGERPRINTS
        if self.first is None or place.encode() < self.first[0].encode():
            self.first = place, value
        if self.last is None or place.encode() > self.last[0].encode():
            self.last = place, value


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
    """What is wrong with one group, and all that it was judged by."""

    view: View
    key: Key
    row: Row
    sums: Sums
    members: dict[str, Members]
    problems: tuple[Problem, ...]


def mark(place: str) -> int:
    """A member's part in the fingerprint."""
    return int.from_bytes(digest_bytes(place), "big")


def sets_of(view: View) -> list[str]:
    """The sets of members that a view's groups count."""
    sets = [edge.of for edge in shape_of(view).edges]
    if isinstance(view.declared, Aggregate):
        sets += [set_name(output, source) for output, source in view.declared.distinct.items()]
    return list(dict.fromkeys(sets))


def partitions(view: View, key: Key) -> dict[str, str]:
    """Where each set's members are counted."""
    return {of: member_partition(view.name, key, of) for of in sets_of(view)}


def group_problems(view: View, key: Key, row: Row, sums: Sums, members: Mapping[str, Members]) -> tuple[Problem, ...]:
    """`row` is empty if there is none; `members` by partition."""
    wrong = tuple(
        Problem("stale", f"members {at}")
        for at in partitions(view, key).values()
        if sums.fingerprints.get(at, 0) != members.get(at, Members()).fingerprint
    )
    if wrong:
        return wrong
    due = group_row(view, key, sums, members)
    if due is None:
        return (Problem("dead", name_of(key)),) if row else ()
    if not row:
        return (Problem("missing", name_of(key)),)
    return () if _figures(row) == _figures(due) else (Problem("stale", name_of(key)),)


def group_row(view: View, key: Key, sums: Sums, members: Mapping[str, Members]) -> dict[str, Typed] | None:
    """The row that the ledger's sum makes, but for its revision; None if the group is empty. Members must agree."""
    amounts = {name: amount for name, amount in sums.amounts.get(key, {}).items() if amount}
    if not amounts.get(ITEMS):
        return None
    counted = {of: members.get(at, Members()) for of, at in partitions(view, key).items()}
    different = {of: Decimal(each.number) for of, each in counted.items() if each.number}
    shape = shape_of(view)
    edges: dict[str, Typed] = {}
    visible: dict[str, Typed] = {}
    for edge in shape.edges:
        at = counted[edge.of].last if edge.last else counted[edge.of].first
        if at is not None:
            edges[edge.name] = {"S": at[0]}
            visible |= {edge.output: at[1]} if edge.output else dict(at[1].get("M", {}))
    state: dict[str, Typed] = {
        "amounts": {"M": {name: {"N": number_text(amount, name)} for name, amount in amounts.items()}},
        "different": {"M": {of: {"N": number_text(many, of)} for of, many in different.items()}},
        "edges": {"M": edges},
        **WRITTEN,
    }
    own: dict[str, Typed] = {"pk": {"S": key[0]}, "sk": {"S": key[1]}, STATE: {"M": state}}
    return {**visible, **shape.present(amounts, different), **own}


def _figures(row: Row) -> dict[str, Any]:
    """What a row holds, whatever its revision and its format."""
    state = {name: typed for name, typed in row.get(STATE, {"M": {}})["M"].items() if name != FORMAT_ATTRIBUTE}
    return decode_item({**{name: typed for name, typed in row.items() if name != REVISION}, STATE: {"M": state}})
