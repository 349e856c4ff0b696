"""Transactions that share groups, one after the other, until each entry has its outcome."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence

from distributary.consumer import outcome as outcomes
from distributary.consumer.aws import AwsError, classify, code_of
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import APPLIED, Outcome
from distributary.derive.delta import (
    Edge,
    GroupDelta,
    Key,
    MemberName,
    Row,
    Shape,
    fold,
    member_key,
    member_partition,
)
from distributary.derive.format import check_ledger_row
from distributary.derive.groups import Group, NewGroupState, Torn, advance, lost_edges
from distributary.derive.ledger_tables import LedgerTables
from distributary.derive.transact_items import entry_actions, group_actions
from distributary.derive.transactions import (
    ACTIONS,
    CANCELLED,
    Action,
    CancellationResult,
    PendingEntry,
    end_of_overtaken,
    halves,
    is_busy,
    overtaken,
    verdict,
)
from distributary.errors import DistributaryError, Rejected, Unavailable
from distributary.stream.codec import Typed
from distributary.stream.struct import Struct

TRIES = 12
"""Of one transaction that finds its rows busy or changed; with full jitter about 6 s, or longer if a transaction takes
more than 125 ms. Then the changes fail."""


class Job(Struct, frozen=True):
    """Cases to be written together, after `tries` attempts, of which the last took so many `seconds`; `fresh`:
    everything is read again for it."""

    cases: list[PendingEntry]
    tries: int = 0
    fresh: bool = False
    seconds: float = 0.0


Touched = Mapping[Key, Sequence[PendingEntry]]
"""By group, the cases of one transaction that change it."""


class GroupUpdate(Struct, frozen=True):
    """A group, as all the cases of one transaction change it: what it shows, and what is `built` beside it. `row` is
    the group's as read."""

    view: str
    shape: Shape
    row: Row
    delta: GroupDelta
    built: GroupDelta | None

    @classmethod
    def of(cls, key: Key, row: Row, cases: Sequence[PendingEntry]) -> "GroupUpdate":
        """Of the group's row as read."""
        group, entry = Group(row), cases[0].entry
        delta = fold(case.delta_in(key, group.counted) for case in cases)
        building = group.building
        built = None if building is None else fold(case.delta_in(key, {building}) for case in cases)
        return cls(entry.view, entry.shape, row, delta, built)

    def members(self, key: Key) -> dict[MemberName, Key]:
        """Where those are that it changes and that are shown."""
        at = Group(self.row).incarnation
        return {name: member_key(self.view, key, name, at) for name in self.delta.members}

    def built_members(self, key: Key) -> dict[MemberName, Key]:
        """Where those are that it changes and that are built."""
        at = Group(self.row).newest
        return {name: member_key(self.view, key, name, at) for name in (self.built.members if self.built else ())}


