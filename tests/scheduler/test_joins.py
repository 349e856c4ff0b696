"""Both sides of a join at once; and each guard of it left out of the real code, which one of the orders must show.

`tests/unit/test_join_model.py` leaves them out of a plain model of the same protocol.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from unittest import mock

import pytest

from distributary.derive import join_fan_out, join_left, join_right, joins
from distributary.derive.branch import unchecked
from distributary.derive.join_calls import JoinCalls
from distributary.derive.join_rows import FOREIGN_KEY, NEVER, RIGHT_ROW, SINCE, LeftRow, updated
from distributary.dynamodb.requests import Met
from distributary.stream.records import decode
from tests.fakes.faults import Crash
from tests.replaced import replace
from tests.scheduler.choices import every
from tests.scheduler.joined import JoinedWorld
from tests.scheduler.runs import deep, failure, play_every
from tests.scheduler.world import Plan

CALLS = 6
"""A process may die before any of so many calls."""


class Dying:
    """A client of a process that dies before one of its calls."""

    def __init__(self, client, calls):
        self._client, self._left = client, calls

    def __getattr__(self, operation):
        def call(**arguments):
            self._left -= 1
            if self._left < 0:
                raise Crash
            return getattr(self._client, operation)(**arguments)

        return call


@dataclass(frozen=True)
class Race:
    """`puts` are what the application writes, in order: an item's name and attributes, None to delete it. `before` are
    the batches that were delivered then, by the places of their records. `dies` is a batch of a process that dies, and
    `actors` are batches that are delivered until they are through."""

    kind: str
    puts: tuple
    actors: tuple
    before: tuple = ()
    dies: tuple = ()

    def make(self, calls):
        """A world in which the process dies before that call."""
        race = self

        class Raced(JoinedWorld):
            def begin(self):
                super().begin()
                for name, values in race.puts:
                    if values is None:
                        self.delete(name)
                    else:
                        self.put(name, {each: {"S": value} for each, value in values.items()})
                self.scheduler.spawn("before", lambda: [self.comes(batch) for batch in ((), *race.before)])
                self.scheduler.run()

            def comes(self, places):
                while self.function([self.records[place] for place in places]) is not None:
                    self.scheduler.sleep(1.0)

            def dying(self):
                living, self.dynamodb = self.dynamodb, Dying(self.dynamodb, calls)
                branch, self.dynamodb = self.branch(), living
                branch.apply(decode({"Records": [self.records[place] for place in race.dies]}, 0), self.deadline())

            def branch(self):
                return replace(super().branch(), check_tables=unchecked)

            def deadline(self):
                return super(JoinedWorld, self).deadline()

            def actors(self):
                found = [("dying", self.dying)] if race.dies else []
                return found + [(f"batch {places}", partial(self.comes, places)) for places in race.actors]

        return lambda seed, choices: Raced(seed, choices, Plan(items=2, coarse=True), kinds=(race.kind,))

    def play(self):
        """Every order, with every death."""
        for calls in range(CALLS if self.dies else 1):
            play_every(self.make(calls), deep(1))

    def ends_wrong(self):
        """Whether one of the orders does."""
        return any(
            isinstance(failure(self.make(calls), 0, choices), AssertionError)
            for calls in range(CALLS if self.dies else 1)
            for choices in every(1)
        )


ORDER = ("o0", {"buyer": "c0", "total": "1", "status": "open"})
EDITED = ("o0", {"buyer": "c0", "total": "2", "status": "open"})
MOVED = ("o0", {"buyer": "c1", "total": "1", "status": "open"})
MOVED_EDITED = ("o0", {"buyer": "c1", "total": "2", "status": "open"})
GONE = ("o0", None)
ADA, BOB, EVE = (("c0", {"name": name, "country": "uk"}) for name in "xyz")
FRENCH = ("c0", {"name": "x", "country": "fr"})
LOST = ("c0", None)
OTHER = ("c1", {"name": "z", "country": "uk"})
SECOND, THIRD = ((f"o{at}", ORDER[1]) for at in (1, 2))


class AnyKey(str):
    """Differs from no foreign key."""

    def __ne__(self, other):
        return False

    __hash__ = str.__hash__


def no_second_look(calls, join, looks):
    return {}
    yield


def no_look_at_what_is_superseded(task, found, ends, looks):
    return ENDED(task, found, ends, [])


def no_look_at_an_edit(calls, join, task, found, rights):
    return PLANNED(calls, join, replace(task, oldest=10**60), found, rights)


def unconditional(ledger, row, read):
    return {"Put": {"TableName": ledger, "Item": row}}


def equal_stops(calls, join, task, found):
    return FANNED(calls, join, task if getattr(found, "moved", True) else replace(task, folded=frozenset()), found)


def since_of_the_newest(calls, join, task, found):
    return FANNED(calls, join, replace(task, folded=frozenset({task.change.version})), found)


def alike_is_not_written(self, action, *, returns=False):
    if "Update" in action and "#d = :d" in action["Update"].get("ConditionExpression", ""):
        return Met(True, {})
    return (yield from WRITE(self, action, returns=returns))


def older_whatever_version(foreign_key, since):
    return "#fk = :fk", {"#fk": FOREIGN_KEY}, {":fk": {"S": foreign_key}}


def older_whatever_key(foreign_key, since):
    return "#since < :since", {"#since": SINCE}, {":since": {"S": since}}


def older_or_missing(foreign_key, since):
    expression, names, values = OLDER(foreign_key, since)
    return f"attribute_not_exists(pk) OR ({expression})", names, values


def always(since):
    return "attribute_not_exists(pk) OR attribute_exists(pk)", {}, {}


def place_of_any_content(calls, join, change, right, at):
    key = join_fan_out.partition(join.name, change.foreign_key), RIGHT_ROW
    yield from calls.write(updated(calls.tables.derived, key, ("fanned",), {"fanned": {"S": at}}))


def place_before_the_page(self, pk, prefix, start, limit):
    rows, after = yield from PAGE(self, pk, prefix, start, limit)
    if after:
        yield from self.write(updated(self.tables.derived, (pk, RIGHT_ROW), ("fanned",), {"fanned": {"S": after}}))
    return rows, after


class Early:
    """Subscriptions are read before the right item is stored."""

    def __init__(self):
        self.pages = {}

    def stored_all(self, calls, join, tasks):
        for task in tasks:
            pk, prefix, start = join_fan_out._pages(join, task.change)
            self.pages[pk] = yield from PAGE(calls, pk, prefix, start, 100)
        return (yield from STORED(calls, join, tasks))

    def page(self, calls, pk, prefix, start, limit):
        return (self.pages[pk][0], "")
        yield


def holds_nothing(row):
    return replace(OF(row), held=NEVER)


def any_foreign_key(row):
    found = OF(row)
    return replace(found, foreign_key=AnyKey(found.foreign_key))


ENDED, PLANNED, FANNED, OLDER, OF = (
    join_left._ended,
    join_left.planned,
    join_right._fanned,
    join_fan_out.older,
    LeftRow.of,
)
WRITE, PAGE, STORED = JoinCalls.write, JoinCalls.page, joins.stored_all
EARLY = Early()

AT_ONCE = Race("left", (ORDER, ADA), ((0,), (1,)))
DEAD_LEFT = Race("left", (ORDER, ADA), ((1,), (0,)), dies=(0,))
FOLDED_EDIT = Race("left", (ORDER, MOVED, MOVED_EDITED, OTHER), ((3,), (1, 2)), before=((0,),), dies=(1,))
TWO_EDITS = Race("left", (ORDER, EDITED), ((0,), (1,)))
DEAD_RIGHT = Race("left", (ORDER, ADA), ((1,),), before=((0,),), dies=(1,))
FOLDED_ALIKE = Race("left", (ORDER, EVE, ADA, BOB, ADA), ((2, 3, 4),), before=((0,), (1,)), dies=(2,))
ALIKE = Race("left", (ORDER, ADA, BOB, ADA), ((3,), (2,)), before=((0,), (1,)))
TWO_RIGHTS = Race("left", (ORDER, ADA, BOB), ((1,), (2,)), before=((0,),))
TO_ANOTHER = Race("left", (OTHER, ORDER, MOVED, ADA), ((3,), (2,)), before=((0,), (1,)))
DELETED = Race("left", (ORDER, GONE, ADA), ((2,), (1,)), before=((0,),))
PAGES = Race("left", (ORDER, SECOND, THIRD, ADA), ((3,),), before=((0,), (1,), (2,)), dies=(3,))
TWO_PAGED = Race("left", (ORDER, SECOND, THIRD, ADA, BOB), ((3,), (4,)), before=((0,), (1,), (2,)), dies=(4,))
INNER_EDIT = Race("inner", (ORDER, EDITED, ADA), ((2,), (1,)), before=((0,),))
INNER_AGAIN = Race("inner", (ORDER, ADA, LOST, BOB), ((2,), (3,)), before=((0,), (1,)))
INNER_LOST = Race("inner", (ORDER, ADA, LOST), ((1,), (2,)), before=((0,),))
INNER_MOVED = Race("inner", (ORDER, MOVED, ADA), ((2,), (1,)), before=((0,),))
BOTH_EDIT = replace(INNER_EDIT, kind="open")
BOTH_FRENCH = Race("country", (ORDER, ADA, FRENCH), ((1,), (2,)), before=((0,),))
BOTH_MOVED = replace(INNER_MOVED, kind="country")
RACES = {name: race for name, race in globals().items() if isinstance(race, Race)}

GUARDS = [
    (AT_ONCE, [(join_left, "_looked", no_second_look)]),
    (DEAD_LEFT, [(join_left, "_ended", no_look_at_what_is_superseded)]),
    (FOLDED_EDIT, [(join_left, "planned", no_look_at_an_edit)]),
    (TWO_EDITS, [(join_left, "ledger_write", unconditional)]),
    (DEAD_RIGHT, [(join_right, "_fanned", equal_stops)]),
    (FOLDED_ALIKE, [(join_right, "_fanned", since_of_the_newest)]),
    (ALIKE, [(JoinCalls, "write", alike_is_not_written)]),
    (AT_ONCE, [(joins, "stored_all", EARLY.stored_all), (JoinCalls, "page", lambda *a: EARLY.page(*a))]),
    (TWO_RIGHTS, [(join_fan_out, "older", older_whatever_version)]),
    (TO_ANOTHER, [(join_fan_out, "older", older_whatever_key)]),
    (DELETED, [(join_fan_out, "older", older_or_missing)]),
    (TWO_PAGED, [(join_fan_out, "_keep", place_of_any_content)]),
    (PAGES, [(JoinCalls, "page", place_before_the_page)]),
    (INNER_EDIT, [(join_fan_out, "ledger_write", unconditional)]),
    (INNER_AGAIN, [(join_fan_out, "missing_or_older", always)]),
    (INNER_LOST, [(join_fan_out.LeftRow, "of", holds_nothing)]),
    (INNER_MOVED, [(join_fan_out.LeftRow, "of", any_foreign_key)]),
    (BOTH_EDIT, [(join_fan_out, "ledger_write", unconditional)]),
    (BOTH_FRENCH, [(join_fan_out.LeftRow, "of", holds_nothing)]),
    (BOTH_MOVED, [(join_fan_out.LeftRow, "of", any_foreign_key)]),
]


LONG = ("TWO_PAGED", "FOLDED_EDIT", "DEAD_LEFT")


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in RACES])
def test_every_order_ends_right(name):
    RACES[name].play()


def named(case):
    return f"{case[0].kind}-{case[1][0][2].__name__}"


@pytest.mark.parametrize("case", GUARDS, ids=named)
def test_an_order_ends_wrong_without(case):
    race, patches = case
    with ExitStack() as stack:
        for patch in patches:
            stack.enter_context(mock.patch.object(*patch))
        assert race.ends_wrong()
