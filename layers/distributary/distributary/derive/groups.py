"""A group's row and its counted members, as they are and as a delta leaves them: pure decisions.

`tests/unit/test_incarnation_model.py` enumerates how another incarnation of a group is built beside the stream."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from distributary.derive.delta import ITEMS, Edge, GroupDelta, Key, MemberName, Row, Shape, add, member_key
from distributary.derive.format import STATE, WRITTEN
from distributary.errors import Rejected
from distributary.stream.codec import Typed, number_text
from distributary.stream.struct import Struct, field

REVISION = "_distributary_revision"
"""A new random text at each write: a group that went and came again is never taken for the one before."""


_REPAIR = "run 'distributary verify derive TABLE ... --repair', which builds the group anew from the ledger"


class Torn(Rejected):
    """The rows do not agree: they were read during a write, or another program writes them."""


class Group(Struct, frozen=True):
    """A group as read: its row (empty if there is none) and the members at hand, absent ones with an empty row.

    What its row shows are the figures of one *incarnation*. If they are broken, another is built beside them: `built`
    are its members at hand. Each write adds to both, until the row is switched over to what was built.
    """

    row: Row
    members: Mapping[MemberName, Row] = field(default_factory=dict)
    built: Mapping[MemberName, Row] = field(default_factory=dict)

    @property
    def revision(self) -> str | None:
        """None if there is no row. Raises Rejected for a row that Distributary did not write."""
        if self.row and REVISION not in self.row:
            raise Rejected("a row that belongs to no group is under the group's key: remove it, or correct the key")
        return self.row[REVISION]["S"] if self.row else None

    @property
    def incarnation(self) -> str:
        """The one that is shown; empty if it is the first."""
        return self.state.get("incarnation", {"S": ""})["S"]

    @property
    def building(self) -> str | None:
        """The incarnation that is built beside it."""
        return self._building["id"]["S"] if self._building else None

    @property
    def dropping(self) -> str | None:
        """The incarnation that was shown before, while its members are removed."""
        dropped = self.state.get("dropping")
        return dropped["S"] if dropped else None

    @property
    def incarnations(self) -> set[str]:
        """All whose members are kept."""
        return {self.incarnation, self.newest} | ({self.dropping} if self.dropping is not None else set())

    @property
    def newest(self) -> str:
        """The incarnation that marks what is written."""
        return self.incarnation if self.building is None else self.building

    @property
    def counted(self) -> set[str]:
        """The marks of the shares that the shown figures count."""
        return {self.incarnation, self.newest}

    @property
    def figures(self) -> "Figures":
        """What is shown."""
        return Figures(_numbers(self.state.get("amounts")), _numbers(self.state.get("different")), self.members)

    @property
    def built_figures(self) -> "Figures":
        """What is built."""
        found = self._building
        return Figures(_numbers(found.get("amounts")), _numbers(found.get("different")), self.built)

    def shown(self, edge: Edge) -> dict[str, Typed]:
        """Place and value of the members that the row shows at an edge, in order. None if it shows them in another
        form, as an earlier declaration did."""
        known = self.state.get("edges", {"M": {}})["M"].get(edge.name, {})
        if edge.many is not None:
            places = [place["S"] for place in known.get("L", ())]
            entries = self.row.get(edge.output or "", {}).get("L", ())
            return dict(zip(places, entries, strict=True)) if len(places) == len(entries) else {}
        if "S" not in known or (edge.output is not None and edge.output not in self.row):
            return {}
        return {known["S"]: {"M": self.row} if edge.output is None else self.row[edge.output]}

    def count(self, member: MemberName) -> int:
        """How many items count for a member."""
        return self.figures.count(member)

    @property
    def state(self) -> Mapping[str, Typed]:
        """What the row remembers besides what it shows."""
        return self.row.get(STATE, {"M": {}})["M"]

    @property
    def _building(self) -> Mapping[str, Typed]:
        return self.state.get("building", {"M": {}})["M"]


class Figures(Struct, frozen=True):
    """Of one incarnation: amounts by name, how many members each set has, and the members at hand."""

    amounts: Mapping[str, Decimal]
    different: Mapping[str, Decimal]
    members: Mapping[MemberName, Row | None]

    def count(self, member: MemberName) -> int:
        """How many items count for a member."""
        return int((self.members[member] or {}).get("items", {"N": "0"})["N"])

    @property
    def empty(self) -> bool:
        """Whether no item is counted."""
        return not self.amounts.get(ITEMS)

    def written(self) -> dict[str, Typed]:
        """As a group's row remembers them; it remembers no members."""
        if self.empty:
            return {"amounts": {"M": {}}, "different": {"M": {}}}
        return {"amounts": {"M": _typed(self.amounts)}, "different": {"M": _typed(self.different)}}


