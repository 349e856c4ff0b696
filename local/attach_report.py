"""The output of `attach`: where things are kept, causes, counts, and what the functions made."""

import json
import time
from collections.abc import Callable, Mapping, Sequence

from rich.console import Console, Group
from rich.table import Table as Grid
from rich.text import Text

from local.esm.mapping import Delivering
from local.esm.tally import Tally
from local.function_logs import LogFiles
from local.made import Made
from local.stack import Stack

_COUNTS = ("Received", "Applied", "Superseded", "Ignored", "Parked", "Failed")
_PLACES = {
    "DERIVED_TABLE": "rows in table {}",
    "OPENSEARCH_ENDPOINT": "documents in OpenSearch at {}",
    "CLAIM_TABLE": "claims of messages in table {}",
    "REPLICA_TABLE": "rows in table {}",
    "ARCHIVE_BUCKET": "changes in s3://{}",
}
"""Where a function keeps what it makes, by the variable of its environment that names the place."""


class Watch:
    """Writes the functions' log files, and prints causes as they happen. The cause of a parked change is always
    printed; that of failed changes only once for each function, because they are delivered again and again."""

    def __init__(self, files: LogFiles, console: Console, taken: Callable[[str], bool] = lambda _: False) -> None:
        """`taken`: says of a line that it goes to nobody else."""
        self.files, self._console, self._taken = files, console, taken
        self.causes: dict[str, str] = {}
        self._failures: set[tuple[str, str]] = set()

    def last(self) -> list[tuple[str, str]]:
        """The last cause of each function that has one."""
        return sorted(self.causes.copy().items())

    def __call__(self, function: str, line: str) -> None:
        """Takes a line of a function's log."""
        if self._taken(line):
            return
        self.files(function, line)
        found = cause_in(line)
        if found is not None and found[0] in ("parked", "failed"):
            outcome, which, cause = found
            self.causes[function] = cause
            if outcome == "failed" and (function, cause) in self._failures:
                return
            self._failures.add((function, cause))
            say(self._console, f"{function}: {outcome}: {which}: {cause}")


def cause_in(line: str) -> tuple[str, str, str] | None:
    """The outcome, the changes and the cause that a line of a function's log reports; None if it reports none."""
    try:
        entry = json.loads(line)
        outcome, cause = str(entry["message"]), str(entry["cause"])
        which = f"event {entry['event_id']}" if "event_id" in entry else _many(entry["changes"])
    except (ValueError, LookupError, TypeError):
        return None
    return outcome, which, cause


def _many(changes: int) -> str:
    return "1 change" if changes == 1 else f"{changes} changes"


class MadeReport:
    """Prints what the functions made, each time that they become idle."""

    def __init__(self, made: Sequence[Made], progress: Callable[[], int], console: Console) -> None:
        """`progress`: a number that rises while the functions work."""
        self._made, self._progress, self._console = made, progress, console
        self._printed = self._before = 0
        self._next = 0.0

    def look(self, seconds: float = 1.0) -> None:
        """Prints if something was done since the last time, but nothing within the last `seconds`."""
        if time.monotonic() < self._next:
            return
        self._next, now = time.monotonic() + seconds, self._progress()
        if now == self._before != self._printed:
            self.print()
        self._before = now

    def print(self) -> None:
        """Prints what was made since the last time."""
        self._printed = self._progress()
        for each in self._made:
            for line in each.look():
                say(self._console, line)


def say(console: Console, line: str) -> None:
    """Prints a line as it is, however long."""
    console.print(line, soft_wrap=True, markup=False, highlight=False)


def say_places(
    stack: Stack, functions: Sequence[str], stream_arns: Sequence[str], files: LogFiles, console: Console
) -> None:
    """Prints where each function keeps what it makes and what it parks, and where its log is."""
    for name in functions:
        environment = stack.spec(name, *stream_arns).environment
        places = [text.format(environment[each]) for each, text in _PLACES.items() if environment.get(each)]
        bucket = environment["PARKING_BUCKET"]
        places += [f"parked changes in s3://{bucket}/parked/{name}/", f"log in {files.path(name)}"]
        say(console, f"{name}: {'; '.join(places)}")


def shown(stack: Stack, mappings: Mapping[str, Delivering], watch: Watch) -> Group:
    """The table of counts, with the last causes below it."""
    causes = [Text(f"{name}: last cause: {cause}", no_wrap=True, overflow="ellipsis") for name, cause in watch.last()]
    return Group(counts(stack, mappings), *causes)


def counts(stack: Stack, mappings: Mapping[str, Delivering]) -> Grid:
    """A table with a row for each function: what its mapping delivered, what the function counted, and its lag in
    seconds."""
    grid = Grid(box=None)
    headings = ("delivered", *(name.lower() for name in _COUNTS), "retried", "bisected", "discarded", "lag")
    grid.add_column("function", no_wrap=True)
    for heading in headings:
        grid.add_column(heading, justify="right", no_wrap=True)
    for name, mapping in mappings.items():
        counted, metrics = mapping.tally.counts(), stack.function(name).metrics.counts()
        ours = [counted.get("delivered", 0), *(metrics.get(each, 0) for each in _COUNTS)]
        rest = [counted.get(each, 0) for each in ("retried", "bisected", "discarded")]
        lag = (stack.function(name).metrics.samples("Lag") or [0.0])[-1]
        grid.add_row(name, *(str(each) for each in (*ours, *rest)), f"{lag:.0f} s")
    return grid


def of_branches(stack: Stack, names: Sequence[str]) -> Grid:
    """A table with a row for each branch of the trunk: what it counted, and what it was given later."""
    grid = Grid(box=None)
    grid.add_column("branch", no_wrap=True)
    for heading in (*_COUNTS, "Deferred", "Replayed", "Reconciled"):
        grid.add_column(heading.lower(), justify="right", no_wrap=True)
    for name in names:
        found = stack.counted(name)
        grid.add_row(name, *(str(found.get(each, 0)) for each in (*_COUNTS, "Deferred", "Replayed", "Reconciled")))
    return grid


_DUE = {
    "derive": "`distributary doctor {} --derive` says of which views",
    "index": "`distributary rebuild index --table {}` does it",
}
"""What to do about a function whose rows or documents were written under other declarations."""


def say_due(stack: Stack, functions: Sequence[str], tables: str, console: Console) -> None:
    """Prints which functions keep rows or documents that were written under other declarations. `tables`: as `attach`
    was given them."""
    for name in functions:
        if stack.counted(name).get("RebuildDue"):
            say(console, f"{name}: a rebuild is due, {_DUE[name].format(tables)}")


def say_undelivered(tallies: Mapping[str, Tally], console: Console) -> None:
    """Prints the records, by function, that were given up and that no destination accepted. They are kept nowhere
    else."""
    for name, tally in tallies.items():
        for line in tally.undelivered():
            say(console, f"{name}: given up: {line}")


def went_wrong(stack: Stack, name: str, mapping: Delivering) -> bool:
    """Whether a change was parked or failed, or records were given up. Of the trunk, all of its branches are asked."""
    metrics = stack.function(name).metrics.counts()
    return bool(mapping.tally.counts().get("discarded") or metrics.get("Parked") or metrics.get("Failed"))
