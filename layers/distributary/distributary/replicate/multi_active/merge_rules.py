"""Rules by which items are merged: made by `by_attribute` and `custom`, checked before the first change."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import product
from typing import Any

from distributary.stream.codec import Value
from distributary.stream.struct import Struct

Item = Mapping[str, Value]
MergeTwo = Callable[[Item, Item], Item]


class Merge(Struct, frozen=True, kw_only=True):
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
    """The rule by which items are merged attribute by attribute: the newest write of each attribute is kept. If two
    regions write an attribute at the same time, the region that is named first wins. An item that is deleted and
    inserted again begins anew.

    Args:
        by: The attribute in which the application keeps the time of each write: a number, or a string that sorts by
            time. It grows with each write. If None, the second of the stream's record is the time.
        unit: As for `last_writer`.
        union: Sets that are merged member by member: the newest add or remove of each member wins.
        counters: Maps that are merged entry by entry. Each region's application adds only to the entry under its own
            region's name, such as `visits.eu-west-1`; `total` adds the entries up.
    """
    return Merge(name=f"by_attribute({by or ''})", by=by, unit=unit, parts=(*union, *counters))


def custom(merge: MergeTwo, samples: Sequence[Item], by: str | None = None, unit: str | None = None) -> Merge:
    """The rule by which a function of yours makes one item of two that regions wrote without knowing of each other.

    An update on top of another region's item is kept as it is, if it keeps the version attribute. An item that is put
    whole without that attribute is merged with the other region's item once more. So merging again what is merged
    already must change nothing: `merge(merge(a, b), b) == merge(a, b)`.

    Args:
        merge: A pure function of two items without their keys, the older one first. It returns the merged item. Of more
            than two items, the older ones are merged first. If it raises an error, the change is parked.
        samples: At least two items. `check` tries `merge` on all pairs of them: give those that could break it.
        by: The attribute by which one item is newer, as for `by_attribute`.
        unit: As for `last_writer`.
    """
    name = f"custom({getattr(merge, '__name__', 'function')})"
    return Merge(name=name, by=by, unit=unit, items=merge, samples=tuple(samples))


def total(counter: Value) -> Decimal:
    """The sum of a counter's entries.

    Args:
        counter: The item's attribute, a map of numbers; None for an item without it. Entries that are no numbers count
            as 0.

    Returns:
        The sum, 0 for an item without the counter.
    """
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