class NewGroupState(Struct, frozen=True):
    """What the group's row and members become, shown and `built` ones; None is gone."""

    row: Row | None
    members: Mapping[MemberName, Row | None]
    built: Mapping[MemberName, Row | None] = field(default_factory=dict)


Neighbours = Mapping[Edge, Sequence[tuple[str, Typed]]]
"""Of an edge: members from that end inwards, place and value."""


def lost_edges(group: Group, shape: Shape, delta: GroupDelta) -> list[Edge]:
    """Edges at which a member that the row does not show may take the place of one that is removed: it must be looked
    up."""
    return [edge for edge in shape.edges if _may_follow(group, edge, delta)]


def _may_follow(group: Group, edge: Edge, delta: GroupDelta) -> bool:
    """All that the row does not show is behind the last that it shows. So nothing of it follows as long as the row can
    be filled with what is not behind that one."""
    before = list(group.shown(edge))
    if group.figures.different.get(edge.of, 0) <= len(before):
        return False
    now = {sort: group.count((of, sort)) + count for (of, sort), (count, _) in delta.members.items() if of == edge.of}
    kept = {place for place in before if now.get(place, 1) > 0}
    added = {place for place, many in now.items() if many > 0 and before and _in_front(edge, place, before[-1])}
    return len(kept | added) < edge.size


def _in_front(edge: Edge, place: str, other: str) -> bool:
    return place.encode() > other.encode() if edge.last else place.encode() < other.encode()


def advance(
    view: str,
    key: Key,
    shape: Shape,
    group: Group,
    delta: GroupDelta,
    neighbours: Neighbours,
    revision: str,
    built: GroupDelta | None = None,
) -> NewGroupState:
    """The group with the delta, and with that of the incarnation that is `built`. Shown figures that cannot take it
    stay as they are while another incarnation is built. Raises Rejected for an amount beyond 38 digits."""
    begun: Figures | None = None
    if group.building is not None and built is not None:
        begun = _moved(view, key, shape, group.built_figures, built, group.building)
    try:
        now = _moved(view, key, shape, group.figures, delta, group.incarnation)
    except Torn:
        if begun is None:
            raise
        state = {**group.state, **_underway(group, begun)}
        return NewGroupState({**group.row, STATE: {"M": state}, REVISION: {"S": revision}}, {}, begun.members)
    underway = _underway(group, begun)
    if now.empty and not {"building", "dropping"} & underway.keys():
        return NewGroupState(None, now.members)
    edges, shown = ({}, {}) if now.empty else at_edges(_edges(group, shape, now.members, neighbours))
    row = made_row(key, shape, now, edges, shown, underway)
    return NewGroupState({**row, REVISION: {"S": revision}}, now.members, begun.members if begun else {})


def made_row(
    key: Key, shape: Shape, figures: Figures, edges: Mapping[str, Typed], shown: Row, underway: Mapping[str, Typed]
) -> dict[str, Typed]:
    """A group's row but for its revision: of no items if nothing is counted. `edges` are the places of first and last
    members, and `shown` those members; `underway`: which incarnation it is, and what goes on beside it."""
    state: dict[str, Typed] = {**figures.written(), "edges": {"M": dict(edges)}, **WRITTEN, **underway}
    present = shape.present({}, {}) if figures.empty else shape.present(figures.amounts, figures.different)
    own: dict[str, Typed] = {"pk": {"S": key[0]}, "sk": {"S": key[1]}, STATE: {"M": state}}
    return {**shown, **present, **shape.expiry(key), **own}


