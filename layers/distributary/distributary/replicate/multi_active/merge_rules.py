"""Rules by which items are merged: made by `by_attribute` and `custom`, checked before the first change."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from typing import Any

from distributary.stream.codec import Value

Item = Mapping[str, Value]
MergeTwo = Callable[[Item, Item], Item]


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """How two regions' writes of one item become one. `by` names the attribute that orders them, None is the second in
    which the stream says they were made; `parts` are merged inside; `items` merges two whole items."""

    name: str
    by: str | None
    unit: str | None = None
    parts: tuple[str, ...] = ()
    items: MergeTwo | None = None
    samples: Sequence[Item] = ()


def by_attribute(
    by: str | None = None, unit: str | None = None, *, union: tuple[str, ...] = (), counters: tuple[str, ...] = ()
) -> Merge:
    """Each attribute's newest write stands, of items that were written side by side.

    `by` is a number or text that the application sets at each write and that grows, `unit` as with `last_writer`.
    Without `by`: the stream's second; of two regions' writes of one attribute within it, that of the region named first
    stands.

    `union` names sets that merge member by member, `counters` maps of cells that merge cell by cell: each region's
    application adds to the cell under its own region's name only, and `total` adds them up. An item that is deleted and
    inserted again begins anew.
    """
    return Merge(name=f"by_attribute({by or ''})", by=by, unit=unit, parts=(*union, *counters))


def custom(merge: MergeTwo, samples: Sequence[Item], by: str | None = None, unit: str | None = None) -> Merge:
    """`merge` makes one item of two that regions wrote without knowing of each other, without their keys; the second
    one is the newer by `by` (see `by_attribute`), and of more than two the older ones are merged first.

    What a region wrote on top of another's item stands alone, if it kept the version attribute, as an update does. An
    item that is put whole without it is merged with the other's once more: so merging again what is merged must change
    nothing, and `check` tries that on all pairs of `samples`: give those that could break it.
    """
    name = f"custom({getattr(merge, '__name__', 'function')})"
    return Merge(name=name, by=by, unit=unit, items=merge, samples=tuple(samples))


def total(counter: Value) -> Decimal:
    """What the cells of a counter add up to; 0 for an item without it."""
    cells: Mapping[str, Any] = counter if isinstance(counter, Mapping) else {}
    return sum((cell for cell in cells.values() if isinstance(cell, Decimal)), Decimal())


def faults_of(rule: Merge) -> Iterable[str]:
    """What is wrong with the declaration."""
    if len(set(rule.parts)) < len(rule.parts) or rule.by in rule.parts:
        yield "union and counters name an attribute twice, or the one that the rule goes by; name each once"
    if rule.items is None:
        return
    if len(rule.samples) < 2:
        yield "a custom rule needs at least two samples to be tried on"
    try:
        if any(_changes_again(rule.items, a, b) for a, b in product(rule.samples, rule.samples)):
            yield "merge changes what is merged already: merge(merge(a, b), b) must be merge(a, b)"
    except Exception as error:  # noqa: BLE001
        yield f"merge raised {type(error).__name__} on the samples: {error}"


def _changes_again(merge: MergeTwo, a: Item, b: Item) -> bool:
    once = dict(merge(dict(a), dict(b)))
    return dict(merge(dict(once), dict(b))) != once
