"""Every order of the calls that repairs and the stream make beside each other: the replica ends as the source is.

The application writes, its change is delivered at any time later, and one or two repairs look, write and look again at
any time: the calls are those of the real code.
"""

import copy
from functools import partial
from itertools import count

import pytest

from distributary.consumer.deadline import Deadline
from distributary.dynamodb.steps import Call
from distributary.dynamodb.tombstones import Tombstones
from distributary.dynamodb.versioned_table import Register
from distributary.replicate import reconcile
from distributary.replicate.reconcile import MirrorReconciler
from distributary.replicate.verify import repair as repairs
from distributary.replicate.verify.comparison import of_mirror
from distributary.replicate.verify.repair import by_reconciling, repaired
from distributary.replicate.verify.table import Side
from distributary.stream import version as versions
from distributary.stream.change import REPLICA_VERSION
from tests.fakes import dynamodb
from tests.fakes.built import mirror
from tests.fakes.interleavings import Interleavings
from tests.replaced import replace
from tests.unit.records import FIRST_SEQUENCE, change
from tests.unit.replica_tables import SCHEMAS, Service

KEY = {"user_id": {"S": "u"}}
PUT, DELETE = "put", "delete"
LONG = [PUT, DELETE]
HISTORIES = [[], [PUT], [DELETE], LONG, [DELETE, PUT], [PUT, PUT]]


def item(text):
    return {**KEY, "name": {"S": text}}


def row(text, place=None):
    version = {} if place is None else {REPLICA_VERSION: {"S": versions.to_text(FIRST_SEQUENCE + place)}}
    return {**item(text), **version}


BEGINNINGS = {
    "stale": (item("right"), row("wrong", 0), None),
    "stale, without a version": (item("right"), row("wrong"), None),
    "missing": (item("right"), None, None),
    "missing behind a tombstone": (item("right"), None, 0),
    "dead": (None, row("dead", 0), None),
    "dead, without a version": (None, row("dead"), None),
}
"""The source's item, the replica's row, and a tombstone's place; the application's changes follow from place 1 on."""


class Tables:
    """Both tables and the tombstones, that can be put back to where they were."""

    def __init__(self, beginning):
        self.client, self._states = Service(SCHEMAS), {}
        source, replica, entombed = BEGINNINGS[beginning]
        for name, content in (("source", source), ("replica", replica)):
            if content:
                self.client.put_item(TableName=name, Item=content)
        if entombed is not None:
            write = mirror(self.client).plan(change(entombed, "REMOVE", "u"))
            Tombstones(self.client, "tombstones", 7, lambda: 0.0).put_tombstone(write.id, write.version)

    def freeze(self):
        text = repr(self.client.state)
        self._states.setdefault(text, copy.deepcopy(self.client.state))
        return text

    def thaw(self, frozen):
        self.client.state = copy.deepcopy(self._states[frozen])

    def bare(self, table):
        found = self.client.state[table].get(("u",))
        return found and {name: typed for name, typed in found.items() if name != REPLICA_VERSION}


def operators(client, name):
    """The mirror in an operator's process: its revisions are the same each time that the process is played."""
    branch, revisions = mirror(client), count()
    return replace(branch, register=replace(branch.register, revision=lambda: f"{name}-{next(revisions)}"))


def application(tables, history, wrap, lives):
    """A program: each write, and then its delivery."""
    client = wrap(tables.client, dynamodb)
    for place, kind in enumerate(history, 1):
        if kind == PUT:
            client.put_item(TableName="source", Item=item(f"as of {place}"))
        else:
            client.delete_item(TableName="source", Key=KEY)
        new = item(f"as of {place}") if kind == PUT else None
        made = change(place, "INSERT" if kind == PUT else "REMOVE", "u", {"name": new["name"]} if new else None)
        mirror(client).apply([made], Deadline(float("inf")))
    return "done"


def repairing(tables, who, wrap, lives):
    """A program: looks, and repairs what differs."""
    client = wrap(tables.client, dynamodb)
    branch = operators(client, f"{who}-{lives}")
    eye = of_mirror(branch, Side(client, "source"), Side(client, "replica"), 0)
    for finding in eye.again([KEY]).findings:
        repaired(eye, by_reconciling(MirrorReconciler(branch, eye)), finding)
    return "done"


def every_order(beginning, history, at_once=1, crashes=0):
    tables = Tables(beginning)
    programs = [partial(application, tables, history)] if history else []
    found = Interleavings(tables, programs + [partial(repairing, tables, who) for who in range(at_once)], crashes)
    for state, _ in found.endings:
        tables.thaw(state)
        assert tables.bare("replica") == tables.bare("source")
    return found


@pytest.mark.sampled(12)
@pytest.mark.parametrize(
    "history", [pytest.param(each, marks=pytest.mark.slow if each == LONG else ()) for each in HISTORIES], ids=str
)
@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_in_every_order_beside_the_stream_the_replica_ends_as_the_source(beginning, history):
    every_order(beginning, history)


@pytest.mark.sampled(6)
@pytest.mark.parametrize("history", [[], [PUT], pytest.param([DELETE], marks=pytest.mark.slow)], ids=str)
@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_two_repairs_at_once_end_the_same(beginning, history, monkeypatch):
    """Each looks twice: more looks make more orders than can be played, and no step that these lack."""
    monkeypatch.setattr(repairs, "TRIES", 1)
    monkeypatch.setattr(reconcile, "LOOKS", 2)
    every_order(beginning, history, at_once=2)


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_a_repair_that_dies_anywhere_is_made_good_by_the_next(beginning):
    every_order(beginning, [], crashes=2)


def unconditionally(register, operation, what, version, **arguments):
    yield Call(register.client, operation, {"TableName": register.table, **arguments})
    return True


@pytest.mark.parametrize("beginning", ["stale", "dead"])
def test_without_its_condition_a_repair_would_undo_the_stream(beginning, monkeypatch):
    """So that the enumeration is known to find what it is there to find."""
    monkeypatch.setattr(Register, "_as_seen", unconditionally)
    monkeypatch.setattr(repairs, "TRIES", 1)
    monkeypatch.setattr(reconcile, "LOOKS", 1)
    with pytest.raises(AssertionError):
        every_history(beginning)


def every_history(beginning):
    for history in HISTORIES:
        every_order(beginning, history)
