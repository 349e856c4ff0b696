"""Gives branches what was deferred: a cheap probe first, then more and more at once, as long as it is taken."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from distributary.consumer import outcome as outcomes
from distributary.consumer.aws import AwsError, classify
from distributary.consumer.deadline import FOREVER, Deadline
from distributary.consumer.outcome import Outcome, Status
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.errors import ConfigError, DistributaryError, Rejected, Unavailable
from distributary.feed.invoke import EVENT_KEYS, EVENT_RECORDS, Ended, Feed
from distributary.feed.redrive import Giving
from distributary.readers.parked import Function, Parked, Place
from distributary.stream import version as versions
from distributary.stream.change import Change, Image, Kind, Origin
from distributary.trunk.breaker import CLOSED, Breakers, Row, State
from distributary.trunk.deferred import Store, changes_in, entry_again

INVOKE_SECONDS = 65.0
"""A function that is fed takes its timeout at most."""

RUN_SECONDS = 50.0
"""No chunk begins later in a run: the next run begins a minute after this one."""

ONCE = Deadline(float("-inf"))
"""What fails is not tried again in the same run."""

PROBES = 3
PROBE_CHANGES = 10
WIDEST = 8
"""So many parcels are given at once."""

OWN_PACE = "welcome"
"""The branch whose function keeps to a rate: it gets one parcel after the other."""

MOST = {OWN_PACE: 10, "archive": EVENT_RECORDS}
"""So many changes of these branches are given at a time; of the others `EVENT_KEYS`."""

UNREACHED = Ended("Failed", "not reached in this run")

Parcel = list[tuple[Place, list[Parked]]]
"""Some objects with their changes."""


@dataclass(slots=True)
class Fed:
    """What a run did for a branch. `left`: why changes are; `backlog` and `age` in seconds as of the run's end."""

    branch: str
    state: State
    done: int = 0
    parked: int = 0
    left: Counter[str] = field(default_factory=Counter)
    backlog: int = 0
    age: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """For the function's answer."""
        counts = {"fed": self.done, "parked": self.parked, "left": self.left.total()}
        return {"branch": self.branch, "state": self.state.value, **counts, "backlog": self.backlog, "age": self.age}


