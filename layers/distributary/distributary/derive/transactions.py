"""Which changes share a transaction, and what a cancelled one says of each of them: pure decisions."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from distributary.consumer.aws import AwsError, code_of
from distributary.consumer.outcome import SUPERSEDED, TIED, Outcome
from distributary.derive.delta import (
    Contribution,
    Delta,
    Entry,
    GroupDelta,
    Key,
    RecordedContribution,
    Row,
    Share,
    difference,
    group_delta,
    size_of,
)
from distributary.derive.expiry import closed
from distributary.derive.format import UNFINISHED, mark_of
from distributary.stream import version as versions
from distributary.stream.struct import Struct, field, replace

ACTIONS = 100
BYTES = 3_500_000
"""https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
100 actions and 4 MB; what is kept back makes room for group rows."""

CANCELLED = "TransactionCanceledException"
UNMET = "ConditionalCheckFailed"
_BUSY = {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
_BUSY_ERRORS = {
    "ThrottlingException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "TransactionInProgressException",
    "TransactionConflictException",
}


class PendingEntry(Struct, frozen=True):
    """An entry beside the ledger row that it was compared with: `read` is that row's version as text, None if
    absent: every writer changes it, so that a condition on it is one on the whole row. `recorded` is what the row
    says. Of a step, `whole` is what it is a step of."""

    entry: Entry
    read: str | None
    delta: Delta
    recorded: RecordedContribution
    whole: "PendingEntry | None" = None

    @classmethod
    def of(cls, entry: Entry, row: Row, now: float) -> "PendingEntry":
        """Of an entry and its ledger row as read, empty if there is none; `now`: see `still_open`."""
        version, recorded = row["version"]["S"] if row else None, RecordedContribution.read(row)
        entry, counted = still_open(entry, recorded, now)
        return cls(entry, version, difference(counted, entry.contribution), recorded)

    def delta_in(self, group: Key, counted: Collection[str]) -> GroupDelta:
        """The change of a group's incarnation that counts the shares with these marks: one with another mark is added,
        and nothing is taken away for it."""
        if self.recorded.marks.get(group, "") in counted:
            return self.delta.groups[group]
        return group_delta(({}, {}), self.entry.contribution.shares.get(group, Share({})))

    def marks(self, counted: Mapping[Key, str]) -> dict[Key, str]:
        """The newest incarnation by group that counts the shares once this is written; `counted`: those of the groups
        that are written with it."""
        own = {key: mark for key, mark in counted.items() if key in self.delta.groups}
        return {**self.recorded.marks, **own}

    @property
    def is_late(self) -> bool:
        """Whether all that it contributes belongs to groups that are closed, and nothing of it is recorded."""
        late = self.entry.shape.until is not None and self.entry.contribution == Contribution()
        return late and self.recorded == RecordedContribution()

    @property
    def keys(self) -> list[Key]:
        """The rows and groups that it changes."""
        return [*self.delta.puts, *self.delta.deletes, *self.delta.groups]

    def step(self, keys: Collection[Key], revision: str) -> "PendingEntry":
        """These of its rows and groups alone, in a transaction after which the ledger remembers just that: whoever goes
        on, this invocation or another, writes the difference from there. The revision tells it from every other step
        of this version."""
        rows = {key: row for key, row in self.entry.contribution.rows.items() if key in keys}
        shares = {key: share for key, share in self.entry.contribution.shares.items() if key in keys}
        contribution, rest = Contribution(rows, shares), self.recorded.without(keys)
        towards = replace(self.entry, contribution=contribution, revision=revision, rest=rest)
        return PendingEntry(towards, self.read, self.delta.of(keys), self.recorded, self)

    def after(self, step: "PendingEntry", row: Row) -> "PendingEntry":
        """What a step has left to do; `row` is the ledger's as it left it."""
        done = {*step.keys}
        left = self.delta.of([key for key in self.keys if key not in done])
        return PendingEntry(self.entry, row["version"]["S"], left, RecordedContribution.read(row))

    def touched(self) -> set[Key]:
        """The rows that it writes, besides the ledger's."""
        return self.delta.touched(self.entry.view)

    def size(self) -> int:
        """About how many bytes it adds to a request."""
        content = [*self.delta.puts.values(), *(d.members for d in self.delta.groups.values())]
        return 500 + size_of(content) + size_of(self.entry.contribution)


def still_open(entry: Entry, recorded: RecordedContribution, now: float) -> tuple[Entry, RecordedContribution]:
    """The entry and what is recorded of it, without groups that are closed at `now`, in epoch seconds: their share
    stays recorded as it is. So a function whose clock is late finds it, and counts nothing twice."""
    if entry.shape.until is None:
        return entry, recorded
    gone = closed(entry.shape.until, {*recorded.shares, *entry.contribution.shares}, now)
    shares = {key: share for key, share in entry.contribution.shares.items() if key not in gone}
    contribution, kept = Contribution(entry.contribution.rows, shares), recorded.only(gone)
    return replace(entry, contribution=contribution, closed=kept), recorded.without(gone)


