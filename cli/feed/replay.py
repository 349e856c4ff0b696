"""Archived changes given to an event branch as records, by a window of time or by key."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from cli.feed.backfill import State
from distributary.feed.invoke import Ended, Feed, cause_of, packed
from distributary.readers.archive import Archive, ArchivedChange
from distributary.stream.keys import identity


@dataclass(frozen=True, slots=True)
class Window:
    """From `begin` to before `end`, in microseconds; of the item with this identity alone, all if empty."""

    begin: int
    end: int
    wanted: Callable[[ArchivedChange], bool] = lambda _: True

    def holds(self, change: ArchivedChange) -> bool:
        """Whether a change is to be replayed."""
        return self.begin <= change.micros < self.end and self.wanted(change)


@dataclass(slots=True)
class Result:
    """What became of the records, by status and cause."""

    ends: Counter[Ended] = field(default_factory=Counter)

    @property
    def records(self) -> int:
        """How many were replayed."""
        return self.ends.total()

    @property
    def left(self) -> int:
        """Those that have not been dealt with."""
        return sum(many for end, many in self.ends.items() if not end.done)

    def as_json(self) -> dict[str, Any]:
        """Counts."""
        ends = [{"status": e.status, "cause": e.cause, "records": n} for e, n in self.ends.most_common()]
        return {"records": self.records, "left": self.left, "outcomes": ends}


@dataclass(frozen=True, slots=True)
class Replay:
    """A change that was archived twice, as each repeated delivery is, is replayed once an object."""

    archive: Archive
    window: Window
    feed: Feed
    state: State
    even_if_old: bool = False
    told: Callable[[int, str], None] = lambda *_: None
    wait: Callable[[int], None] = lambda _: None

    def objects(self) -> list[str]:
        """Those that may hold changes of the window. Raises ConfigError for one outside of the archive."""
        return self.archive.objects(self.window.begin, self.window.end)

    def changes(self, name: str) -> Iterator[ArchivedChange]:
        """Those of an object that are to be replayed."""
        seen = set()
        for number, line in self.archive.lines(name):
            change = self.archive.read(name, number, line)
            if self.window.holds(change) and (change.at, str(change.keys)) not in seen:
                seen.add((change.at, str(change.keys)))
                yield change

    def run(self) -> Result:
        """Object by object. One of which records fail is read again by the next run; of one that was read, the next run
        replays what is left alone."""
        result = Result()
        for name in self.objects():
            done, left = self.state.begun(name)[1], self.state.left(name)
            ends = self._object(name, left if done else None, result) if not done or left else []
            self.told(1, cause_of(ends))
        return result

    def _object(self, name: str, only: list[str] | None, result: Result) -> list[Ended]:
        ends: list[Ended] = []
        changes = [change for change in self.changes(name) if only is None or _id(change) in only]
        for records in packed([change.record() for change in changes]):
            self.wait(len(records))
            ends += self.feed.replay(records, self.even_if_old)
        result.ends.update(ends)
        if not any(end.status == "Failed" for end in ends):
            self.state.reached(name, None)
            self.state.settled(name, [_id(each) for each, end in zip(changes, ends, strict=True) if not end.done])
        return ends


def _id(change: ArchivedChange) -> str:
    """Of a change among those of its object."""
    return f"{change.at} {identity(change.keys)}"
