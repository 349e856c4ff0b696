"""New views of derive that a backfill fills: once all that their tables hold has been given, the function is told."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from cli.stack import Function
from distributary.errors import Unavailable
from distributary.feed.invoke import Feed
from distributary.stream.described import NOT_DECLARED, Description, written_in


@dataclass(frozen=True, slots=True)
class NewViews:
    """`declared`: each view of the function as it was declared when the backfill began; `names`: those of them that
    were never filled and that it fills."""

    feed: Feed
    declared: Mapping[str, Description]
    names: tuple[str, ...]

    @classmethod
    def of(cls, target: Function, tables: Collection[str], only: Collection[str]) -> Self:
        """`tables`: what is given whole; `only`: to these views, to all if empty. Of a function that does not answer
        now none is known: they stay due. Raises ConfigError."""
        feed = Feed(target.invoke)
        if target.branch != "derive":
            return cls(feed, {}, ())
        try:
            told = feed.ask({"declarations": {}}, "declarations", tries=1)
        except Unavailable:
            return cls(feed, {}, ())
        written, all_tables = written_in(told), set(target.sources) or set(tables)
        names = [
            name
            for name, each in told["declared"].items()
            if written.get(name) == [NOT_DECLARED, each] and (not only or name in only)
            if read_by(each, all_tables) <= set(tables)
        ]
        return cls(feed, told["declared"], tuple(sorted(names)))

    def digest(self) -> str:
        """Of the new views' declarations; empty if there is none."""
        if not self.names:
            return ""
        text = json.dumps({name: dict(self.declared[name]) for name in self.names}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def record(self) -> None:
        """All that the tables hold has been given. Raises ConfigError if the declarations are others by now, and as
        `Feed.ask`."""
        if self.names:
            done = {"rebuilt": [], "retired": [], "filled": list(self.names), "declared": self.declared}
            self.feed.ask({"declarations": done}, "declarations")


def views_of(target: Function, tables: Sequence[str], only: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """By table, those of the views `only` that read it, without tables that none of them reads. Where there is nothing
    to choose, or a view is none of the function's, all of `only`."""
    every = dict.fromkeys(tables, tuple(only))
    if not only or len(tables) == 1:
        return every
    declared = Feed(target.invoke).ask({"declarations": {}}, "declarations")["declared"]
    if not set(only) <= declared.keys():
        return every
    chosen = {table: tuple(name for name in only if table in read_by(declared[name], {table})) for table in tables}
    return {table: names for table, names in chosen.items() if names}


def read_by(each: Description, all_tables: set[str]) -> set[str]:
    """The tables whose items a view shows, or joins."""
    sides = ("of.table", "right.table") if "right" in each else ("of.table",)
    return {each[side] for side in sides} if all(side in each for side in sides) else all_tables
