"""Changes of one item that have one position: a Kinesis data stream tells changes apart by their time alone.
Used by commands only: no branch imports it."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def in_order(tied: Sequence[T], images: Callable[[T], tuple[Any, Any]], name: Callable[[T], Any]) -> list[T]:
    """Each begins with the item as the one before it left it. `images`: the item before and after a change, None for
    no item; `name`: what tells the changes apart. Where the images do not tell, as of a change and its reverse, the
    least name comes first."""
    left, ordered = sorted(tied, key=name), list[T]()
    while left:
        after = [each for each in left if ordered and images(each)[0] == images(ordered[-1])[1]]
        begun = [each for each in left if all(images(other)[1] != images(each)[0] for other in left)]
        ordered.append((after or begun or left)[0])
        left = [each for each in left if each is not ordered[-1]]
    return ordered
