"""The contract's replicate branch: the whole table, as it is."""

from collections.abc import Iterable
from typing import Any, ClassVar

from distributary.replicate.mirror import MirrorBranch
from distributary.stream.codec import decode_item
from distributary.stream.keys import identity
from tests.contract.harness import Wrap, plain
from tests.contract.source import Source
from tests.contract.world import World
from tests.fakes import dynamodb
from tests.fakes.built import mirror
from tests.fakes.faults import Faults, throttled


class ReplicateHarness:
    """See `Harness`."""

    name: ClassVar[str] = "replicate"
    rejected: ClassVar[dict[str, Any]] = {"name": {"S": "sentinel" * 60_000}}
    sends: ClassVar[bool] = False
    agrees: ClassVar[bool] = False
    begins_with: ClassVar[float] = 0.0

    def prepare(self, world: World, generation: int) -> None:
        """See `Harness`."""

    def branch(self, world: World, wrap: Wrap, generation: int) -> MirrorBranch:
        """See `Harness`."""
        client = wrap(world.dynamodb, dynamodb)
        return mirror(client, name=world.name, parallel=world.parallel, now=world.now)

    def check(self, world: World, source: Source, excused: Iterable[int] = (), generation: int = 0) -> None:
        """See `Harness`."""
        spared = {identity(source.table.key(user)) for user in excused}
        right = {identity(source.table.key(user)): decode_item(item) for user, item in source.items.items()}
        standing = self._standing(world, source)
        assert {k: v for k, v in standing.items() if k not in spared} == {
            k: v for k, v in right.items() if k not in spared
        }

    def held(self, world: World, source: Source, user: int) -> Any:
        """See `Harness`."""
        return self._standing(world, source).get(identity(source.table.key(user)))

    def inject_faults(self, world: World, faults: Faults, source: Source, user: int) -> None:
        """See `Harness`."""
        name, table = identity(source.table.key(user)), source.table.schema

        def concerns(operation: str, arguments: dict[str, Any]) -> bool:
            row = arguments.get("Item") or arguments.get("Key")
            if not isinstance(row, dict):
                return False
            return row.get("id", {}).get("S", "").endswith(name) or (
                set(table) <= set(row) and identity({key: row[key] for key in table}) == name
            )

        faults.when(concerns, throttled)

    def clear_faults(self, world: World, faults: Faults) -> None:
        """See `Harness`."""
        faults.cease()

    def _standing(self, world: World, source: Source) -> dict[str, Any]:
        return {identity({k: row[k] for k in source.table.schema}): plain(row) for row in world.rows("replica")}
