"""Derived tables: each declared view's rows, kept in step with the source table."""

from collections.abc import Sequence
from dataclasses import dataclass

from distributary import outcome as outcomes
from distributary.change import Change, Image
from distributary.codec import Typed, encode, for_client
from distributary.deadline import Deadline
from distributary.errors import Rejected
from distributary.keys import bounded
from distributary.outcome import Outcome
from distributary.tables.register import Register, Write
from distributary.views import EXPIRY, View, concerns

TOMBSTONE_ID_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Derive:
    """A row per view and item, on the Register: `views` says what, `register` writes it."""

    views: tuple[View, ...]
    register: Register

    def apply(self, changes: Sequence[Change], deadline: Deadline) -> list[Outcome]:
        """See `consume.Branch`. A change that any view rejects is parked; what the other views make of it is kept."""
        ends: list[list[Outcome]] = [[] for _ in changes]
        writes: list[Write] = []
        owners: list[int] = []
        for place, change in enumerate(changes):
            planned, rejections = plan(self.views, change)
            ends[place] += map(outcomes.parked, rejections)
            writes += planned
            owners += [place] * len(planned)
        for owner, end in zip(owners, self.register.write(writes, deadline), strict=True):
            ends[owner].append(end)
        return [outcomes.combine(each) for each in ends]


def plan(views: Sequence[View], change: Change) -> tuple[list[Write], list[Rejected]]:
    """What a change asks of each view's row, and why a view cannot have one."""
    writes, rejections = [], []
    for view in views:
        try:
            if concerns(change, view.holds):
                writes.append(row_of(view, change))
        except Rejected as error:
            rejections.append(Rejected(f"view '{view.name}': {error}", error.detail))
    return writes, rejections


def row_of(view: View, change: Change) -> Write:
    """The row as the change leaves it. Raises Rejected for an item of which the view can make none."""
    pk, sk = view.key(change.keys)
    key: dict[str, Typed] = {"pk": {"S": pk}, "sk": {"S": sk}}
    id = bounded(f"{view.name}|{pk}|{sk}", TOMBSTONE_ID_BYTES)
    held = change.new is not None and view.holds(change.new)
    return Write(id, key, {**key, **_content(view, change.new)} if held and change.new else None, change.version)


def _content(view: View, item: Image) -> dict[str, Typed]:
    content: dict[str, Typed] = {
        name: for_client(item.raw[source], source) for name, source in view.copied.items() if source in item
    }
    content |= {name: encode(value, name) for name, value in view.computed(item).items()}
    expiry = view.projection.expires_at
    if expiry and expiry in item:
        content[EXPIRY] = for_client(item.raw[expiry], expiry)
    return content
