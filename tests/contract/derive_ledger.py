"""The contract's derive branch with views on the ledger: rows that move, multiply and add up."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, ClassVar

from distributary.derive import Aggregate, Entity, Latest, Projection, check
from distributary.derive.branch import DeriveBranch
from distributary.derive.declarations import Declaration
from distributary.derive.format import STATE
from distributary.derive.groups import REVISION
from distributary.derive.reader import ViewReader
from distributary.stream.change import Image
from distributary.stream.codec import decode_item
from distributary.stream.keys import Template, identity
from tests.contract.derive import assembled
from tests.contract.harness import Wrap, key_template, plain
from tests.contract.source import Source
from tests.contract.world import World
from tests.fakes.faults import Faults, throttled

Rows = dict[tuple[str, str], dict[str, Any]]
VIEWS = ("STATUS", "TAG", "TOTALS", "ALL", "KEENEST")
"""What the keys of each view's rows begin with."""
SHARDS = 3


def parity(item: Image) -> str:
    """Of an item's visits; of what is no number by declaration none."""
    return "odd" if int(item.get("visits", 0)) % 2 else "even"  # type: ignore[call-overload]


def views(schema: dict[str, str]) -> list[Declaration]:
    """Every kind that stands on the ledger; each of them rejects visits that are no number."""
    person = Entity(
        name="person",
        keys=tuple(schema),
        attributes=("email", "name", "balance", "avatar", "tags", "nested", "visits", "status"),
        where=lambda item: item.get("kind") != "robot",
    )
    key = key_template(schema)
    figures: Any = {"count": "people", "sum": {"visits": "visits"}, "min": {"least": "visits"}}
    declared: list[Declaration] = [
        Projection(
            name="by-status",
            of=person,
            pk="STATUS#{status}",
            sk=key,
            keep=("name", "avatar", "tags", "nested", "balance"),
            rename={"email": "contact"},
            compute={"parity": parity},
        ),
        Projection(name="by-tag", of=person, pk="TAG#{each}", sk=key, each="tags", compute={"parity": parity}),
        Aggregate(
            name="totals",
            of=person,
            pk="TOTALS",
            sk="{status}",
            **figures,
            max={"richest": "balance"},
            distinct={"names": "name", "visited": "visits"},
        ),
        Aggregate(name="spread", of=person, pk="ALL", sk="ALL", **figures, max={"most": "visits"}, shards=SHARDS),
        Latest(
            name="keenest", of=person, pk="KEENEST", sk="{status}", by="visits", keep=("name",), compute={"p": parity}
        ),
    ]
    return declared


class LedgerHarness:
    """See `Harness`."""

    name: ClassVar[str] = "derive-ledger"
    rejected: ClassVar[dict[str, Any]] = {"visits": {"S": "sentinel, and no number"}}
    sends: ClassVar[bool] = False
    agrees: ClassVar[bool] = False
    begins_with: ClassVar[float] = 0.0

    def prepare(self, world: World, generation: int) -> None:
        """See `Harness`."""

    def branch(self, world: World, wrap: Wrap, generation: int) -> DeriveBranch:
        """See `Harness`."""
        return assembled(world, wrap, views(world.schema))

    def check(self, world: World, source: Source, excused: Iterable[int] = (), generation: int = 0) -> None:
        """See `Harness`. Views count all of the excused or none, each as it could take them."""
        standing, right = _standing(world), recomputed(_persons(source, excused))
        if excused:
            everybody = recomputed(_persons(source, ()))
            right = {
                view: everybody[view] if standing[view] == everybody[view] else rows for view, rows in right.items()
            }
        assert standing == right

    def held(self, world: World, source: Source, user: int) -> Any:
        """See `Harness`: all rows, since a group's are nobody's own."""
        return _standing(world)

    def inject_faults(self, world: World, faults: Faults, source: Source, user: int) -> None:
        """See `Harness`."""
        key = identity(source.table.key(user))
        faults.when(
            lambda operation, arguments: operation == "transact_write_items" and key in _ids(arguments), throttled
        )

    def clear_faults(self, world: World, faults: Faults) -> None:
        """See `Harness`."""
        faults.cease()


def _persons(source: Source, excused: Iterable[int]) -> dict[str, dict[str, Any]]:
    items = {user: decode_item(item) for user, item in source.items.items() if user not in set(excused)}
    return {_key(source, user): item for user, item in items.items() if item["kind"] != "robot"}


def recomputed(persons: dict[str, dict[str, Any]]) -> dict[str, Rows]:
    """What each view must hold, of persons by the text of their keys; nobody counts who has visits but no number."""
    return _by_view(_rows({key: item for key, item in persons.items() if not isinstance(item.get("visits"), str)}))


def _by_view(rows: Rows) -> dict[str, Rows]:
    views: dict[str, Rows] = {view: {} for view in VIEWS}
    for key, row in rows.items():
        views.setdefault(key[0].split("#")[0], {})[key] = row
    return views


def _rows(persons: dict[str, dict[str, Any]]) -> Rows:
    rows: Rows = {}
    groups: dict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    for key, item in persons.items():
        groups[item["status"]].append((key, item))
        kept = {n: item[n] for n in ("name", "avatar", "tags", "nested", "balance") if n in item}
        own = {"parity": parity(item)}
        rows["STATUS#" + item["status"], key] = {**kept, **own, "contact": item["email"]}
        rows |= {(f"TAG#{tag}", key): own for tag in item.get("tags", ())}
    for status, members in groups.items():
        rows["TOTALS", status] = _totals([item for _, item in members])
        if visitors := [(item["visits"], key) for key, item in members if "visits" in item]:
            first = persons[max(visitors)[1]]
            rows["KEENEST", status] = {"p": parity(first)} | ({"name": first["name"]} if "name" in first else {})
    if persons:
        rows["ALL", "ALL"] = _figures(list(persons.values()), "most", "visits")
    return rows


def _totals(items: list[dict[str, Any]]) -> dict[str, Any]:
    different = {name: len({item[of] for item in items if of in item}) for name, of in _DISTINCT.items()}
    return {**_figures(items, "richest", "balance"), **different}


_DISTINCT = {"names": "name", "visited": "visits"}


def _figures(items: list[dict[str, Any]], most: str, of: str) -> dict[str, Any]:
    visits = [item["visits"] for item in items if "visits" in item]
    greatest = [item[of] for item in items if of in item]
    edges = ({"least": min(visits)} if visits else {}) | ({most: max(greatest)} if greatest else {})
    return {"people": len(items), "visits": sum(visits), **edges}


def _standing(world: World) -> dict[str, Rows]:
    rows: Rows = {}
    for row in world.rows("derived"):
        pk, sk = row["pk"]["S"], row["sk"]["S"]
        if not pk.startswith("%") and "%s" not in pk:
            rows[pk, sk] = {n: v for n, v in plain(row).items() if n not in ("pk", "sk", STATE, REVISION)}
    spread = next(view for view in check(views(world.schema)) if view.name == "spread")
    total = ViewReader(world.dynamodb, world.name("derived"), spread).get()
    return _by_view(rows | ({("ALL", "ALL"): total} if total else {}))


def _ids(arguments: dict[str, Any]) -> str:
    """The ids of the ledger rows in a transaction."""
    puts = [action["Put"]["Item"] for action in arguments["TransactItems"] if "Put" in action]
    return "\n".join(item["id"]["S"] for item in puts if "id" in item)


def _key(source: Source, user: int) -> str:
    return Template.parse(key_template(source.table.schema)).render(decode_item(source.table.key(user)), 1024)
