"""Regions that an application edits, call by call, and their functions, which carry what is new when they are told."""

import random
from typing import Any

import pytest

from distributary.consumer.deadline import Deadline
from distributary.replicate import by_attribute, last_writer
from distributary.replicate.declarations import MultiActive, check
from distributary.replicate.factory import reconciler
from distributary.replicate.multi_active.conflicts import Conflicts
from distributary.replicate.multi_active.factory import between
from distributary.stream.change import REPLICA_VERSION
from distributary.stream.records import decode
from tests.fakes import dynamodb
from tests.fakes.s3 import S3
from tests.fakes.serial import Serial
from tests.simulation.regions import Regions, request

US, EU, AP = "us-east-1", "eu-west-1", "ap-south-1"
FOREVER = Deadline(float("inf"))
RULES = {
    "whole": last_writer("at", "seconds"),
    "by second": last_writer(),
    "merged": by_attribute("at", "seconds"),
    "merged by second": by_attribute(),
}
ALL = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


class World:
    """Regions with their tables; `carry` delivers what a region's stream holds that is new."""

    def __init__(self, rule, regions=(US, EU), deletes="lose", wrap=lambda client, service: client):
        self.declared = check(MultiActive(regions=regions, rule=rule, deletes=deletes))
        self.tables, self.s3 = Regions(regions, random.Random(0)), S3("parking")
        self.wrap, self.conflicts, self.carried = wrap, 0, dict.fromkeys(regions, 0)
        self.parallel: Any = Serial()
        self.pauses: list[float] = []

    def branch(self, region):
        """As app.py puts it together."""
        client = self.wrap(self.tables, dynamodb)
        regions = sorted(self.declared.regions, key=lambda name: name != region)
        conflicts = Conflicts(self.s3, "parking", "rule", self.count)
        tables = {each: (f"items@{each}", f"tombstones@{each}") for each in regions}
        clients = dict.fromkeys(regions, client)
        return between(
            self.declared,
            clients,
            tables,
            7,
            REPLICA_VERSION,
            conflicts,
            self.parallel,
            lambda: 0.0,
            self.pauses.append,
        )

    def count(self):
        self.conflicts += 1

    def put(self, region, at, value, name="x", **more):
        """An item put whole."""
        item = {"id": {"S": name}, "at": {"N": str(at)}, "value": {"S": value}, **more}
        self.edit(region, "put_item", Item=item)

    def update(self, region, at, name="x", **more):
        """An item written as it stands but for some attributes; None takes one away."""
        stood = self.tables.state[f"items@{region}"].get((name,), {})
        item = {"id": {"S": name}, **stood, "at": {"N": str(at)}, **more}
        self.edit(region, "put_item", Item={name: typed for name, typed in item.items() if typed is not None})

    def delete(self, region, name="x"):
        """An item deleted."""
        self.edit(region, "delete_item", Key={"id": {"S": name}})

    def edit(self, region, call, **arguments):
        """The application's call."""
        self.tables.application = True
        getattr(self.tables, call)(TableName=f"items@{region}", **arguments)
        self.tables.application = False

    def carry(self, region, since=None):
        """What became of each."""
        records = self.tables.records_of(region)[self.carried[region] if since is None else since :]
        self.carried[region] = len(self.tables.records_of(region))
        return [end.status for end in self.branch(region).apply(decode({"Records": records}, 0), FOREVER)]

    def deliver(self, region, *places):
        """These records again, as they are."""
        records = [self.tables.records_of(region)[at] for at in places]
        return [end.status for end in self.branch(region).apply(decode({"Records": records}, 0), FOREVER)]

    def reconcile(self, region, *requests):
        """The region's function, asked by a command."""
        return reconciler(self.branch(region), None, None, 0)(requests, FOREVER)

    def redrive(self, region, *places):
        """What became of these records, the newest if none is given, which were given up."""
        records = self.tables.records_of(region)
        self.carried[region] = len(records)
        return self.reconcile(region, *(request(records[at]) for at in places or (-1,)))

    def settle(self):
        """Until nothing is new anywhere."""
        while any(self.carried[r] < len(self.tables.records_of(r)) for r in self.declared.regions):
            for region in self.declared.regions:
                self.carry(region)

    def items(self):
        """What the item x is in each region, without key."""
        found = [self.tables.items(region).get("x") for region in self.declared.regions]
        return [item and {name: typed for name, typed in item.items() if name != "id"} for item in found]

    def values(self):
        """Each region's items, by their values."""
        return [{n: i["value"]["S"] for n, i in self.tables.items(r).items()} for r in self.declared.regions]

    def spent(self):
        """The calls since this was last asked."""
        calls = dict(self.tables.calls)
        self.tables.calls.clear()
        return calls