def _underway(group: Group, begun: Figures | None) -> dict[str, Typed]:
    kept = {name: typed for name, typed in group.state.items() if name in ("incarnation", "building", "dropping")}
    return kept if begun is None else {**kept, "building": under_construction(str(group.building), begun)}


def under_construction(incarnation: str, figures: Figures) -> Typed:
    """What a group's row remembers of the incarnation that is built."""
    return {"M": {"id": {"S": incarnation}, **figures.written()}}


def _moved(view: str, key: Key, shape: Shape, figures: Figures, delta: GroupDelta, incarnation: str) -> Figures:
    """One incarnation with its delta. Raises Torn."""
    expiry = shape.expiry(key) if delta.members else {}
    members = {
        name: None if row is None else {**row, **expiry}
        for name, change in delta.members.items()
        for row in [_member(member_key(view, key, name, incarnation), figures, name, *change)]
    }
    amounts = dict(figures.amounts)
    for name, amount in delta.amounts.items():
        amounts[name] = add(amounts.get(name, Decimal()), amount)
    if amounts.get(ITEMS, Decimal()) < 0:
        raise Torn(f"the group's row counts fewer items than the ledger says: {_REPAIR}")
    different = dict(figures.different)
    for (of, _), grown in _grown(figures, delta).items():
        different[of] = different.get(of, Decimal()) + grown
    return Figures(amounts, different, members)


def _member(place: Key, figures: Figures, name: MemberName, count: int, value: Typed | None) -> Row | None:
    now = figures.count(name) + count
    if now < 0:
        raise Torn(f"a row counts a member less often than the ledger says: {_REPAIR}")
    if now == 0:
        return None
    content = value if value is not None else (figures.members[name] or {})["value"]
    return {"pk": {"S": place[0]}, "sk": {"S": place[1]}, "items": {"N": str(now)}, "value": content, **WRITTEN}


def _grown(figures: Figures, delta: GroupDelta) -> dict[MemberName, int]:
    """By how many each set has more members: 1 for a new member, -1 for a removed one."""
    return {
        name: (figures.count(name) + count > 0) - (figures.count(name) > 0)
        for name, (count, _) in delta.members.items()
    }


def _edges(
    group: Group,
    shape: Shape,
    members: Mapping[MemberName, Row | None],
    neighbours: Neighbours,
) -> dict[Edge, list[tuple[str, Typed]]]:
    """Place and value of the members at each edge, from there inwards."""
    found: dict[Edge, list[tuple[str, Typed]]] = {}
    for edge in shape.edges:
        own = {sort: row for (of, sort), row in members.items() if of == edge.of}
        known = {**dict(neighbours.get(edge, ())), **group.shown(edge)}
        there = {place: value for place, value in known.items() if place not in own}
        there |= {sort: row["value"] for sort, row in own.items() if row is not None}
        ordered = sorted(there.items(), key=lambda each: each[0].encode(), reverse=edge.last)
        found[edge] = ordered[: edge.size]
    return found


def at_edges(found: Mapping[Edge, Sequence[tuple[str, Typed]]]) -> tuple[dict[str, Typed], dict[str, Typed]]:
    """The members at each edge, place and value, as a group's row remembers their places, and as it shows them."""
    places: dict[str, Typed] = {}
    shown: dict[str, Typed] = {}
    for edge, members in found.items():
        if not members:
            continue
        if edge.many is not None:
            places[edge.name] = {"L": [{"S": place} for place, _ in members]}
            shown[str(edge.output)] = {"L": [value for _, value in members]}
            continue
        ((place, value),) = members
        places[edge.name] = {"S": place}
        shown |= {edge.output: value} if edge.output else dict(value.get("M", {}))
    return places, shown


def _numbers(typed: Typed | None) -> dict[str, Decimal]:
    return {name: Decimal(number["N"]) for name, number in typed["M"].items()} if typed else {}


def _typed(numbers: Mapping[str, Decimal]) -> dict[str, Typed]:
    return {name: {"N": number_text(number, name)} for name, number in numbers.items() if number}
