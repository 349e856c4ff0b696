"""The events by which a command asks a function for what its sink holds and no item explains.

`{"distributary": {"sweep": {"part": "ledger", "segment": 0, "segments": 4, "cursor": {...}, "dry_run": false},
"only": ["sales"]}}` looks at one page of a part of the sink, and removes what nothing explains. The answer is
`{"swept": {"read": 250, "done": 3, "left": [{"cause": "...", "rows": 1}], "untouched": [...], "cursor": {...}}}`, the
last page's without a cursor. `"table": "orders"` beside the sweep names the items' table, if the function reads
several. `"repeatable": false` says that a cursor can be asked for once only: if an answer is lost,
the segment begins anew.

`{"distributary": {"declarations": {"rebuilt": ["sales"], "retired": ["old"], "filled": ["new"], "declared": {...}}}}`
says what was done, under the declarations that the command was told when it began: a function of other declarations
refuses it. The answer is
`{"declarations": {"parts": [...], "written": {...}, "since": {...}, "declared": {...}}}`: a description of each view by
its name, as its rows were written and as it is declared now; `since`: a list of others that rows were written under
since then, an empty one if the view was not declared for a while. If `written` has an empty one, the view came to
others and was never filled.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from distributary.consumer.deadline import Deadline
from distributary.consumer.reconcile import table_named
from distributary.errors import ConfigError
from distributary.stream.struct import Struct, field

SWEEP, DECLARATIONS = "sweep", "declarations"

PAGE = 250
"""So many rows are looked at by one command: what a function does well within its timeout, if all are to go."""


class Sweep(Struct, frozen=True):
    """A page of a part: of a segment of it, from a cursor on. `only` names the views or indexes to look at, all if
    empty; a `dry_run` removes nothing. `table`: whose items explain rows, empty for the only one that the function
    reads."""

    part: str
    segment: int
    segments: int
    cursor: Mapping[str, Any] | None
    only: frozenset[str]
    dry_run: bool
    table: str = ""


class Swept(Struct):
    """How many rows were `read`; how many of them were removed or corrected, or would be (`done`); why others, which
    nothing explains, are `left`, and others are `untouched`, since they may not be ours; where the next page begins,
    and whether the cursor gives the same page each time."""

    read: int = 0
    done: int = 0
    left: Counter[str] = field(default_factory=Counter)
    untouched: Counter[str] = field(default_factory=Counter)
    cursor: Mapping[str, Any] | None = None
    repeatable: bool = True

    def add(self, other: "Swept") -> None:
        """Of the same page."""
        self.done += other.done
        self.left += other.left
        self.untouched += other.untouched


class Done(Struct, frozen=True):
    """Views that were `rebuilt` as they are declared now, `retired` ones, of which nothing is left, and new ones that
    were `filled` with all that the source holds."""

    rebuilt: frozenset[str] = frozenset()
    retired: frozenset[str] = frozenset()
    filled: frozenset[str] = frozenset()


NOTHING = Done()


class Rebuilder(Protocol):
    """Of a function that keeps what it is declared to keep."""

    def sweep(self, asked: Sweep, deadline: Deadline) -> Swept:
        """One page. Raises Unavailable, ConfigError."""

    def declarations(self, done: Done, deadline: Deadline) -> dict[str, Any]:
        """See the module. Raises as `sweep` does."""


def is_known(event: Mapping[str, Any]) -> bool:
    """Whether a command is one of these."""
    return isinstance(event, Mapping) and (SWEEP in event or DECLARATIONS in event)


def answer(command: Mapping[str, Any], rebuilder: Rebuilder, deadline: Deadline) -> dict[str, Any]:
    """To such a command. Raises Unavailable, ConfigError."""
    if SWEEP in command:
        found = rebuilder.sweep(_sweep(command), deadline)
        left, untouched = _listed(found.left), _listed(found.untouched)
        rows = {"read": found.read, "done": found.done, "left": left, "untouched": untouched}
        return {"swept": {**rows, "cursor": found.cursor, "repeatable": found.repeatable}}
    asked = command[DECLARATIONS]
    if not isinstance(asked, Mapping):
        raise ConfigError("the command's 'declarations' has no lists 'rebuilt' and 'retired'")
    done = Done(_names(asked, "rebuilt"), _names(asked, "retired"), _names(asked, "filled"))
    if done != NOTHING and asked.get("declared") != rebuilder.declarations(NOTHING, deadline)["declared"]:
        raise ConfigError("another version was deployed meanwhile, with other declarations: run the command again")
    return {"declarations": rebuilder.declarations(done, deadline)}


def _listed(causes: Mapping[str, int]) -> list[dict[str, Any]]:
    return [{"cause": cause, "rows": rows} for cause, rows in causes.items() if rows]


def _sweep(command: Mapping[str, Any]) -> Sweep:
    asked = command[SWEEP]
    try:
        part, segment, segments = str(asked["part"]), int(asked["segment"]), int(asked["segments"])
        cursor = asked.get("cursor") or None
        if not 0 <= segment < segments <= 64 or not isinstance(cursor, Mapping | None):
            raise ValueError(segment)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ConfigError("the command's 'sweep' has no part, no segment of at most 64, or a wrong cursor") from None
    return Sweep(
        part, segment, segments, cursor, _names(command, "only"), asked.get("dry_run") is True, table_named(command)
    )


def _names(given: Mapping[str, Any], what: str) -> frozenset[str]:
    names: Sequence[Any] = given.get(what, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"the command's '{what}' is no list of names")
    return frozenset(names)
