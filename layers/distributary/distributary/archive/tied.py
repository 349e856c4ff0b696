"""Changes of one item that have one position: a Kinesis data stream tells changes apart by their time alone.
Used by commands only: no branch imports it."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

_SEARCHED = 8
"""Of so many changes all orders are tried; of more, each is the first that fits behind the one before."""


class _Step(NamedTuple):
    """A change by its place, with the item before and after it."""

    place: int
    old: Any
    new: Any


def in_order(tied: Sequence[T], images: Callable[[T], tuple[Any, Any]], name: Callable[[T], Any]) -> list[T]:
    """Each begins with the item as the one before it left it. `images`: the item before and after a change, None for
    no item; `name`: what tells the changes apart. Where the images do not tell, as of a change and its reverse, the
    least name comes first."""
    named = sorted(tied, key=name)
    steps = [_Step(place, *images(each)) for place, each in enumerate(named)]
    found = _whole([], steps) if len(steps) <= _SEARCHED else None
    return [named[each.place] for each in found or _as_far_as_it_goes(steps)]


def _whole(ordered: list[_Step], left: list[_Step]) -> list[_Step] | None:
    """An order in which each fits behind the one before; None if there is none."""
    if not left:
        return ordered
    for each in left:
        if not ordered or each.old == ordered[-1].new:
            found = _whole([*ordered, each], [other for other in left if other is not each])
            if found is not None:
                return found
    return None


def _as_far_as_it_goes(left: list[_Step]) -> list[_Step]:
    ordered: list[_Step] = []
    while left:
        after = [each for each in left if ordered and each.old == ordered[-1].new]
        begun = [each for each in left if all(other.new != each.old for other in left)]
        ordered.append((after or begun or left)[0])
        left = [each for each in left if each is not ordered[-1]]
    return ordered
