"""A segment of what a function keeps, swept a page at a time until the deadline; see `consumer.sweep`."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from distributary.consumer.deadline import Deadline
from distributary.dynamodb.read_budget import Pace
from distributary.errors import Unavailable
from distributary.feed.invoke import TRIES, Feed
from distributary.feed.task import Task


@dataclass(slots=True)
class _Found:
    read: int = 0
    done: int = 0
    left: Counter[str] = field(default_factory=Counter)
    untouched: Counter[str] = field(default_factory=Counter)

    def add(self, answer: Mapping[str, Any]) -> None:
        self.read += answer["read"]
        self.done += answer["done"]
        for into, listed in ((self.left, answer["left"]), (self.untouched, answer["untouched"])):
            for each in listed:
                into[each["cause"]] += each["rows"]

    def as_json(self) -> dict[str, Any]:
        left, untouched = (
            [{"cause": cause, "rows": rows} for cause, rows in each.items()] for each in (self.left, self.untouched)
        )
        return {"read": self.read, "done": self.done, "left": left, "untouched": untouched}


def swept(event: Mapping[str, Any], task: Task, feed: Feed, pace: Pace, deadline: Deadline) -> dict[str, Any]:
    """The event that goes on, or what became of the segment. A cursor that can be asked for `once` only may have been
    asked for by an invocation whose answer was lost: if it fails, the segment begins anew, and what was left of it is
    counted anew. Raises Unavailable if nothing was done."""
    part, cursor, once = event["part"], event.get("cursor"), event.get("once") is True
    found, pages, lost, more = _Found(), 0, 0, True
    if "swept" in event:
        found.add(event["swept"])
    while more and (not pages or deadline.left()):
        asked = {"part": task.sweep, "segment": part["number"], "segments": part["of"], "cursor": cursor}
        try:
            answer = feed.ask({"sweep": asked, "only": list(task.only)}, "swept", 1 if once else TRIES)
        except Unavailable:
            lost += once
            if not once or lost == TRIES:
                if pages:
                    break
                raise
            cursor, once, found = None, False, _Found(found.read, found.done)
            continue
        found.add(answer)
        pages, cursor = pages + 1, answer["cursor"]
        more = cursor is not None
        once = more and answer.get("repeatable") is not True
        pace.take(answer["read"])
    ended = {"part": part, "more": more, "swept": found.as_json()}
    return {**ended, "task": event["task"], "cursor": cursor, "once": once} if more else ended