def overtaken(entry: Entry, row: Row) -> bool:
    """Whether the ledger has seen this version of the item, and all of it, or a newer one."""
    if not row:
        return False
    seen = versions.from_text(row["version"]["S"])
    return seen > entry.version or (seen == entry.version and not row.items() >= UNFINISHED.items())


def end_of_overtaken(entry: Entry, row: Row, now: float) -> Outcome:
    """Of an entry that is overtaken: tied if the ledger has seen its very version with another contribution."""
    if entry.revision or not versions.is_time(entry.version) or versions.from_text(row["version"]["S"]) > entry.version:
        return SUPERSEDED
    alike = not PendingEntry.of(entry, row, now).keys and mark_of(row) == entry.mark
    return SUPERSEDED if alike else TIED


class Action(Struct, frozen=True):
    """One action of a transaction: of one entry's ledger or derived row, or of a group that several entries share."""

    request: Mapping[str, Any]
    entry: str | None = None
    group: Key | None = None


class CancellationResult(Struct, frozen=True):
    """What a cancelled transaction says. Entries: `refused` for ever, `overtaken` with the ledger row that was met
    (empty if it did not come along). Groups: `refused_groups`, `moved` by someone else meanwhile. `busy` of both."""

    refused: dict[str, str] = field(default_factory=dict)
    overtaken: dict[str, Row] = field(default_factory=dict)
    refused_groups: dict[Key, str] = field(default_factory=dict)
    moved: set[Key] = field(default_factory=set)
    busy: set[str | Key] = field(default_factory=set)


def verdict(actions: Sequence[Action], reasons: Sequence[Mapping[str, Any]]) -> CancellationResult:
    """Of the reasons, one per action, in order."""
    found = CancellationResult()
    for action, reason in zip(actions, reasons, strict=True):
        code = reason.get("Code", "None")
        if code == "None":
            continue
        if code == UNMET and action.entry is not None:
            found.overtaken[action.entry] = reason.get("Item") or {}
        elif code == UNMET and action.group is not None:
            found.moved.add(action.group)
        elif code in _BUSY:
            found.busy.add(action.entry if action.group is None else action.group)  # type: ignore[arg-type]
        elif action.group is not None:
            found.refused_groups[action.group] = code
        elif action.entry is not None:
            found.refused[action.entry] = code
    return found


def is_busy_reason(code: str) -> bool:
    """Whether an action that cancelled a transaction for this reason may succeed in a moment."""
    return code in _BUSY


def is_busy(error: Exception) -> bool:
    """Whether the same request may succeed in a moment, and certainly did nothing."""
    return isinstance(error, AwsError) and code_of(error) in _BUSY_ERRORS


def lanes(cases: Sequence[PendingEntry]) -> list[list[list[PendingEntry]]]:
    """Transactions, in lanes: those of one lane share groups and go one after the other, lanes go side by side.

    What shares a group goes into as few transactions as hold it; what shares none fills up the others.
    """
    alone: list[list[PendingEntry]] = []
    result = []
    for component in _components(cases):
        packed = pack([[case] for case in component])
        if len(packed) > 1:
            result.append(packed)
        else:
            alone += packed
    return result + [[transaction] for transaction in pack(alone)]


def pack(pieces: Iterable[list[PendingEntry]]) -> list[list[PendingEntry]]:
    """The pieces, in order, in as few transactions as hold them; a piece is never divided."""
    packed: list[list[PendingEntry]] = []
    keys: set[Key] = set()
    size = 0
    for piece in pieces:
        touched = set().union(*(case.touched() for case in piece))
        weight = sum(case.size() for case in piece)
        fits = packed and len(packed[-1]) + len(piece) + len(keys | touched) <= ACTIONS and size + weight <= BYTES
        if fits:
            packed[-1] += piece
            keys, size = keys | touched, size + weight
        else:
            packed.append(list(piece))
            keys, size = touched, weight
    return packed


def _components(cases: Sequence[PendingEntry]) -> list[list[PendingEntry]]:
    """Cases that share a group, directly or through others; within one, those of the same groups side by side."""
    root: dict[Any, Any] = {}

    def find(node: Any) -> Any:
        while root.setdefault(node, node) != node:
            root[node] = root[root[node]]
            node = root[node]
        return node

    for case in cases:
        for group in case.delta.groups:
            root[find(group)] = find(case.entry.id)
    members: dict[Any, list[PendingEntry]] = defaultdict(list)
    for case in cases:
        members[find(case.entry.id)].append(case)
    return [sorted(each, key=lambda case: sorted(case.delta.groups)) for each in members.values()]


def halves(cases: list[PendingEntry]) -> list[list[PendingEntry]]:
    """Two halves, or the one."""
    middle = len(cases) // 2
    return [half for half in (cases[:middle], cases[middle:]) if half]
