"""Handles a batch item by item: the changes of one item in order, different items side by side."""

from collections.abc import Callable, Iterable, Sequence

from distributary.consumer import outcome as outcomes
from distributary.consumer.outcome import Outcome
from distributary.errors import DistributaryError
from distributary.stream.change import Change

Groups = Sequence[list[int]]
"""The positions of each item's changes, in order."""


def per_item(
    changes: Sequence[Change],
    places: Iterable[int],
    serve: Callable[[Groups], Sequence[list[Outcome] | DistributaryError]],
) -> dict[int, Outcome]:
    """Returns the outcome of each change at these positions of the batch.

    `serve` returns for each item one outcome for each of its changes, or the error that stopped it: then these changes
    are failed.
    """
    groups: dict[str, list[int]] = {}
    for place in places:
        groups.setdefault(repr(changes[place].keys.raw), []).append(place)
    ends: dict[int, Outcome] = {}
    for group, result in zip(groups.values(), serve([*groups.values()]), strict=True):
        each = [outcomes.failed(result)] * len(group) if isinstance(result, DistributaryError) else result
        ends |= zip(group, each, strict=True)
    return ends
