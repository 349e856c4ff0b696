"""A table that the application writes to in several regions, and of whose items the last writer's wins as a whole.

Each region's function carries its own region's edits to the others: it reads what is there, and if the edit's state is
greater (see `lww`), writes it on condition that what is there is as it was read. An edit that was less than what it
overwrote in its own region is undone there.

All regions end equal: the greatest of all states that the application ever made is carried to every region by the
function of the region it was made in, and nothing but an edit of the application replaces it there. That edit's record
shows what it replaced, and its region's function brings it back.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import NamedTuple

from distributary.consumer import outcome as outcomes
from distributary.consumer.backoff import backoff_seconds
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import APPLIED, SUPERSEDED, TIED, Outcome, Status
from distributary.consumer.parallel import Parallel
from distributary.consumer.per_item import Groups, per_item
from distributary.dynamodb.client import carry_out_apart
from distributary.dynamodb.steps import Aside, Pause, Steps, finish
from distributary.errors import DistributaryError, Rejected, Unavailable
from distributary.replicate.declarations import MultiActive
from distributary.replicate.multi_active.conditional_rows import TRIES, Row, Rows, all_of
from distributary.replicate.multi_active.conflicts import Conflicts, Side
from distributary.replicate.multi_active.crdt import Time, end_of, rank, tick
from distributary.replicate.multi_active.lww import Stamps, State, leaving, read_stamp, stamp
from distributary.replicate.multi_active.moments import ordered
from distributary.stream import canonical
from distributary.stream.change import Change, Image, Origin, rewritten
from distributary.stream.codec import Typed, for_client
from distributary.stream.keys import bounded, identity
from distributary.stream.kinesis import MICROS
from distributary.stream.struct import Struct
from distributary.stream.version import is_time, position_of

TOMBSTONE_ID_BYTES = 1024


@dataclass(frozen=True, slots=True)
class MultiActiveBranch:
    """The function of the region that is first in `regions`. `stamps`: how rows are read as states."""

    declared: MultiActive
    regions: tuple[Rows, ...]
    stamps: Stamps
    conflicts: Conflicts
    parallel: Parallel
    wait: Callable[[float], None] = time.sleep

    def apply(self, changes: Sequence[Change], deadline: Deadline) -> list[Outcome]:
        """See `consume.Branch`. An item's changes are carried one after the other."""
        clients = [rows.client for rows in self.regions]

        def carried(groups: Groups) -> list[list[Outcome] | DistributaryError]:
            steps = [self._in_order([changes[at] for at in group], deadline) for group in groups]
            return carry_out_apart(clients, steps, self.parallel, deadline, self.wait)

        ends = per_item(changes, range(len(changes)), carried)
        return [ends[at] for at in range(len(changes))]

    def reconcile(self, key: Mapping[str, Typed], deadline: Deadline, changes: Sequence[Change] = ()) -> bool | None:
        """Every region gets the greatest state that any of them knows, or that these records of the item tell, the
        oldest first; whether anything was written. None if a row tells no time, and there are no records: then nothing
        was. Raises Rejected or Unavailable."""
        return finish(self.item(key, deadline, changes).reconcile(changes), sleep=self.wait)

    def item(self, keys: Mapping[str, Typed], deadline: Deadline, changes: Sequence[Change] = ()) -> "Item":
        """Raises Rejected for a key that is none."""
        key = {name: for_client(typed, name) for name, typed in keys.items()}
        id = bounded(f"multi-active/{identity(keys)}", TOMBSTONE_ID_BYTES)
        home, *others = (Replica(rows, self.stamps, key, id, deadline) for rows in self.regions)
        return Item(self, home, tuple(others), deadline, tuple(change.event_id for change in changes))

    def _in_order(self, changes: Sequence[Change], deadline: Deadline) -> Steps[list[Outcome]]:
        """One item's. After a failed one the others fail as well, for it will come again before them."""
        ends: list[Outcome] = []
        for change in changes:
            stuck = ends and ends[-1].status is Status.FAILED
            ends.append(ends[-1] if stuck else (yield from self._outcome(change, deadline)))
        return ends

    def _outcome(self, change: Change, deadline: Deadline) -> Steps[Outcome]:
        try:
            deadline.check()
            wrote = yield from self.item(change.keys.raw, deadline, [change]).carry(change)
            return APPLIED if wrote else SUPERSEDED
        except Tie:
            return TIED
        except (Rejected, Unavailable) as error:
            return outcomes.of(error)