class TransactionQueue:
    """One consumer of a list of transactions; it knows the groups that it has written itself."""

    def __init__(self, tables: LedgerTables, deadline: Deadline) -> None:
        self._tables, self._deadline = tables, deadline
        self._rows: dict[Key, Row] = {}
        self._ends: dict[str, Outcome] = {}
        self._jobs: deque[Job] = deque()
        self._begun = 0.0

    def run(self, transactions: Sequence[list[PendingEntry]]) -> dict[str, Outcome]:
        """An outcome for each entry, by id."""
        self._jobs.extend(map(Job, transactions))
        while self._jobs:
            job = self._jobs.popleft()
            try:
                self._deadline.check()
                if job.tries:
                    self._tables.pause(job.tries, self._deadline, job.seconds)
                self._begun = self._deadline.clock()
                self._attempt(job)
            except DistributaryError as error:
                self._end(job.cases, outcomes.failed(error))
        return self._ends

    def _end(self, cases: Sequence[PendingEntry], end: Outcome) -> None:
        self._ends |= {case.entry.id: end for case in cases}

    def _attempt(self, job: Job) -> None:
        try:
            touched = self._read(_touched(job.cases))
            nexts = self._nexts(touched)
            actions = self._actions(job.cases, nexts, touched)
            if len(actions) > ACTIONS:
                self._step(job, actions)
                return
        except Rejected as error:
            self._divide(job, error)
            return
        self._transact(job, actions, nexts, touched)

    def _step(self, job: Job, actions: Sequence[Action]) -> None:
        """As many of one entry's rows and groups as one transaction holds; the others follow when it has ended. A step
        that has grown since, as a group does that is built anew, is planned again. Raises Rejected if a transaction
        holds not even one."""
        if len(job.cases) > 1:
            self._jobs.extendleft(Job(half, job.tries) for half in reversed(halves(job.cases)))
            return
        if (whole := job.cases[0].whole) is not None:
            self._jobs.appendleft(Job([whole], job.tries))
            return
        (case,), left, keys = job.cases, ACTIONS - 1, list[Key]()
        taken = Counter(action.group for action in actions)
        for key in case.keys:
            cost = taken[key] or 1
            if cost <= left:
                keys.append(key)
                left -= cost
        if not keys:
            raise Rejected(f"the change would take {len(actions)} actions, and a transaction holds {ACTIONS}")
        self._jobs.appendleft(Job([case.step(keys, self._tables.revision())], job.tries))

    def _divide(self, job: Job, error: DistributaryError) -> None:
        """Halves, until the entry that cannot be written is alone. It is rejected if it also fails against rows that
        were read again: what another writer has changed meanwhile is no reason to reject it."""
        if not job.fresh or (isinstance(error, Torn) and job.tries + 1 < TRIES):
            self._rows.clear()
            again = self._decide_again({case.entry.id: case for case in job.cases}, {})
            if again:
                self._jobs.appendleft(Job(again, job.tries + isinstance(error, Torn), fresh=True))
        elif len(job.cases) == 1:
            self._end(job.cases, outcomes.parked(Rejected(f"view '{job.cases[0].entry.view}': {error}", error.detail)))
        else:
            self._jobs.extendleft(Job(half, job.tries) for half in reversed(halves(job.cases)))

    def _nexts(self, touched: Mapping[Key, GroupUpdate]) -> dict[Key, NewGroupState]:
        """What each group becomes. Raises Rejected for an amount beyond 38 digits."""
        nexts = {}
        for key, each in touched.items():
            group = self._group(key, each)
            neighbours = {edge: self._neighbours(key, each, edge) for edge in lost_edges(group, each.shape, each.delta)}
            revision = self._tables.revision()
            nexts[key] = advance(each.view, key, each.shape, group, each.delta, neighbours, revision, each.built)
        return nexts

    def _group(self, key: Key, touched: GroupUpdate) -> Group:
        members = {name: self._rows[at] for name, at in touched.members(key).items()}
        built = {name: self._rows[at] for name, at in touched.built_members(key).items()}
        return Group(touched.row, members, built)

    def _read(self, touched: Touched) -> dict[Key, GroupUpdate]:
        """The groups with the members that change. Once, if the ledger's rows show which incarnation is theirs."""
        likely = [
            member_key(case.entry.view, key, name, case.recorded.marks.get(key, ""))
            for key, cases in touched.items()
            for case in cases
            for name in case.delta.groups[key].members
        ]
        self._fetch([*touched, *likely])
        found = {key: GroupUpdate.of(key, self._rows[key], cases) for key, cases in touched.items()}
        self._fetch([at for key, each in found.items() for at in _members_of(key, each)])
        return found

    def _fetch(self, keys: Iterable[Key]) -> None:
        missing = [key for key in dict.fromkeys(keys) if key not in self._rows]
        self._rows |= self._tables.derived_rows(missing, self._deadline) if missing else {}

    def _neighbours(self, key: Key, touched: GroupUpdate, edge: Edge) -> list[tuple[str, Typed]]:
        """From an edge inwards, as many members as may go, and as many as are shown."""
        many = sum(1 for of, _ in touched.delta.members if of == edge.of) + edge.size
        partition = member_partition(touched.view, key, edge.of, Group(touched.row).incarnation)
        return self._tables.members(partition, many, edge.last)

    def _actions(
        self, cases: Sequence[PendingEntry], nexts: Mapping[Key, NewGroupState], touched: Mapping[Key, GroupUpdate]
    ) -> list[Action]:
        tables, actions = self._tables, []
        newest = {key: Group(each.row).newest for key, each in touched.items()}
        for case in cases:
            row = tables.row(case.entry, case.marks(newest))
            actions += entry_actions(case, row, tables.ledger, tables.derived)
        for key, following in nexts.items():
            group = self._group(key, touched[key])
            actions += group_actions(touched[key].view, key, group, following, tables.derived)
        return actions

    def _transact(
        self,
        job: Job,
        actions: Sequence[Action],
        nexts: Mapping[Key, NewGroupState],
        touched: Mapping[Key, GroupUpdate],
    ) -> None:
        try:
            self._tables.client.transact_write_items(TransactItems=[dict(action.request) for action in actions])
        except AwsError as error:
            self._rows.clear()
            self._after(job, actions, error)
            return
        for key, following in nexts.items():
            self._rows[key] = following.row or {}
            places, built = touched[key].members(key), touched[key].built_members(key)
            self._rows |= {places[name]: row or {} for name, row in following.members.items()}
            self._rows |= {built[name]: row or {} for name, row in following.built.items()}
        self._end([case for case in job.cases if case.whole is None], APPLIED)
        for case in job.cases:
            if case.whole is not None:
                left = next(each.request["Put"]["Item"] for each in actions if each.entry == case.entry.id)
                self._jobs.appendleft(Job([case.whole.after(case, left)]))

    def _after(self, job: Job, actions: Sequence[Action], error: Exception) -> None:
        reasons = (getattr(error, "response", None) or {}).get("CancellationReasons", [])
        if code_of(error) == CANCELLED and len(reasons) == len(actions):
            self._judge(job, verdict(actions, reasons))
        elif is_busy(error):
            self._again(
                job.cases, job.tries, Unavailable(str(classify(error, "ledger TransactWriteItems")), str(error))
            )
        else:
            found = classify(error, "ledger TransactWriteItems")
            if isinstance(found, Rejected):
                self._divide(job, found)
            else:
                self._end(job.cases, outcomes.failed(found))

    def _judge(self, job: Job, found: CancellationResult) -> None:
        """Separates the cases that caused the cancellation from the others, which are tried again at once."""
        innocent: list[PendingEntry] = []
        contended: list[PendingEntry] = []
        suspected: list[PendingEntry] = []
        changed: dict[str, PendingEntry] = {}
        for case in job.cases:
            id, groups = case.entry.id, case.delta.groups.keys()
            if id in found.refused:
                cause = f"view '{case.entry.view}': ledger TransactWriteItems: {found.refused[id]}"
                self._end([case], outcomes.parked(Rejected(cause)))
            elif id in found.overtaken:
                changed[id] = case
            elif found.busy & {id, *groups} or found.moved & groups:
                contended.append(case)
            elif found.refused_groups.keys() & groups:
                suspected.append(case)
            else:
                innocent.append(case)
        innocent += self._decide_again(changed, found.overtaken) if changed else []
        if suspected:
            causes = ", ".join(sorted(set(found.refused_groups.values())))
            self._divide(Job(suspected, job.tries, job.fresh), Rejected(f"ledger TransactWriteItems: {causes}"))
        if contended:
            late = Unavailable("ledger TransactWriteItems: rows were busy or changed at every try")
            self._again(
                contended, job.tries, late, divide=not found.busy.isdisjoint(case.entry.id for case in contended)
            )
        if innocent:
            tries = job.tries if len(innocent) < len(job.cases) or found.overtaken else job.tries + 1
            self._jobs.appendleft(Job(innocent, tries))

    def _decide_again(self, cases: Mapping[str, PendingEntry], met: Mapping[str, Row]) -> list[PendingEntry]:
        """Against the ledger rows that were met, or that are there now. What was compared with the same row stays as it
        is: a repair has the version of the row that it repairs, and is not overtaken by it."""
        unknown = [id for id in cases if not met.get(id)]
        rows = {**met, **self._tables.ledger_rows(unknown, self._deadline)}
        again = []
        for id, case in cases.items():
            row = check_ledger_row(rows.get(id, {}))
            if row.get("version", {}).get("S") == case.read:
                again.append(case)
            elif overtaken(case.entry, row):
                self._end([case], end_of_overtaken(case.entry, row, self._tables.now()))
            else:
                entry = case.whole.entry if case.whole else case.entry
                again.append(PendingEntry.of(entry, row, self._tables.now()))
        return again

    def _again(self, cases: list[PendingEntry], tries: int, error: Unavailable, divide: bool = True) -> None:
        """Later. Those with a busy row of their own are halved from the second time on: an entry that is always busy
        delays no other. Those of a busy group stay together, since each half would write the same group."""
        if tries + 1 >= TRIES:
            self._end(cases, outcomes.failed(error))
            return
        seconds = self._deadline.clock() - self._begun
        divided = halves(cases) if divide and tries else [cases]
        self._jobs.extend(Job(each, tries + 1, seconds=seconds) for each in divided)


def _touched(cases: Sequence[PendingEntry]) -> dict[Key, list[PendingEntry]]:
    by_group: dict[Key, list[PendingEntry]] = {}
    for case in cases:
        for key in case.delta.groups:
            by_group.setdefault(key, []).append(case)
    return by_group


def _members_of(key: Key, touched: GroupUpdate) -> list[Key]:
    return [*touched.members(key).values(), *touched.built_members(key).values()]
