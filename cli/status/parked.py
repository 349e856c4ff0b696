"""What is parked, by branch and cause. Of very many objects, the first are read."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice

from cli.stack import Stack
from cli.status.row import Row, attention, well, worth_knowing
from distributary.readers.parked import Bucket, Parked, Place, prefixes

OBJECTS = 500
"""That are read below each prefix."""

CAUSES = 8
"""That the screen has room for."""

_AT_ONCE, _CAUSE_LETTERS = 16, 160


def rows(stack: Stack) -> Iterator[Row]:
    """The largest groups first. Raises ClientError."""
    branches = list(stack.functions)
    bucket = Bucket(stack.clients("s3"), stack.output("ParkingBucketName"), stack.functions)
    places = list[Place]()
    more = False
    for prefix in prefixes(branches):
        found = list(islice(bucket.places(prefix), OBJECTS + 1))
        more |= len(found) > OBJECTS
        places += found[:OBJECTS]
    groups = _groups(bucket, places, branches)
    many = Counter({group: len(times) for group, times in groups.items()})
    for branch, cause in (group for group, _ in many.most_common(CAUSES)):
        yield _row(stack, branch, cause, groups[branch, cause], more)
    rest = many.most_common()[CAUSES:]
    if rest:
        said = f"{sum(number for _, number in rest):,} more changes, of {len(rest):,} further causes"
        yield attention("parked", said, f"`distributary parked list --stack {stack.name}`", further=len(rest))
    if more:
        yield worth_knowing("parked", f"counted below {OBJECTS:,} objects of a function; there are more")
    if not groups:
        yield well("parked", "nothing is parked")


def _row(stack: Stack, branch: str, cause: str, times: list[datetime], more: bool) -> Row:
    said = f"{'at least ' if more else ''}{len(times):,} since {min(times):%Y-%m-%d %H:%M}: {cause[:_CAUSE_LETTERS]}"
    fix = f"`distributary parked show --stack {stack.name} --branch {branch}`"
    span = {"first": min(times).isoformat(), "last": max(times).isoformat()}
    return attention(f"parked {branch}", said, fix, branch=branch, cause=cause, changes=len(times), **span)


def _groups(bucket: Bucket, places: list[Place], branches: list[str]) -> dict[tuple[str, str], list[datetime]]:
    """When the changes were parked, by branch and cause."""

    def read(place: Place) -> list[Parked]:
        return list(bucket.changes(place, branches))

    groups: dict[tuple[str, str], list[datetime]] = defaultdict(list)
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for changes in threads.map(read, places):
            for change in changes:
                groups[change.branch, change.cause].append(change.place.when.astimezone(UTC))
    return groups
