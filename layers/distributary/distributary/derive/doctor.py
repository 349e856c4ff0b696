"""Examines what a derive function keeps, by what the function itself knows of it. Changes no row of a view."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from distributary.stream.described import NEVER_FILLED, changes, written_in
from distributary.verify.finding import Finding, fault, ok

_CHECK = "declarations"


def examine(told: Mapping[str, Any], place: str, fill: Callable[[str], str]) -> Iterator[Finding]:
    """Whether all rows are as the function's views are declared. `told`: what it answers to `declarations`; `place`:
    the option that names its stack or table in a command; `fill`: the command that fills a view."""
    found = changes(written_in(told), told["declared"])
    for name, fields in found.changed.items():
        if fields == [NEVER_FILLED]:
            was = f"view '{name}' is new, and lacks the items that were there before it"
            yield fault(_CHECK, was, fill(name))
            continue
        was = f"rows of view '{name}' were written under another declaration ({', '.join(fields)})"
        yield fault(_CHECK, was, f"distributary rebuild derive --view {name} {place}")
    for name in found.removed:
        was = f"rows of view '{name}' are kept, and it is declared no more"
        yield fault(_CHECK, was, f"distributary retire {name} {place}")
    if not found.changed and not found.removed:
        yield ok(_CHECK, f"the rows of all {len(told['declared'])} views were written as they are declared")
