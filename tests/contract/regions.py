"""The contract's replicate branch where two regions are written, by each kind of rule: home's table and the other's."""

from collections.abc import Iterable
from typing import Any, ClassVar

from distributary.consumer.consume import Branch
from distributary.replicate.declarations import MultiActive, Rule, check, last_writer
from distributary.replicate.multi_active.conflicts import Conflicts
from distributary.replicate.multi_active.factory import between
from distributary.replicate.multi_active.merge_rules import Merge, by_attribute
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
    rule: ClassVar[Rule | Merge] = last_writer()
    rejected: ClassVar[dict[str, Any]] = {"name": {"S": "sentinel" * 60_000}}
    sends: ClassVar[bool] = False
    agrees: ClassVar[bool] = True
    begins_with: ClassVar[float] = 0.0

    def prepare(self, world: World, generation: int) -> None:
        """See `Harness`."""

    def branch(self, world: World, wrap: Wrap, generation: int) -> Branch:
        """See `Harness`."""
        declared = MultiActive(regions=REGIONS, rule=self.rule)
        check(declared)
        tables = {region: (world.name(table), world.name(f"{table}-kept")) for region, table in TABLES.items()}
        return between(
            declared,
            dict.fromkeys(REGIONS, wrap(world.dynamodb, dynamodb)),
            tables,
            7,
            REPLICA_VERSION,
            Conflicts(wrap(world.s3, s3), world.name("parking"), "rule", lambda: None),
            world.parallel,
            world.now,
            lambda _: None,
        )

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
    rule: ClassVar[Rule | Merge] = by_attribute()


def _standing(world: World, source: Source, table: str) -> dict[str, Any]:
    return {identity({k: row[k] for k in source.table.schema}): plain(row) for row in world.rows(table)}
