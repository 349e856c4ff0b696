"""Parked changes of a branch, redriven in parts: the objects between two names, some at a time until the deadline."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, takewhile
from typing import Any

from distributary.consumer.aws import AwsError, classify
from distributary.consumer.deadline import Deadline
from distributary.errors import Unavailable
from distributary.feed.invoke import EVENT_KEYS, Ended
from distributary.feed.redrive import Redrive
from distributary.feed.task import Task
from distributary.readers.parked import Bucket, Parked, prefixes

PART_OBJECTS = 1000
"""Of a part: a page of S3's list."""

PLAN_BYTES = 150_000
"""Of the names in a plan; of more objects, each part has more. The state machine passes all parts on in 256 KiB
(https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html)."""


def parts_of_parked(bucket: Bucket, branch: str) -> Sequence[Mapping[str, Any]]:
    """Each has the objects whose names come behind `after`, up to `until`. At least one, which may have none. Raises
    Unavailable."""
    try:
        ends = {prefix: list(_ends(bucket, prefix)) for prefix in prefixes([branch])}
    except AwsError as error:
        raise classify(error, "list parked objects") from error
    while sum(2 * len(name) for names in ends.values() for name in names) > PLAN_BYTES:
        ends = {prefix: names[::-1][::2][::-1] for prefix, names in ends.items()}
    found = [between for prefix, names in ends.items() for between in zip([prefix, *names], names, strict=False)]
    found = found or [(prefix, prefix) for prefix in ends][:1]
    return [
        {"number": number, "of": len(found), "after": after, "until": until}
        for number, (after, until) in enumerate(found)
    ]


def _ends(bucket: Bucket, prefix: str) -> Iterator[str]:
    places = bucket.places(prefix)
    while some := list(islice(places, PART_OBJECTS)):
        yield some[-1].name


def redriven(
    event: Mapping[str, Any], task: Task, redrive: Redrive, deadline: Deadline
) -> tuple[str, bool, Counter[Ended]]:
    """The name behind which the part goes on, whether there is more, and what became of the changes since the event's
    cursor. Raises Unavailable if nothing was done."""
    part = event["part"]
    begun = cursor = event.get("cursor") or part["after"]
    ends = Counter[Ended]()
    try:
        for cursor_behind, changes in _pages(redrive.bucket, task, cursor, part["until"]):
            result = redrive.run(changes)
            ends[Ended("Applied")] += result.done
            for (_, cause), many in result.left.items():
                ends[Ended("Parked", cause)] += many
            cursor = cursor_behind
            if not deadline.left():
                return cursor, cursor != part["until"], +ends
    except Unavailable:
        if cursor == begun:
            raise
        return cursor, True, +ends
    except AwsError as error:
        if cursor == begun:
            raise classify(error, f"redrive of {task.function}") from error
        return cursor, True, +ends
    return part["until"], False, +ends


def _pages(bucket: Bucket, task: Task, after: str, until: str) -> Iterator[tuple[str, list[Parked]]]:
    """The changes of some objects at a time, and the name of the last of these."""
    (begins,) = (prefix for prefix in prefixes([task.function]) if until.startswith(prefix))
    listed = bucket.places(begins, after=after)
    changes, objects, name = list[Parked](), 0, after
    for place in takewhile(lambda each: each.name <= until, listed):
        changes += (each for each in bucket.changes(place, [task.function]) if task.cause in each.cause)
        objects, name = objects + 1, place.name
        if max(objects, len(changes)) >= EVENT_KEYS:
            yield name, changes
            changes, objects = [], 0
    yield name, changes
