"""A group's row and its counted members, as they are and as a delta leaves them: pure decisions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from distributary.derive.delta import ITEMS, Edge, GroupDelta, Key, MemberName, Row, Shape, add, member_key
from distributary.derive.format import STATE, WRITTEN
from distributary.errors import Rejected
from distributary.stream.codec import Typed, number_text

REVISION = "_distributary_revision"
"""A new random text at each write: a group that went and came again is never taken for the one before."""


_REPAIR = (
    "run 'distributary verify derive TABLE ... --repair', which adds the group up from the ledger; if it reports "
    "members that disagree, declare the view again under another name and key, and fill it"
)


class Torn(Rejected):
    """The rows do not agree: they were read during a write, or another program writes them."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group as read: its row (empty if there is none) and the members at hand, absent ones with an empty row."""

    row: Row
    members: Mapping[MemberName, Row] = field(default_factory=dict)

    @property
    def revision(self) -> str | None:
        """None if there is no row. Raises Rejected for a row that Distributary did not write."""
        if self.row and REVISION not in self.row:
            raise Rejected("a row that belongs to no group is under the group's key: remove it, or correct the key")
        return self.row[REVISION]["S"] if self.row else None

    @property
    def amounts(self) -> dict[str, Decimal]:
        """By name."""
        return _numbers(self._state.get("amounts"))

    @property
    def different(self) -> dict[str, Decimal]:
        """How many members each set has."""
        return _numbers(self._state.get("different"))

    def edge(self, edge: Edge) -> str | None:
        """The place of the first or last member."""
        known = self._state.get("edges", {"M": {}})["M"].get(edge.name)
        return known["S"] if known else None

    def count(self, member: MemberName) -> int:
        """How many items count for a member."""
        return int(self.members[member].get("items", {"N": "0"})["N"])

    @property
    def _state(self) -> Mapping[str, Typed]:
        return self.row.get(STATE, {"M": {}})["M"]


@dataclass(frozen=True, slots=True)
class NewGroupState:
    """What the group's row and members become; None is gone."""

    row: Row | None
    members: Mapping[MemberName, Row | None]


Neighbours = Mapping[Edge, Sequence[tuple[str, Typed]]]
"""Of an edge: members from that end inwards, place and value."""


def lost_edges(group: Group, shape: Shape, delta: GroupDelta) -> list[Edge]:
    """Edges whose member is removed: the next one must be looked up."""
    gone = {name for name, (count, _) in delta.members.items() if group.count(name) + count == 0}
    return [edge for edge in shape.edges if (edge.of, group.edge(edge)) in gone]


def advance(
    view: str, key: Key, shape: Shape, group: Group, delta: GroupDelta, neighbours: Neighbours, revision: str
) -> NewGroupState:
    """The group with the delta. Raises Rejected for an amount beyond 38 digits."""
    members = {name: _member(view, key, name, group, *change) for name, change in delta.members.items()}
    amounts = group.amounts
    for name, amount in delta.amounts.items():
        amounts[name] = add(amounts.get(name, Decimal()), amount)
    if amounts.get(ITEMS, Decimal()) < 0:
        raise Torn(f"the group's row counts fewer items than the ledger says: {_REPAIR}")
    if not amounts.get(ITEMS):
        return NewGroupState(None, members)
    different = group.different
    for (of, _), grown in _grown(group, delta).items():
        different[of] = different.get(of, Decimal()) + grown
    places, shown = _edges(group, shape, members, neighbours)
    state: dict[str, Typed] = {
        "amounts": {"M": _typed(amounts)},
        "different": {"M": _typed(different)},
        "edges": {"M": {name: {"S": place} for name, place in places.items()}},
        **WRITTEN,
    }
    visible = {**shown, **shape.present(amounts, different)}
    own: dict[str, Typed] = {"pk": {"S": key[0]}, "sk": {"S": key[1]}, STATE: {"M": state}, REVISION: {"S": revision}}
    return NewGroupState({**visible, **own}, members)


def _member(view: str, key: Key, name: MemberName, group: Group, count: int, value: Typed | None) -> Row | None:
    now = group.count(name) + count
    if now < 0:
        raise Torn(f"a row counts a member less often than the ledger says: {_REPAIR}")
    if now == 0:
        return None
    pk, sk = member_key(view, key, name)
    content = value if value is not None else group.members[name]["value"]
    return {"pk": {"S": pk}, "sk": {"S": sk}, "items": {"N": str(now)}, "value": content, **WRITTEN}


def _grown(group: Group, delta: GroupDelta) -> dict[MemberName, int]:
    """By how many each set has more members: 1 for a new member, -1 for a removed one."""
    return {
        name: (group.count(name) + count > 0) - (group.count(name) > 0) for name, (count, _) in delta.members.items()
    }


def _edges(
    group: Group,
    shape: Shape,
    members: Mapping[MemberName, Row | None],
    neighbours: Neighbours,
) -> tuple[dict[str, str], dict[str, Typed]]:
    """Each edge's place, and the attributes that show the member at it."""
    places: dict[str, str] = {}
    shown: dict[str, Typed] = {}
    for edge in shape.edges:
        own = {sort: row for (of, sort), row in members.items() if of == edge.of}
        there = {sort: row["value"] for sort, row in own.items() if row is not None}
        there |= {place: value for place, value in neighbours.get(edge, ()) if place not in own}
        before = group.edge(edge)
        candidates = {*there, *(() if before is None or before in own else (before,))}
        if not candidates:
            continue
        place = max(candidates, key=str.encode) if edge.last else min(candidates, key=str.encode)
        places[edge.name] = place
        shown |= _shown(edge, there[place]) if place in there else _kept(edge, group.row)
    return places, shown


def _shown(edge: Edge, value: Typed) -> dict[str, Typed]:
    return {edge.output: value} if edge.output else dict(value["M"])


def _kept(edge: Edge, row: Row) -> dict[str, Typed]:
    if edge.output:
        return {edge.output: row[edge.output]}
    return dict(row)


def _numbers(typed: Typed | None) -> dict[str, Decimal]:
    return {name: Decimal(number["N"]) for name, number in typed["M"].items()} if typed else {}


def _typed(numbers: Mapping[str, Decimal]) -> dict[str, Typed]:
    return {name: {"N": number_text(number, name)} for name, number in numbers.items() if number}