class Tie(DistributaryError):
    """An edit meets another of its moment: what came last is found by `Item.reconcile`."""


class Item(Struct, frozen=True):
    """One item in all regions. `events`: ids of the changes that it is about. Its methods are steps, and return whether
    anything was written, anywhere."""

    branch: MultiActiveBranch
    home: "Replica"
    others: tuple["Replica", ...]
    deadline: Deadline
    events: tuple[str, ...] = ()

    def carry(self, change: Change) -> Steps[bool]:
        """An application's edit to all regions; nothing of what a replicator wrote. Raises Tie."""
        old = self._old(change)
        new = yield from self._made(change, old)
        if new is None:
            return False
        if new.deleted or self.home.is_untimed(new):
            return (yield from self._spread(old, new))
        if old is not None and old.outranks(new):
            if is_time(change.version):
                yield from all_of(self.others, lambda site: self._check_unrivalled(site, old))
            yield self._clash(new, old)
            return (yield from self.merge(self.home, old))
        tombstone = (yield from self.home.tombstone()) if old is None else None
        if tombstone is not None and not new.outranks(tombstone) and (yield from self.home.delete_if_older(tombstone)):
            return True
        if self._is_echo(change, new):
            return False
        return (yield from self._push(old, new))

    def reconcile(self, changes: Sequence[Change]) -> Steps[bool | None]:
        """See `MultiActiveBranch.reconcile`. This region is read last, and if any has moved, all are read again: so of
        two rows that tell no position, the one that was read earlier never replaces the other."""
        wrote, ends = False, list[bool | None]()

        def write(each: tuple[Replica, Look]) -> Steps[bool]:
            ends.append((yield from self._write(each[0], greatest, each[1], replaced)))
            return bool(ends[-1])

        for attempt in range(TRIES):
            yield from self._turn(attempt)
            looks = []
            for site in (*self.others, self.home):
                looks.append((site, (yield from site.look())))
            told = yield from self._told(changes, looks[-1][1])
            sites = self._judged(looks, told)
            if len(sites) < len(looks) and not changes:
                return None
            if not attempt:
                yield from self._record_undone(told)
            known = yield from self._known(sites, told, max((each.version for each in changes), default=0))
            if known is None:
                continue
            if not known:
                return wrote
            greatest = max(known, key=lambda state: state.order)
            if told and greatest.deleted and self.home.is_unread(looks[-1][1].state, told[-1].made):
                wrote |= bool((yield from self._write(self.home, told[-1].made, looks[-1][1], ())))
                continue
            replaced = [each.old for each in told if each.made.is_edit(greatest)]
            ends.clear()
            wrote |= yield from all_of(sites, write)
            if None not in ends:
                return wrote
        raise self.home.rows.contended()

    def _told(self, changes: Sequence[Change], here: "Look") -> Steps[list["Told"]]:
        """What records tell that was made here, and of what. If the item is gone, all of it was deleted since: but for
        what a replicator wrote, which an edit of an earlier time may have replaced before that was deleted. It tells
        nothing then, nor does an item that the rule fails on, and that is another one by now."""
        told: list[Told] = []
        for change in changes:
            gone = self._is_gone(here, change)
            try:
                old = self._old(change)
                made = yield from self._made(change, old)
            except Rejected:
                if gone or change.new is None:
                    raise
                continue
            if made is not None and not (gone and self._is_echo(change, made)):
                told.append(Told(made.deletion(by=self.home.region) if gone and not made.deleted else made, old))
        return told

    def _is_echo(self, change: Change, made: State) -> bool:
        """Whether a replicator wrote what the change made."""
        return made.stamped and rewritten(change, self.branch.stamps.attribute)

    def _is_gone(self, here: "Look", change: Change) -> bool:
        """Whether the application deleted what the change made. A row that told no time may have been overwritten
        before; then a tombstone of an earlier life of the item may be why there is none."""
        dead = here.tombstone
        later = dead is None or (dead.region == self.home.region and dead.position > change.version)
        return here.row is None and (later or not self.branch.stamps.rule.by_stream)

    def _judged(self, looks: "Looks", told: Sequence["Told"]) -> "Looks":
        """The regions that are written to: without an edit of this region's application, none whose row tells no time.
        That row's own record is still to come."""
        edited = any(not each.made.stamped or each.made.deleted for each in told)
        return [(site, seen) for site, seen in looks if edited or seen.state is None or not site.is_untimed(seen.state)]

    def _record_undone(self, told: Sequence["Told"]) -> Steps[None]:
        for each in told:
            if each.undone is not None:
                yield self._clash(each.made, each.undone)

    def _known(self, looks: "Looks", told: Sequence["Told"], floor: int) -> Steps[list[State] | None]:
        """All states that rows, tombstones and records tell. An application's row tells no position. It is placed
        behind what was read before it: this region's was read last, another region's is read again. None if that one
        has changed meanwhile."""
        rows = [(site, seen.state) for site, seen in looks if seen.state is not None]
        dead = [seen.tombstone for _, seen in looks if seen.tombstone is not None]
        undone = [each.undone for each in told if each.undone is not None]
        said = [*(each.made for each in told), *undone, *dead, *(state for _, state in rows if state.stamped)]
        stated = [state.positioned(said) for state in said]
        for site, row in rows:
            if not row.stamped and site is self.home:
                stated.append(self._here(row, stated, [each.made for each in told], floor))
            elif not row.stamped:
                now = yield from site.state()
                if now is None or now.digest != row.digest:
                    return None
                stated.append(row.copied(stated))
        return self._ordered([self._after(each, told) for each in stated], looks, told)

    def _ordered(self, known: list[State], looks: "Looks", told: Sequence["Told"]) -> list[State]:
        """With what came last of each moment. The weakest hint is first: what a replicator left in the edit's own
        region; what a record shows as replaced, or was deleted before; unless something is decided already, what an
        undone edit replaced, and a delete whose item is gone; and the application's own row."""
        if not any(is_time(each.position) for each in known):
            return known
        home = self.home.region
        rows = [seen.state for site, seen in looks if seen.state is not None and seen.state.region == site.region]
        here = [each for each in known if any(row.region == each.region and row.is_edit(each) for row in rows)]
        edits = [each for each in told if not each.made.stamped or each.made.deleted]
        replaced = [(each.made, before) for each in edits for before in each.replaced(known)]
        decided = [each for each in known if each.tie]
        undecided = [each for each in known if not any(each.shares_moment(other) for other in decided)]
        undone = [each.undone for each in told if each.undone is not None and each.undone.region == home]
        last = [each for each in undecided if any(old.is_edit(each) for old in undone)]
        if any(site is self.home and seen.row is None for site, seen in looks):
            last += [each.made for each in told if each.made.deleted and each.made in undecided]
        stamped, unstamped = ([each for each in here if each.stamped is it] for it in (True, False))
        return ordered(known, _last(stamped), replaced, _last(last), _last(unstamped))

    def _after(self, state: State, told: Sequence["Told"]) -> State:
        """By the stream's second, this region's edit comes after the deletes before it, though what they deleted may
        have given them a later time."""
        own = state.certain and not state.deleted and state.region == self.home.region
        if not own or not self.branch.stamps.rule.by_stream:
            return state
        before = (each.made.time for each in told if each.made.deleted and each.made.position < state.position)
        last = max(before, default=None)
        return state if last is None or last < state.time else replace(state, time=tick(0, last))

    def _here(self, row: State, known: list[State], told: list[State], floor: int) -> State:
        """This region's row, which its application wrote: the edit that a record tells, or a later one."""
        if self.home.is_untimed(row):
            last = told[-1]
            same = last.digest == row.digest and not last.deleted
            row = replace(row, time=last.time if same else tick(0, last.time))
        return next((each for each in told if each.is_edit(row)), row.copied(known, floor))

    def merge(self, site: "Replica", state: State, replaced: Sequence[State | None] = ()) -> Steps[bool]:
        """A state into one region. `replaced`: what an edit was made on top of, if conflicts count. Raises Tie."""
        for attempt in range(TRIES):
            yield from self._turn(attempt)
            seen = yield from site.look()
            if state.shares_moment(seen.greatest):
                raise Tie(f"{site.region}: another edit of this moment stands")
            written = yield from self._write(site, state, seen, replaced)
            if written is not None:
                return written
        raise site.rows.contended()

    def _check_unrivalled(self, site: "Replica", old: State) -> Steps[bool]:
        """Raises Tie if another edit of the region and time of `old` stands in a region: which of the two came last,
        `old` being of an unknown moment, its record may have failed to say."""
        found = (yield from site.look()).greatest
        if found is not None and (found.time, found.rank) == (old.time, old.rank) and found.digest != old.digest:
            raise Tie(f"{site.region}: another edit of this time stands")
        return False

    def _write(
        self, site: "Replica", state: State, seen: "Look", replaced: Sequence[State | None]
    ) -> Steps[bool | None]:
        """See `Replica.write`. A conflict is recorded before: `state` replaces another region's, and was made without
        knowing it. A row that tells no time is none yet: its own region's function judges it."""
        found = seen.greatest
        other = found is not None and found.region != self.home.region and not self.home.is_untimed(found)
        if found and other and state.outranks(found) and any(found.outranks(old) for old in replaced):
            yield self._clash(found, state)
        return (yield from site.write(state, seen))

    def _turn(self, attempt: int) -> Steps[None]:
        """Before each of the `TRIES` of what other writers may overtake: a pause, but for the first."""
        self.deadline.check()
        if attempt:
            yield Pause(backoff_seconds(self.deadline, attempt, first=0.02))

    def _spread(self, old: State | None, new: State) -> Steps[bool]:
        """Into this region first, which then knows the time that the edit was given, and into the others."""
        wrote = yield from self.merge(self.home, new)
        return (yield from self._push(old, new)) or wrote

    def _push(self, old: State | None, new: State) -> Steps[bool]:
        """Into every other region that can be reached, with the conflicts that the edit has there."""
        return all_of(self.others, lambda site: self.merge(site, new, replaced=(old,)))

    def _old(self, change: Change) -> State | None:
        """What a record shows as replaced: at less than its position, but a delete is of what may have the same."""
        deleted = change.new is None and is_time(change.version)
        return self._read(change.old, change.version - (not deleted)) if change.old else None

    def _made(self, change: Change, old: State | None) -> Steps[State | None]:
        """What an application made of `old`, or a replicator's row; None for a replicator's delete."""
        if change.new is None:
            return (yield from self._deletion(change, old))
        new = self._read(change.new, change.version, certain=True)
        if not self.home.is_untimed(new) or change.origin is Origin.SNAPSHOT:
            return new
        return replace(new, time=(yield from self._second(change, old, new.digest)))

    def _read(self, image: Image, position: int, certain: bool = False) -> State:
        item = {name: for_client(typed, name) for name, typed in image.raw.items()}
        return self.branch.stamps.row(item, self.home.region, position, certain)

    def _second(self, change: Change, old: State | None, digest: str) -> Steps[Time]:
        """The second of an edit, or right after what it replaced. What told no time, or is gone, was this region's
        own: what was made of it is here, or else was overtaken by another region's. In whatever generation they come,
        records of one stream are ordered by their positions. What a reconcile read has none: it is this very edit
        (`digest`), or a later one, since no edit has replaced it."""
        if old is not None and old.stamped:
            return tick(change.creation_time(), old.time)
        last = (yield from self.home.look()).greatest
        if last is None or last.region != self.home.region:
            return tick(change.creation_time(), None)
        if not last.certain:
            return last.time if last.stamped and last.digest == digest else tick(change.creation_time(), None)
        if is_time(last.position) is not is_time(change.version):
            return tick(change.creation_time(), last.time if _may_precede(last, change) else None)
        at, mine = position_of(last.position), position_of(change.version)
        return last.time if at == mine else tick(change.creation_time(), last.time if at < mine else None)

    def _deletion(self, change: Change, old: State | None) -> Steps[State | None]:
        """What an application's delete says; None for a replicator's, by whose tombstone it is known, or by the mark in
        a copy whose position nobody knew, which no tombstone can be compared with. An own tombstone was left when the
        same record was delivered before, or by a reconcile that found the item gone, and did not know when it went."""
        if old is None:
            raise Rejected("the record has no OldImage: set the table's StreamViewType to NEW_AND_OLD_IMAGES")
        declared, stamps, region = self.branch.declared, self.branch.stamps, self.home.region
        if old.leaving:
            return None
        found = yield from self.home.tombstone()
        win, copy = declared.deletes == "win", old.stamped and not old.certain
        if found is not None and not copy and not self.home.is_untimed(old) and found.outranks(old):
            if found.by != region:
                return None
            if not (win and found.deletes(old)):
                return found
        if stamps.rule.by_stream:
            at = (yield from self._second(change, old, old.digest)), rank(region, declared.regions), change.version
            return State(*at, old.digest, True, region, stamped=True, by=region)
        return old.deletion(end_of(stamps.rule.unit, change.creation_time()) if win else None, by=region)

    def _clash(self, loser: State, winner: State) -> Aside:
        sides = _side(loser), _side(winner)
        return Aside(partial(self.branch.conflicts.record, self.home.key, sides, sides[1], self.events))