@dataclass(frozen=True, slots=True)
class Feeder:
    """`functions` and `feeds` as `feed.redrive.Giving` has them; `parkings` by branch."""

    store: Store
    functions: Mapping[str, Function]
    feeds: Callable[[str, str], Feed]
    parkings: Callable[[str], Parking]
    breakers: Breakers
    parallel: Any = field(default_factory=lambda: Parallel(WIDEST))
    now: Callable[[], float] = time.time

    def run(self, branch: str, deadline: Deadline) -> Fed:
        """One run. Raises Unavailable if the bucket or the table of breakers does not answer."""
        try:
            row = self.breakers.read()[branch]
            fed = Fed(branch, row.state)
            if row.state is not State.PAUSED:
                self._fed(branch, row, fed, deadline)
            fed.state = self.breakers.read()[branch].state
            fed.backlog, fed.age = self.store.backlog(branch, datetime.fromtimestamp(self.now(), UTC))
        except AwsError as error:
            raise Unavailable(str(classify(error, f"feeding {branch}")), str(error)) from error
        return fed

    def _fed(self, branch: str, row: Row, fed: Fed, deadline: Deadline) -> None:
        places = self._turned(list(self.store.places(branch)))
        if row.state is State.OPEN:
            if places and not self._answers(branch, places):
                return
            trial = Row(State.TRIAL, self.now())
            if not self.breakers.move(branch, row, trial):
                return
            row = trial
        if self._all_given(branch, places, fed, deadline):
            if row.state is State.TRIAL:
                self.breakers.move(branch, row, CLOSED)
        elif row.state is State.TRIAL and not fed.done and not fed.parked:
            self.breakers.move(branch, row, Row(State.OPEN, self.now()))

    def _turned(self, places: list[Place]) -> list[Place]:
        """Each minute another one is the first, so that objects whose changes fail for good hold up no others."""
        at = int(self.now() // 60) % len(places) if places else 0
        return places[at:] + places[:at]

    def _answers(self, branch: str, places: Sequence[Place]) -> bool:
        """Whether the branch takes a change of one of three objects, or parks all of one: an object whose changes fail
        for good says nothing, nor does a change that is parked beside those."""
        chosen = dict.fromkeys((places[0], places[-1], places[len(places) // 2]))
        for place in list(chosen)[:PROBES]:
            changes = self.store.read(branch, place)[:PROBE_CHANGES]
            ends = self._given(branch, changes, ONCE)
            if any(end.done for end in ends) or (ends and all(end.status != Status.FAILED for end in ends)):
                return True
        return False

    def _all_given(self, branch: str, places: Sequence[Place], fed: Fed, deadline: Deadline) -> bool:
        """Whether nothing is left of these. It ends at the third chunk in a row of which nothing is taken, and if the
        branch is paused."""
        many, refused, parcels = 1, 0, self._parcels(branch, places)
        while chunk := list(islice(parcels, many)):
            taken = sum(self._chunk(branch, chunk, fed, deadline))
            refused = 0 if taken else refused + 1
            if refused == PROBES or not deadline.left() or self._paused(branch):
                return False
            many = min(2 * many, WIDEST) if taken and branch != OWN_PACE else 1
        return not fed.left

    def _paused(self, branch: str) -> bool:
        return self.breakers.read()[branch].state is State.PAUSED

    def _chunk(self, branch: str, chunk: Sequence[Parcel], fed: Fed, deadline: Deadline) -> Iterator[int]:
        """How many changes of each parcel are taken."""

        def give(parcel: Parcel) -> Fed:
            return self._given_parcel(branch, parcel, deadline)

        for found in self.parallel.run(give, chunk, FOREVER):
            if isinstance(found, DistributaryError):
                fed.left[str(found)] += 1
                continue
            fed.done, fed.parked, fed.left = fed.done + found.done, fed.parked + found.parked, fed.left + found.left
            yield found.done + found.parked

    def _parcels(self, branch: str, places: Sequence[Place]) -> Iterator[Parcel]:
        """Small objects together."""
        most, parcel, held = MOST.get(branch, EVENT_KEYS), Parcel(), 0
        for place in places:
            if parcel and held + changes_in(place.name) > most:
                yield parcel
                parcel, held = [], 0
            parcel.append((place, self.store.read(branch, place)))
            held += changes_in(place.name)
        if parcel:
            yield parcel

    def _given_parcel(self, branch: str, parcel: Parcel, deadline: Deadline) -> Fed:
        fed = Fed(branch, State.CLOSED)
        changes = [change for _, own in parcel for change in own]
        ends = iter(self._given(branch, changes, deadline))
        for place, own in parcel:
            self._settle(branch, place, own, [next(ends) for _ in own], fed)
        return fed

    def _given(self, branch: str, changes: Sequence[Parked], deadline: Deadline) -> list[Ended]:
        """One end per change. What raises in the function is found by halves, as long as there is time."""
        if not changes:
            return []
        most = MOST.get(branch, EVENT_KEYS)
        if len(changes) > most:
            first, rest = self._given(branch, changes[:most], deadline), changes[most:]
            return first + (self._given(branch, rest, deadline) if deadline.left() else [UNREACHED] * len(rest))
        try:
            return Giving(self.functions, self.feeds).give(branch, changes)
        except AwsError as error:
            return [Ended("Failed", str(classify(error, f"invoke {branch}")))] * len(changes)
        except ConfigError as error:
            return [Ended("Failed", str(error))] * len(changes)
        except Unavailable as error:
            if len(changes) == 1 or not deadline.left():
                return [Ended("Failed", str(error))] * len(changes)
        half = len(changes) // 2
        return self._given(branch, changes[:half], deadline) + self._given(branch, changes[half:], deadline)

    def _settle(self, branch: str, place: Place, changes: Sequence[Parked], ends: Sequence[Ended], fed: Fed) -> None:
        """Parks what is parked; puts what is left before it removes what was there."""
        left = [change for change, end in zip(changes, ends, strict=True) if end.status == "Failed"]
        causes = Counter(end.cause for end in ends if end.status == "Failed")
        parked = [(change, end) for change, end in zip(changes, ends, strict=True) if end.status == "Parked"]
        refused = self._park(branch, parked)
        left += [change for change, _ in refused]
        causes.update(cause for _, cause in refused)
        fed.done += sum(end.done for end in ends)
        fed.parked += len(parked) - len(refused)
        fed.left += causes
        if left and len(left) < len(changes):
            self.store.put(branch, [entry_again(branch, change) for change in left])
        if len(left) < len(changes):
            self.store.remove(place)

    def _park(self, branch: str, parked: Sequence[tuple[Parked, Ended]]) -> list[tuple[Parked, str]]:
        """Those that could not be parked, and why."""
        if not parked:
            return []
        entries = [(_change(change), outcomes.parked(Rejected(end.cause))) for change, end in parked]
        ends = self.parkings(branch).park(entries, FOREVER)
        return [(change, str(error)) for (change, _), error in zip(parked, ends, strict=True) if error is not None]


def left_over(fed: Fed) -> list[Outcome]:
    """Why changes are left, as outcomes to log."""
    return [end for cause, many in fed.left.items() for end in [outcomes.failed(Unavailable(cause))] * many]


def feed_all(feeder: Feeder, told: Callable[[Fed], None], deadline: Deadline) -> dict[str, Any]:
    """One run for each branch, side by side; `told` gets what was done. Raises Unavailable and ConfigError of a branch,
    once the others are through."""
    found = Parallel(len(feeder.functions)).run(lambda branch: feeder.run(branch, deadline), feeder.functions, FOREVER)
    for each in found:
        if isinstance(each, Fed):
            told(each)
    for each in found:
        if isinstance(each, DistributaryError):
            raise each
    return {"branches": [each.as_json() for each in found if isinstance(each, Fed)]}


def _change(parked: Parked) -> Change:
    """As parking writes it; its images are in its record, if it has any."""
    record, version = parked.record or {}, versions.from_text(parked.version or "0")
    return Change(
        event_id=str(record.get("eventID", "")),
        kind=Kind(record.get("eventName", Kind.MODIFY)),
        keys=Image(parked.key or {}),
        old=None,
        new=None,
        version=version,
        created=None,
        source=str(record.get("eventSourceARN", "")),
        expired=parked.expired,
        origin=Origin.REDRIVE,
        identifier="",
        record=record,
    )
