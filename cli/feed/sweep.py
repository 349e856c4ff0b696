"""What no item explains, removed by the function that keeps it: a command a page, in segments side by side."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Any

from cli.feed.backfill import Reached, in_segments
from distributary.consumer.backoff import backoff
from distributary.consumer.deadline import FOREVER
from distributary.errors import Unavailable
from distributary.feed.invoke import TRIES, Feed


@dataclass(slots=True)
class Swept:
    """How many rows were `read`, how many removed or corrected (`done`), and why others are `left` and `untouched`.
    Filled from several threads."""

    read: int = 0
    done: int = 0
    left: Counter[str] = field(default_factory=Counter)
    untouched: Counter[str] = field(default_factory=Counter)
    _lock: Lock = field(default_factory=Lock)

    def add(self, answer: Mapping[str, Any]) -> None:
        """Of one page; see `consumer.sweep`."""
        with self._lock:
            self.read += answer["read"]
            self.done += answer["done"]
            for into, listed in ((self.left, answer["left"]), (self.untouched, answer["untouched"])):
                for each in listed:
                    into[each["cause"]] += each["rows"]

    def merge(self, other: "Swept") -> None:
        """Of another segment."""
        with self._lock:
            self.read += other.read
            self.done += other.done
            self.left.update(other.left)
            self.untouched.update(other.untouched)

    def as_json(self) -> dict[str, Any]:
        """Counts."""
        return {"read": self.read, "done": self.done, "left": dict(self.left), "untouched": dict(self.untouched)}


@dataclass(frozen=True, slots=True)
class Sweeping:
    """`only`: of these views or indexes, all if empty. A dry run counts. `wait` keeps to a rate of rows."""

    feed: Feed
    only: tuple[str, ...] = ()
    dry_run: bool = False
    told: Callable[[int], None] = lambda _: None
    wait: Callable[[int], None] = lambda _: None

    def run(self, part: str, segments: int, state: Reached, into: Swept) -> None:
        """A part of what the function keeps. A page that leaves something is looked at again by the next run. A segment
        whose pages can be asked for once only begins anew after an error, and counts as done only as a whole: it ends
        behind one pass without errors."""
        in_segments(segments, lambda each, stop: self._segment(part, each, segments, state, into, stop))

    def _segment(self, part: str, segment: int, segments: int, state: Reached, into: Swept, stop: Event) -> None:
        (cursor, done), found, once, lost = state.begun(segment), Swept(), False, 0
        while not done and not stop.is_set():
            asked = {"part": part, "segment": segment, "segments": segments, "cursor": cursor, "dry_run": self.dry_run}
            try:
                answer = self.feed.ask({"sweep": asked, "only": list(self.only)}, "swept", 1 if once else TRIES)
            except Unavailable:
                lost += 1
                if not once or lost == TRIES:
                    raise
                backoff(FOREVER, lost - 1, first=1.0, longest=30.0, sleep=self.feed.sleep)
                cursor, once, found = None, False, Swept() if self.dry_run else Swept(found.read, found.done)
                continue
            found.add(answer)
            cursor = answer["cursor"]
            done = cursor is None
            once = not done and answer.get("repeatable") is not True
            if not once and not found.left:
                state.reached(segment, cursor)
            self.told(answer["read"])
            self.wait(answer["read"])
        into.merge(found)
