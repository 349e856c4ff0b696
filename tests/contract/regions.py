"""The contract's replicate branch where two regions are written, by each kind of rule: home's table and the other's."""

from collections.abc import Iterable
from typing import Any, ClassVar

from distributary.consumer.consume import Branch
from distributary.replicate.declarations import MultiActive, check, last_writer
from distributary.replicate.multi_active.conditional_rows import Rows
from distributary.replicate.multi_active.conflicts import Conflicts
from distributary.replicate.multi_active.edits import Edits
from distributary.replicate.multi_active.last_writer import MultiActiveBranch
from distributary.replicate.multi_active.merge_rules import by_attribute
from distributary.replicate.multi_active.merge_table import MergeStateTable
from distributary.replicate.multi_active.merged import MergingBranch
from distributary.replicate.multi_active.replica_table import Reading, RegionTable
from distributary.stream.change import REPLICA_VERSION
from distributary.stream.codec import decode_item
from distributary.stream.keys import identity
from tests.contract.harness import Wrap, plain
from tests.contract.source import Source
from tests.contract.world import World
from tests.fakes import dynamodb, s3
from tests.fakes.faults import Faults, throttled

REGIONS = HOME, AWAY = ("eu-west-1", "us-east-1")
TABLES = {HOME: "home", AWAY: "replica"}


class MultiActiveHarness:
    """See `Harness`. The stream is home's; its table is told by the records alone, so it is filled like the other."""

    name: ClassVar[str] = "multi-active"
    rejected: ClassVar[dict[str, Any]] = {"name": {"S": "sentinel" * 60_000}}
    sends: ClassVar[bool] = False
    agrees: ClassVar[bool] = True
    begins_with: ClassVar[float] = 0.0

    def prepare(self, world: World, generation: int) -> None:
        """See `Harness`."""

    def branch(self, world: World, wrap: Wrap, generation: int) -> Branch:
        """See `Harness`."""
        declared = MultiActive(regions=REGIONS, rule=last_writer())
        check(declared)
        client, reading = wrap(world.dynamodb, dynamodb), Reading(last_writer(), REGIONS, REPLICA_VERSION)
        home, away = (
            RegionTable(
                client, region, world.name(table), world.name(f"{table}-kept"), reading, 7, world.now, lambda _: None
            )
            for region, table in TABLES.items()
        )
        return MultiActiveBranch(declared, home, (away,), _conflicts(world, wrap), world.parallel)

    def check(self, world: World, source: Source, excused: Iterable[int] = (), generation: int = 0) -> None:
        """See `Harness`."""
        spared = {identity(source.table.key(user)) for user in excused}
        right = {identity(source.table.key(user)): decode_item(item) for user, item in source.items.items()}
        for table in TABLES.values():
            standing = _standing(world, source, table)
            assert {k: v for k, v in standing.items() if k not in spared} == {
                k: v for k, v in right.items() if k not in spared
            }

    def held(self, world: World, source: Source, user: int) -> Any:
        """See `Harness`."""
        return _standing(world, source, TABLES[AWAY]).get(identity(source.table.key(user)))

    def inject_faults(self, world: World, faults: Faults, source: Source, user: int) -> None:
        """See `Harness`."""
        name, schema = identity(source.table.key(user)), source.table.schema

        def is_of(key: Any) -> bool:
            return key.get("id", {}).get("S", "").endswith(name) or (
                set(schema) <= set(key) and identity({each: key[each] for each in schema}) == name
            )

        def concerns(operation: str, arguments: dict[str, Any]) -> bool:
            wanted = [key for request in arguments.get("RequestItems", {}).values() for key in request["Keys"]]
            key = arguments.get("Item") or arguments.get("Key")
            return any(is_of(each) for each in [*wanted, *([key] if isinstance(key, dict) else [])])

        faults.when(concerns, throttled)

    def clear_faults(self, world: World, faults: Faults) -> None:
        """See `Harness`."""
        faults.cease()


class MergedHarness(MultiActiveHarness):
    """See `Harness`."""

    name: ClassVar[str] = "merged"

    def branch(self, world: World, wrap: Wrap, generation: int) -> Branch:
        """See `Harness`."""
        check(MultiActive(regions=REGIONS, rule=by_attribute()))
        client, edits = wrap(world.dynamodb, dynamodb), Edits.of(by_attribute(), REGIONS, HOME, REPLICA_VERSION)
        home, away = (
            MergeStateTable(
                Rows(client, region, world.name(table), REPLICA_VERSION),
                world.name(f"{table}-kept"),
                edits.lattice,
                7,
                world.now,
            )
            for region, table in TABLES.items()
        )
        return MergingBranch(home, (away,), edits, _conflicts(world, wrap), world.parallel)


def _conflicts(world: World, wrap: Wrap) -> Conflicts:
    return Conflicts(wrap(world.s3, s3), world.name("parking"), "rule", lambda: None)


def _standing(world: World, source: Source, table: str) -> dict[str, Any]:
    return {identity({k: row[k] for k in source.table.schema}): plain(row) for row in world.rows(table)}
