"""The contract's derive branch: two views of any source table."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from distributary.derive import Entity, Projection
from distributary.derive.branch import DeriveBranch
from distributary.derive.declarations import Declaration
from distributary.stream.change import Image
from distributary.stream.codec import decode_item
from distributary.stream.keys import Template
from tests.contract.harness import Wrap, key_template, plain
from tests.contract.source import Source
from tests.contract.world import World
from tests.fakes import dynamodb
from tests.fakes.built import derive
from tests.fakes.faults import Faults, throttled


def domain(user: Image) -> str:
    """The part of the address behind the `@`; an address without one is rejected by declaration."""
    address = user["email"]
    if not isinstance(address, str) or "@" not in address:
        raise ValueError(f"no address: {address!r}")
    return address.rpartition("@")[2]


def views(schema: dict[str, str]) -> list[Projection]:
    """A profile for every person, and a list of those who are active."""
    person = Entity(
        name="person",
        keys=tuple(schema),
        attributes=("email", "name", "balance", "avatar", "tags", "nested", "visits"),
        where=lambda item: item.get("kind") != "robot",
    )
    key = key_template(schema)
    return [
        Projection(
            name="profile",
            of=person,
            pk=f"USER#{key}",
            sk="PROFILE",
            keep=("name", "avatar", "tags", "nested", "visits", "balance"),
            rename={"email": "contact"},
            compute={"domain": domain},
        ),
        Projection(
            name="active", of=person, pk="ACTIVE", sk=f"USER#{key}", where=lambda item: item.get("status") == "active"
        ),
    ]


def assembled(world: World, wrap: Wrap, views: Sequence[Declaration]) -> DeriveBranch:
    """As `app.py` does it, without a pause between two attempts."""
    return derive(views, wrap(world.dynamodb, dynamodb), world.name, world.parallel, world.now)


class DeriveHarness:
    """See `Harness`."""

    name: ClassVar[str] = "derive"
    rejected: ClassVar[dict[str, Any]] = {"email": {"S": "sentinel, and no address"}}
    sends: ClassVar[bool] = False
    agrees: ClassVar[bool] = False
    begins_with: ClassVar[float] = 0.0

    def prepare(self, world: World, generation: int) -> None:
        """See `Harness`."""

    def branch(self, world: World, wrap: Wrap, generation: int) -> DeriveBranch:
        """See `Harness`."""
        return assembled(world, wrap, views(world.schema))

    def check(self, world: World, source: Source, excused: Iterable[int] = (), generation: int = 0) -> None:
        """See `Harness`."""
        spared = {name for user in excused for name in self._names(source, user)}
        right = {name: row for user in source.items for name, row in self._right(source, user).items()}
        standing = {(row["pk"]["S"], row["sk"]["S"]): plain(row) for row in world.rows("derived")}
        assert {k: v for k, v in standing.items() if k not in spared} == {
            k: v for k, v in right.items() if k not in spared
        }

    def held(self, world: World, source: Source, user: int) -> Any:
        """See `Harness`."""
        rows = {(row["pk"]["S"], row["sk"]["S"]): plain(row) for row in world.rows("derived")}
        return [rows.get(name) for name in self._names(source, user)]

    def inject_faults(self, world: World, faults: Faults, source: Source, user: int) -> None:
        """See `Harness`."""
        key = _key(source, user)
        faults.when(lambda operation, arguments: operation != "batch_get_item" and key in repr(arguments), throttled)

    def clear_faults(self, world: World, faults: Faults) -> None:
        """See `Harness`."""
        faults.cease()

    def _names(self, source: Source, user: int) -> tuple[tuple[str, str], tuple[str, str]]:
        key = _key(source, user)
        return (f"USER#{key}", "PROFILE"), ("ACTIVE", f"USER#{key}")

    def _right(self, source: Source, user: int) -> dict[tuple[str, str], Any]:
        item = decode_item(source.items[user])
        if item["kind"] == "robot":
            return {}
        (profile, active), rows = self._names(source, user), {}
        kept = {n: item[n] for n in ("name", "avatar", "tags", "nested", "visits", "balance") if n in item}
        rows[profile] = {**kept, "contact": item["email"], "domain": "example.com"}
        if item["status"] == "active":
            rows[active] = {}
        return {(pk, sk): {"pk": pk, "sk": sk, **row} for (pk, sk), row in rows.items()}


def _key(source: Source, user: int) -> str:
    return Template.parse(key_template(source.table.schema)).render(decode_item(source.table.key(user)), 2048)
