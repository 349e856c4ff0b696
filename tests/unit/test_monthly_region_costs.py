"""`distributary costs` of tables of several regions against the exact counts of replicate on the fake tables."""

import pytest

from cli.costs import Cost, Size
from cli.monthly.regions import of_batch
from cli.monthly.traffic import Traffic
from distributary.stream.records import decode
from tests.fakes.items import item_bytes
from tests.unit.edited_regions import AP, EU, FOREVER, RULES, US, World

MANY = 20


def exact(world, edit):
    """Of so many edits of the first region, and the largest item."""
    for at in range(MANY):
        edit(f"x{at}")
    records = world.tables.records_of(US)[world.carried[US] :]
    world.carried[US] = len(world.tables.records_of(US))
    world.tables.write_units = world.tables.read_units = 0
    world.tables.calls.clear()
    world.branch(US).apply(decode({"Records": records}, 0), FOREVER)
    world.carried[US] = len(world.tables.records_of(US))
    world.tables.clock += 1
    return Cost(world.tables.read_units, world.tables.write_units, sum(world.tables.calls.values()))


@pytest.mark.parametrize("regions", [(US, EU), (US, EU, AP)], ids=len)
@pytest.mark.parametrize(
    ("rule", "long"),
    [(rule, long) for name, rule in RULES.items() for long in ((0,) if "merged" in name else (0, 1500))],
)
def test_inserts_edits_and_deletes_are_as_counted(rule, regions, long):
    world = World(rule, regions)
    steps = [
        ((1.0, 0.0, 0.0), lambda name: world.put(US, 1, "a" * (1 + long), name=name)),
        ((0.0, 1.0, 0.0), lambda name: world.put(US, 2, "b" * (1 + long), name=name)),
        ((0.0, 0.0, 1.0), lambda name: world.delete(US, name=name)),
    ]
    size = Size(MANY, item_bytes({"id": {"S": "x10"}, "at": {"N": "1"}, "value": {"S": "a" * (1 + long)}}))
    for shares, edit in steps:
        cost = of_batch(world.declared, Traffic(100.0, *shares, size, float(MANY), float(MANY)))
        found = exact(world, edit)
        assert (cost.writes, cost.requests, cost.reads) == (found.writes, found.requests, found.reads), shares
