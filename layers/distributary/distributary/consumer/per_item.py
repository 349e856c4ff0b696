"""Handles a batch item by item: the changes of one item in order, different items in parallel."""

from collections.abc import Callable, Iterable, Sequence

from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Outcome
from distributary.consumer.parallel import Parallel
from distributary.stream.change import Change


def per_item(
    changes: Sequence[Change],
    places: Iterable[int],
    serve: Callable[[list[int]], list[Outcome]],
    parallel: Parallel,
    deadline: Deadline,
) -> dict[int, Outcome]:
    """Returns the outcome of each change at these positions of the batch.

    `serve` receives the positions of one item's changes, in order, and returns one outcome for each. If it raises a
    DistributaryError, or the deadline comes before it starts, these changes are failed.
    """
    groups: dict[str, list[int]] = {}
    for place in places:
        groups.setdefault(repr(changes[place].keys.raw), []).append(place)
    ends: dict[int, Outcome] = {}
    for group, result in zip(groups.values(), parallel.run(serve, groups.values(), deadline), strict=True):
        each = result if isinstance(result, list) else [outcomes.failed(result)] * len(group)
        ends |= zip(group, each, strict=True)
    return ends
