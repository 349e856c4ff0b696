"""What a table holds, given to a function: every item's key to reconcile, or its snapshot into an empty branch.

The scan goes in segments, side by side. A state file remembers how far each segment is, so that a run that was stopped
goes on where it was; what was given twice does nothing.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock
from typing import Any, Protocol

from distributary.errors import ConfigError
from distributary.feed.give import Giver
from distributary.feed.invoke import Ended, cause_of
from distributary.feed.sources import Scan


class Reached(Protocol):
    """How far each segment of something is."""

    def begun(self, segment: int) -> tuple[Any, bool]:
        """The cursor from which a segment goes on, and whether it is done."""

    def left(self, segment: int) -> list[Any]:
        """What earlier runs passed over, since the branch refused it: it is to be tried again."""

    def reached(self, segment: int, cursor: Any, left: Sequence[Any] = ()) -> None:
        """Everything before the cursor is done, but for what is `left` besides; everything, if it is None."""

    def settled(self, segment: int, left: Sequence[Any]) -> None:
        """Of what earlier runs passed over, only this is left."""


class State:
    """How far each segment is, in a file that is replaced as a whole; without a path, in memory alone."""

    def __init__(self, path: Path | None, task: Mapping[str, Any]) -> None:
        self._path, self._lock = path, Lock()
        self._content: dict[str, Any] = {"task": dict(task), "segments": {}}
        if path is not None and not path.parent.is_dir():
            raise ConfigError(f"--state {path}: there is no folder {path.parent}; create it, or name another file")
        if path is not None and path.exists():
            self._content = self._read(path, task)

    def _read(self, path: Path, task: Mapping[str, Any]) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(path.read_text())
            same = found["task"] == dict(task)
            if not isinstance(found["segments"], dict):
                raise ValueError(path)
        except (OSError, ValueError, KeyError, TypeError):
            raise ConfigError(f"--state {path}: this is no state file of a backfill; name another file") from None
        if not same:
            other = "; ".join(
                f"{name}: {_text(found['task'].get(name))}" for name in task if found["task"].get(name) != task[name]
            )
            raise ConfigError(f"--state {path}: it is of another command ({other}); name another file")
        return found

    def is_about(self, digest: str) -> bool:
        """Whether all of it, also what an earlier run has done, is about the views of this digest."""
        if not self._content["segments"]:
            self._content["views"] = digest
        return bool(self._content.get("views", "") == digest)

    def begun(self, segment: int | str) -> tuple[Any, bool]:
        """See `Reached`."""
        found = self._of(segment)
        return found.get("cursor"), bool(found.get("done"))

    def left(self, segment: int | str) -> list[Any]:
        """See `Reached`."""
        return list(self._of(segment).get("left", []))

    def reached(self, segment: int | str, cursor: Any, left: Sequence[Any] = ()) -> None:
        """See `Reached`."""
        passed = [*self.left(segment), *left]
        self._keep(segment, {"cursor": cursor or {}, "done": cursor is None, "left": passed})

    def settled(self, segment: int | str, left: Sequence[Any]) -> None:
        """See `Reached`."""
        self._keep(segment, {**self._of(segment), "left": list(left)})

    def _of(self, segment: int | str) -> dict[str, Any]:
        found: dict[str, Any] = self._content["segments"].get(str(segment), {})
        return found

    def _keep(self, segment: int | str, content: Mapping[str, Any]) -> None:
        with self._lock:
            self._content["segments"][str(segment)] = content
            if self._path is not None:
                beside = self._path.with_name(f"{self._path.name}.new")
                beside.write_text(json.dumps(self._content))
                beside.replace(self._path)


@dataclass(frozen=True, slots=True)
class Part:
    """Of a state that covers several things to go through."""

    state: State
    name: str

    def begun(self, segment: int) -> tuple[Any, bool]:
        """See `Reached`."""
        return self.state.begun(f"{self.name}/{segment}")

    def left(self, segment: int) -> list[Any]:
        """See `Reached`."""
        return self.state.left(f"{self.name}/{segment}")

    def reached(self, segment: int, cursor: Any, left: Sequence[Any] = ()) -> None:
        """See `Reached`."""
        self.state.reached(f"{self.name}/{segment}", cursor, left)

    def settled(self, segment: int, left: Sequence[Any]) -> None:
        """See `Reached`."""
        self.state.settled(f"{self.name}/{segment}", left)


def _text(value: Any) -> str:
    return (", ".join(value) or "all") if isinstance(value, list) else str(value)


def in_segments(segments: int, run: Callable[[int, Event], None]) -> None:
    """Each segment in a thread of its own. What one raises, or an interrupt, sets the event that ends the others behind
    the page that they are at."""
    stop = Event()
    with ThreadPoolExecutor(segments, thread_name_prefix="segment") as pool:
        running = [pool.submit(run, each, stop) for each in range(segments)]
        try:
            for each in as_completed(running):
                each.result()
        finally:
            stop.set()


@dataclass(slots=True)
class Result:
    """What became of the items, by status and cause. Filled from several threads."""

    items: int = 0
    ends: Counter[Ended] = field(default_factory=Counter)
    _lock: Lock = field(default_factory=Lock)

    def add(self, ends: Sequence[Ended]) -> None:
        """Of one page."""
        with self._lock:
            self.items += len(ends)
            self.ends.update(ends)

    def merge(self, other: "Result") -> None:
        """Of another table."""
        with self._lock:
            self.items += other.items
            self.ends.update(other.ends)

    @property
    def left(self) -> int:
        """Items that are not right."""
        return sum(many for end, many in self.ends.items() if not end.done)

    def as_json(self) -> dict[str, Any]:
        """Counts."""
        ends = [{"status": e.status, "cause": e.cause, "items": n} for e, n in self.ends.most_common()]
        return {"items": self.items, "left": self.left, "outcomes": ends}


@dataclass(frozen=True, slots=True)
class Backfill:
    """`first_fill` gives whole items, which an empty branch takes as they are; otherwise keys are reconciled. `told`
    is called with how many items were given, and why one of them is not done. `wait` keeps to a rate."""

    source: Scan
    giver: Giver
    state: Reached
    first_fill: bool = False
    told: Callable[[int, str], None] = lambda *_: None
    wait: Callable[[int], None] = lambda _: None

    def run(self, segments: int) -> Result:
        """All segments; see `in_segments`. An item that keeps failing ends all of them too: the state file does not
        pass over it. What earlier runs passed over comes first."""
        result = Result()
        in_segments(segments, lambda each, stop: self._segment(each, segments, result, stop))
        return result

    def _segment(self, segment: int, segments: int, result: Result, stop: Event) -> None:
        cursor, done = self.state.begun(segment)
        if not self._again(segment, result):
            stop.set()
        if done:
            return
        give = self.giver.snapshots if self.first_fill else self.giver.reconcile
        for items, after in self.source.pages(segment, segments, cursor, self.first_fill):
            if stop.is_set():
                return
            self.wait(len(items))
            ends = give(items)
            result.add(ends)
            if any(end.status == "Failed" for end in ends):
                stop.set()
                return
            left = [entry["key"] for entry, end in zip(items, ends, strict=True) if not end.done]
            self.state.reached(segment, after, left)
            self.told(len(items), cause_of(ends))

    def _again(self, segment: int, result: Result) -> bool:
        """What earlier runs passed over; whether none of it failed. A first fill passes over nothing."""
        keys = self.state.left(segment)
        if not keys:
            return True
        self.wait(len(keys))
        ends = self.giver.reconcile([{"key": key} for key in keys])
        result.add(ends)
        self.state.settled(segment, [key for key, end in zip(keys, ends, strict=True) if not end.done])
        return all(end.status != "Failed" for end in ends)
