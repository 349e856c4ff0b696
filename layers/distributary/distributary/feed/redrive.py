"""Parked changes given to their function again: their items are reconciled, or their records replayed."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from distributary.consumer.deadline import FOREVER, Deadline
from distributary.errors import Unavailable
from distributary.feed.invoke import EVENT_KEYS, Ended, Feed, cause_of, packed
from distributary.readers.given_up import PREFIX
from distributary.readers.parked import REPLAYED, WITH_RECORDS, Bucket, Function, Parked, Place
from distributary.stream.keys import table_of

UNREADABLE = "its key cannot be read, so it stays; `distributary verify` covers its item"


@dataclass(slots=True)
class Result:
    """What became of the changes, and why some stay."""

    done: int = 0
    left: Counter[tuple[str, str]] = field(default_factory=Counter)
    unclaimed: int = 0

    def as_json(self) -> dict[str, Any]:
        """Counts; `left` by branch and cause; `unclaimed` were replayed when their claims may have been forgotten."""
        left = [{"branch": b, "cause": c, "changes": n} for (b, c), n in self.left.most_common()]
        return {"redriven": self.done, "left": left, "unclaimed": self.unclaimed}


@dataclass(frozen=True, slots=True)
class Giving:
    """Gives changes to their function again: state branches their keys, event branches their records. `functions` and
    `feeds` by branch, `feeds` also by table."""

    functions: Mapping[str, Function]
    feeds: Callable[[str, str], Feed]
    even_if_old: bool = False

    def give(self, branch: str, batch: Sequence[Parked]) -> list[Ended]:
        """One end per change, in order, each with a known key. Raises as `Feed.reconcile`."""
        return (self._replayed if branch in REPLAYED else self._reconciled)(branch, batch)

    def _reconciled(self, branch: str, batch: Sequence[Parked]) -> list[Ended]:
        """One entry an item, for the greatest version of its changes, since a batch may hold thousands of one item;
        where records are needed, one entry a change. A command is about one table."""
        tables = self._tables(branch)
        newest: dict[str, dict[Any, Parked]] = defaultdict(dict)
        for change in sorted(batch, key=lambda each: int(each.version or 0)):
            if change.table in tables:
                newest[change.table or ""][_named(change)] = change
        by_item: dict[Any, Ended] = {}
        for table, items in newest.items():
            ends = self.feeds(branch, table).reconcile([change.entry() for change in items.values()])
            by_item |= {(table, item): end for item, end in zip(items, ends, strict=True)}
        return [by_item.get((change.table, _named(change))) or _foreign(change.table) for change in batch]

    def _tables(self, branch: str) -> set[str]:
        """Whose items the function sets right: those that it reads; one that reads a single table takes what is parked
        of its earlier streams for items of that."""
        function = self.functions[branch]
        return set(function.sources) if len(function.sources) > 1 else set(map(table_of, function.streams))

    def _replayed(self, branch: str, batch: Sequence[Parked]) -> list[Ended]:
        """Each by its record, in the order in which they are listed."""
        ends: list[Ended] = []
        for records in packed([change.record for change in batch]):
            ends += self.feeds(branch, "").replay(records, self.even_if_old)
        return ends


@dataclass(frozen=True, slots=True)
class Redrive:
    """`feeds` by branch and table; `claim_days`: for how long welcome remembers what it sent again; `told` is called
    with how many changes have been dealt with, and why one of them stays; `wait` keeps to a rate, and is called with
    how many come next. What fails when the deadline has passed was not tried often enough: it has no history of
    that."""

    bucket: Bucket
    feeds: Callable[[str, str], Feed]
    now: Callable[[], datetime]
    claim_days: Callable[[], int] = lambda: 0
    told: Callable[[int, str], None] = lambda *_: None
    wait: Callable[[int], None] = lambda _: None
    even_if_old: bool = False
    deadline: Deadline = FOREVER

    def run(self, changes: Iterable[Parked]) -> Result:
        """All of them, in batches of one branch. An object is removed once each of its changes is done. Raises
        Unavailable if a function does not answer, or if the deadline has passed and some still fail."""
        result, batches = Result(), _Batches()
        for change in changes:
            if batch := batches.add(change):
                self._redriven(batch, result)
        for batch in batches.rest():
            self._redriven(batch, result)
        return result

    def _redriven(self, batch: Sequence[Parked], result: Result) -> None:
        branch = batch[0].branch
        self.wait(len(batch))
        readable = [change for change in batch if change.readable]
        found = Giving(self.bucket.functions, self.feeds, self.even_if_old).give(branch, readable)
        failed = [end for end in found if end.status == "Failed"]
        if failed and not self.deadline.left():
            raise Unavailable(f"{branch} keeps failing changes: {failed[0].cause or 'see its log'}")
        by_change = iter(found)
        ends = [next(by_change) if change.readable else Ended("Failed", UNREADABLE) for change in batch]
        stays = {change.place for change, end in zip(batch, ends, strict=True) if not end.done}
        result.done += sum(end.done for end in ends)
        if branch == "welcome":
            oldest = self.now() - timedelta(days=self.claim_days())
            result.unclaimed += sum(
                end.status == "Applied" and change.since < oldest for change, end in zip(batch, ends, strict=True)
            )
        result.left.update((branch, end.cause or end.status) for end in ends if not end.done)
        for place, own in _by_place(batch).items():
            if place not in stays or not self.bucket.is_newest(place):
                self.bucket.remove(place)
            elif self._was_tried(own):
                end = ends[batch.index(own[0])]
                self.bucket.keep(own[0], end.cause or end.status, self.now().isoformat(timespec="seconds"))
        self.told(len(batch), cause_of(ends))

    def _was_tried(self, own: Sequence[Parked]) -> bool:
        """Whether this is one of our objects, and its change was given to its function."""
        tried = own[0].readable
        return tried and len(own) == 1 and not own[0].place.name.startswith(PREFIX)


def _foreign(table: str | None) -> Ended:
    """Its key would be read from another table."""
    return Ended("Failed", f"it is of table '{table}', which this function does not read")


class _Batches:
    """Changes by branch, all of one object in one batch."""

    def __init__(self) -> None:
        self._open: dict[str, list[Parked]] = defaultdict(list)

    def add(self, change: Parked) -> list[Parked]:
        """The batch that is full, if this change begins another object."""
        begun = self._open[change.branch]
        full = len(begun) >= EVENT_KEYS and begun[-1].place != change.place
        if full:
            self._open[change.branch] = [change]
            return begun
        begun.append(change)
        return []

    def rest(self) -> Iterable[list[Parked]]:
        """What is left of each branch."""
        return [changes for changes in self._open.values() if changes]


def _named(change: Parked) -> tuple[str, str | None]:
    return change.item, change.version if change.branch == WITH_RECORDS else None


def _by_place(batch: Sequence[Parked]) -> dict[Place, list[Parked]]:
    found: dict[Place, list[Parked]] = defaultdict(list)
    for change in batch:
        found[change.place].append(change)
    return found
