"""A table that the application writes to in several regions: each region's function carries its own region's edits to
the others, and puts right what an edit that loses has overwritten at home."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import APPLIED, SUPERSEDED, Outcome, Status
from distributary.consumer.parallel import Parallel
from distributary.consumer.per_item import per_item
from distributary.errors import Rejected, Unavailable
from distributary.replicate.declarations import MultiActive
from distributary.replicate.multi_active.conflicts import Conflicts, Side
from distributary.replicate.multi_active.crdt import Time, end_of, rank, tick
from distributary.replicate.multi_active.replica_table import LEAST, UNKNOWN, Place, RegionTable, State
from distributary.stream import canonical
from distributary.stream.change import Change, Image, Origin, rewritten
from distributary.stream.codec import Typed, for_client
from distributary.stream.keys import bounded, identity
from distributary.stream.version import position_of

TOMBSTONE_ID_BYTES = 1024


@dataclass(frozen=True, slots=True)
class MultiActiveBranch:
    """`here` is the table whose stream is read, `peers` those of the other regions.

    Why all regions end equal: the greatest of all states that the application ever made is carried to every region by
    the function of the region it was made in, and nothing but an edit of the application replaces it there; that edit's
    record shows what it replaced, and its region's function brings it back.
    """

    declared: MultiActive
    here: RegionTable
    peers: tuple[RegionTable, ...]
    conflicts: Conflicts | None
    parallel: Parallel

    def apply(self, changes: Sequence[Change], deadline: Deadline) -> list[Outcome]:
        """See `consume.Branch`. An item's changes are carried one after the other."""

        def one(group: list[int]) -> list[Outcome]:
            return self._in_order([changes[at] for at in group], deadline)

        ends = per_item(changes, range(len(changes)), one, self.parallel, deadline)
        return [ends[at] for at in range(len(changes))]

    def reconcile(self, key: Mapping[str, Typed], deadline: Deadline) -> bool:
        """Every region gets the greatest state that any of them knows; whether anything was written. A row that tells
        no time is left to its own region's function. Raises Rejected or Unavailable."""
        place, sites = place_of(key), (self.here, *self.peers)
        found = [(site, *found) for site in sites for found in site.known(place)]
        if not found or any(self.here.reading.rule.by_stream and not state.stamped for _, state, _ in found):
            return False
        states = [state for _, state, _ in found]
        placed = [
            (_placed(state, states, site.row(place)) if state.position == UNKNOWN else state, by)
            for site, state, by in found
        ]
        state, by = max(placed, key=lambda each: each[0].order)
        merged = [site.merge(place, state, by, deadline, _overtakes_nobody) for site in sites]
        return any(merged)

    def _in_order(self, changes: Sequence[Change], deadline: Deadline) -> list[Outcome]:
        """One item's. After a failed one the others fail as well, for it will come again before them."""
        ends: list[Outcome] = []
        for change in changes:
            stuck = ends and ends[-1].status is Status.FAILED
            ends.append(ends[-1] if stuck else self._outcome(change, deadline))
        return ends

    def _outcome(self, change: Change, deadline: Deadline) -> Outcome:
        try:
            deadline.check()
            return APPLIED if self._carry(change, deadline) else SUPERSEDED
        except Rejected as error:
            return outcomes.parked(error)
        except Unavailable as error:
            return outcomes.failed(error)

    def _carry(self, change: Change, deadline: Deadline) -> bool:
        """Whether anything was written, anywhere."""
        place = place_of(change.keys.raw)
        reading, region = self.here.reading, self.here.region
        old = reading.row(_item(change.old), region, change.version - 1) if change.old else None
        if change.new is None:
            return self._carry_deletion(change, place, old, deadline)
        new = reading.row(_item(change.new), region, change.version, certain=True)
        if reading.rule.by_stream and not new.stamped:
            return self._carry_second(change, place, old, new, deadline)
        if old is not None and old.outranks(new):
            self._clash(place, new, old)
            return self.here.merge(place, old, region, deadline, _overtakes_nobody)
        if old is None and self._is_outranked(place, new, deadline):
            return True
        if rewritten(change, reading.attribute) and new.stamped:
            return False
        return self._push(place, old, new, deadline)

    def _carry_second(self, change: Change, place: Place, old: State | None, new: State, deadline: Deadline) -> bool:
        """An edit that says nothing of its time: it is stamped at home, then carried."""
        if change.origin is not Origin.SNAPSHOT:
            new = replace(new, time=self._second(change, place, old))
        wrote = self.here.merge(place, new, self.here.region, deadline, _overtakes_nobody)
        return self._push(place, old, new, deadline) or wrote

    def _is_outranked(self, place: Place, new: State, deadline: Deadline) -> bool:
        """An item that comes to life again before its deletion: it goes."""
        grave = self.here.grave(place)
        return (
            grave is not None
            and not new.outranks(grave.state)
            and self.here.delete_if_older(place, grave.state, deadline)
        )

    def _carry_deletion(self, change: Change, place: Place, old: State | None, deadline: Deadline) -> bool:
        if old is None:
            raise Rejected("the record has no OldImage: set the table's StreamViewType to NEW_AND_OLD_IMAGES")
        grave = self.here.grave(place)
        told = old.stamped or not self.here.reading.rule.by_stream
        explained = grave is not None and told and grave.state.outranks(old)
        if grave is not None and explained and grave.by != self.here.region:
            return False
        deletion = grave.state if grave is not None and explained else self._deletion(change, place, old)
        wrote = self.here.merge(place, deletion, self.here.region, deadline, _overtakes_nobody)
        return self._push(place, old, deletion, deadline) or wrote

    def _deletion(self, change: Change, place: Place, old: State) -> State:
        rule, region = self.here.reading.rule, self.here.region
        if rule.by_stream:
            mine, time = rank(region, self.declared.regions), self._second(change, place, old)
            return State(time, mine, change.version, old.digest, True, region, stamped=True)
        return old.deletion(end_of(rule.unit, change.creation_time()) if self.declared.deletes == "win" else None)

    def _second(self, change: Change, place: Place, old: State | None) -> Time:
        """The second of an edit, or right after what it replaced. What told no time, or is gone, was this region's
        own: what was made of it stands at home, or else was overtaken by another region's. In whatever generation they
        come, records of one stream are ordered by their positions."""
        if old is not None and old.stamped:
            return tick(change.creation_time(), old.time)
        last = self.here.standing(place)
        if last is None or last.region != self.here.region:
            return tick(change.creation_time(), None)
        at, mine = position_of(last.position), position_of(change.version)
        if at == mine:
            return last.time
        return tick(change.creation_time(), last.time if at <= mine else None)

    def _push(self, place: Place, old: State | None, new: State, deadline: Deadline) -> bool:
        """To every peer that can be reached. Raises what kept it from one of them, once all were tried."""
        wrote, errors = False, []
        for peer in self.peers:
            try:
                wrote |= peer.merge(
                    place, new, self.here.region, deadline, lambda stood: self._note(place, old, new, stood)
                )
            except (Rejected, Unavailable) as error:
                errors.append(error)
        if errors:
            raise min(errors, key=lambda error: isinstance(error, Rejected))
        return wrote

    def _note(self, place: Place, old: State | None, new: State, stood: State | None) -> None:
        """Records a conflict: what stood there was of another region, and the edit was made without knowing it. A row
        that tells no time is none yet: its own region's function judges it."""
        if stood is None or stood.region == self.here.region or not stood.outranks(old):
            return
        if self.here.reading.rule.by_stream and not stood.stamped:
            return
        self._clash(place, stood, new)

    def _clash(self, place: Place, loser: State, winner: State) -> None:
        if self.conflicts is not None:
            self.conflicts.record(place.id, place.key, (_side(loser), _side(winner)), _side(winner))


def _side(state: State) -> Side:
    item = canonical.image(state.item) if state.item else None
    return Side(state.region, state.time, state.deleted, item)


def _placed(state: State, known: Sequence[State], now: State | None) -> State:
    """A row of which only its own region's stream could tell the position. It comes right after what is known of its
    region with the same time, if it is the row still (`now`) after that was read; otherwise before all of it."""
    same = (each.position for each in known if (each.time, each.rank) == (state.time, state.rank))
    last = max((position for position in same if position != UNKNOWN), default=LEAST)
    still = now is not None and now.digest == state.digest
    return replace(state, position=last + 1 if still and last > LEAST else LEAST)


def _item(image: Image) -> dict[str, Typed]:
    return {name: for_client(typed, name) for name, typed in image.raw.items()}


def _overtakes_nobody(_: State | None) -> None:
    """At home there is no conflict to be found."""


def place_of(keys: Mapping[str, Typed]) -> Place:
    """Where the item stands in each region. Raises Rejected for a key that is none."""
    key = {name: for_client(typed, name) for name, typed in keys.items()}
    return Place(key, bounded(f"multi-active/{identity(keys)}", TOMBSTONE_ID_BYTES))
