"""Items given to a branch: keys to reconcile, or snapshots into an empty branch."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distributary.errors import Unavailable
from distributary.feed.invoke import Ended, Feed, packed
from distributary.feed.snapshot import Table, snapshot_text


@dataclass(frozen=True, slots=True)
class Giver:
    """Gives items of a table to one function. `only` names views or indexes, all if empty."""

    feed: Feed
    table: Table
    only: tuple[str, ...] = ()
    now: Callable[[], float] = time.time

    def reconcile(self, entries: Sequence[Mapping[str, Any]]) -> list[Ended]:
        """One end per entry; see `Feed.reconcile`."""
        return self.feed.reconcile(entries, only=list(self.only)) if entries else []

    def snapshots(self, images: Sequence[Mapping[str, Any]]) -> list[Ended]:
        """One end per item in DynamoDB JSON, which an empty branch takes as it is. Raises Unavailable if the function
        keeps failing one."""
        ends: list[Ended] = []
        made = [snapshot_text(image, self.table, self.now(), True) for image in images]
        for snapshots in packed(made, weight=lambda each: len(each.text)):
            done = self.feed.deliver(snapshots)
            ends += [Ended("Applied")] * done
            if done < len(snapshots):
                raise Unavailable("the function keeps failing one record: see its log")
        return ends