def _may_precede(last: State, change: Change) -> bool:
    """Whether what the one source brought, the table's stream or a Kinesis data stream, may be older than a change of
    the other one. Their positions cannot be compared, and a stream tells only the second. In the same second either may
    be the older one: if that is the change, what replaced it is still to come by its source."""
    made = Time.of(Decimal(position_of(last.position)) / MICROS) if is_time(last.position) else last.time
    return made < end_of(None, change.creation_time())


def _last(states: Sequence[State]) -> list[tuple[State, None]]:
    """As hints of `ordered`: each comes after all that are known of its moment."""
    return [(each, None) for each in states]


def _side(state: State) -> Side:
    item = canonical.image(state.item) if state.item else None
    return Side(state.region, state.time, state.deleted, item)


class Told(NamedTuple):
    """What a record tells: what was made, and of what."""

    made: State
    old: State | None

    def replaced(self, known: Sequence[State]) -> list[State]:
        """What of the same moment came before: by what the record shows as replaced; an insert comes after the deletion
        of something else."""
        if self.old is None:
            return [each for each in known if each.deleted and each.digest != self.made.digest]
        return [self.old if self.old.stamped else replace(self.made, digest=self.old.digest, deleted=False)]

    @property
    def undone(self) -> State | None:
        """What was replaced, if that wins: it is brought back. A later delete in this region has not seen it."""
        return self.old if self.old is not None and self.old.outranks(self.made) else None


class Look(NamedTuple):
    """What a region has of an item: its row, its tombstone, and what they say."""

    row: Row | None
    state: State | None
    kept: Row | None
    tombstone: State | None

    @property
    def greatest(self) -> State | None:
        """The greater of both states."""
        dead = self.tombstone
        return dead if dead is not None and dead.outranks(self.state) else self.state


Looks = Sequence[tuple["Replica", Look]]


class Replica(Struct, frozen=True):
    """One item in one region: a row and a tombstone (`id`, `state`, `by`), which never become less.

    A put is: look, put on condition that the row is as it was seen, look at the tombstone again, take back. A deletion
    is: look, tombstone, look at the row, delete it on condition. Whichever of the two comes last sees the other.

    Costs, with the look before: 2 reads; an item that wins 1 write and 1 read more, a deletion 2 writes (1 if there is
    no row) and 1 read. What does not win costs no write. Raises Rejected, Unavailable; ConfigError for a later format.
    """

    rows: Rows
    stamps: Stamps
    key: Row
    id: str
    deadline: Deadline

    @property
    def region(self) -> str:
        """Where it is."""
        return self.rows.region

    def look(self) -> Steps[Look]:
        """Row and tombstone; the order of writes makes up for their being no snapshot."""
        row, kept = yield from self.rows.look(self.key, self.id)
        return Look(row, self._state(row), kept, self._tombstone(kept))

    def state(self) -> Steps[State | None]:
        """What the row is; 1 read unit per 4 KB."""
        return self._state((yield from self.rows.row(self.key)))

    def tombstone(self) -> Steps[State | None]:
        """1 read unit."""
        return self._tombstone((yield from self.rows.kept(self.id)))

    def write(self, state: State, seen: Look) -> Steps[bool | None]:
        """Whether `state` won over what was `seen`, and is here now; None if that has moved: look again. A copy of this
        very edit whose position was not known gets it, or else an earlier edit that comes late would win over the copy;
        so does the copy's tombstone."""
        if seen.tombstone is not None and state.places(seen.tombstone):
            state = state.deletion(by=seen.tombstone.by)
        raised = False
        if seen.tombstone is not None and state.deleted:
            state = state.with_copy(seen.tombstone)
            raised = state.is_edit(seen.tombstone) and state.position > seen.tombstone.position and not state.certain
        if not (raised or state.outranks(seen.greatest) or state.places(seen.greatest)):
            if seen.row is not None and seen.tombstone is not None:
                if self.is_unread(seen.state, state) and not (yield from self._put(state, seen)):
                    return None
                yield from self.delete_if_older(seen.tombstone)
            return False
        if not (yield from self._entomb(state, seen) if state.deleted else self._put(state, seen)):
            return None
        dead = state if state.deleted else (yield from self.tombstone())
        if dead is None or not (state.deleted or dead.outranks(state)):
            return True
        yield from self.delete_if_older(dead)
        return state.deleted

    def delete_if_older(self, tombstone: State) -> Steps[bool]:
        """Takes away the row if it is less than its tombstone; whether there was one. An edit whose time only its
        record tells is left to its own region's function. A copy whose position nobody knew is marked before, for 1
        write: no tombstone shows who deleted it."""
        for _ in range(TRIES):
            self.deadline.check()
            row = yield from self.rows.row(self.key)
            state = self._state(row)
            if row is None or state is None or not tombstone.outranks(state) or self.is_untimed(state):
                return False
            if state.stamped and not state.certain and not state.leaving:
                marked = {**row, self.stamps.attribute: {"M": leaving(row[self.stamps.attribute]["M"])}}
                if not (yield from self.rows.put(self.key, marked, row)):
                    continue
                row = marked
            if (yield from self.rows.delete(self.key, row)):
                return True
        raise self.rows.contended()

    def is_untimed(self, state: State) -> bool:
        """Whether only the record of the edit tells its time."""
        return self.stamps.rule.by_stream and not state.stamped

    def is_unread(self, row: State | None, state: State) -> bool:
        """Whether the row is the very edit `state`, and does not say so yet. If it were deleted like this, that could
        not be told from the application's own delete."""
        own = row is not None and self.is_untimed(row) and row.digest == state.digest
        return own and state.region == self.region and not state.deleted

    def _state(self, row: Row | None) -> State | None:
        return None if row is None else self.stamps.row(row, self.region)

    def _tombstone(self, kept: Row | None) -> State | None:
        if kept is None:
            return None
        return replace(read_stamp(kept["state"]["M"], self.stamps.regions, True), by=kept["by"]["S"])

    def _put(self, state: State, seen: Look) -> Steps[bool]:
        return self.rows.put(self.key, {**(state.item or {}), self.stamps.attribute: {"M": stamp(state)}}, seen.row)

    def _entomb(self, state: State, seen: Look) -> Steps[bool]:
        content = {"state": {"M": stamp(state)}, "by": {"S": state.by or state.region}}
        return self.rows.keep(self.id, content, {"state": seen.kept["state"]} if seen.kept else {}, deleted=True)
