"""Verification finds what is wrong and nothing else, and a repair never wins over what is newer."""

from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import FOREVER
from distributary.consumer.outcome import APPLIED, SUPERSEDED
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.derive import Aggregate, Entity, Latest, Projection, Top, check
from distributary.derive.ledger_tables import LedgerTables
from distributary.derive.verify import verifier
from distributary.derive.verify.command import lines
from distributary.derive.verify.expected_rows import Problem
from distributary.derive.verify.group_diff import GroupFinding, Sums
from distributary.derive.verify.item_verifier import Comparator, Subject
from distributary.derive.verify.repair import Repair
from distributary.derive.verify.scan import Scan, look_at_groups
from distributary.derive.verify.verifier import Verify
from distributary.dynamodb.tombstones import Tombstones
from distributary.dynamodb.versioned_table import Register
from distributary.errors import ConfigError, DistributaryError, Rejected, Unavailable
from distributary.readers import full_export
from distributary.verify.parked import ParkedItems
from distributary.verify.recheck import LOOKS
from tests.fakes.answers import refusal
from tests.fakes.built import DERIVED, derive
from tests.fakes.exports import exported
from tests.fakes.s3 import S3
from tests.fakes.scanned import Scanned
from tests.fakes.serial import Serial
from tests.replaced import replace
from tests.world import World as Followed

USER = Entity(name="user", keys=("user_id",), attributes=("status", "total", "tags", "name"))
DECLARED = [
    Projection(name="profile", of=USER, pk="USER#{user_id}", sk="PROFILE", keep=("name",)),
    Projection(name="by-tag", of=USER, pk="TAG#{each}", sk="{user_id}", each="tags", keep=("name",)),
    Projection(name="kept", of=USER, pk="KEPT", sk="{user_id}", on_expiry="keep"),
    Aggregate(
        name="sums",
        of=USER,
        pk="SUM",
        sk="{status}",
        count="users",
        sum={"total": "total"},
        min={"least": "total"},
        max={"most": "total"},
        distinct={"names": "name"},
    ),
    Aggregate(name="spread", of=USER, pk="ALL", sk="ALL", count="users", shards=3),
    Latest(name="newest", of=USER, pk="NEWEST", sk="{status}", by="total", keep=("name",)),
    Top(name="best", n=2, of=USER, pk="BEST", sk="{status}", by="total", keep=("name",)),
]
VIEWS = check(DECLARED)


class World(Followed):
    """A source and its derived tables."""

    serves, schemas = Scanned, DERIVED

    def __init__(self, declared: Any = DECLARED) -> None:
        super().__init__()
        self.branch = derive(declared, self.service)
        self.tables, self.register = self.branch.ledger.tables, self.branch.register
        self.pauses: list[Any] = []

    def verify(self, repair: bool = False, meanwhile: Any = None, export: Any = None, **more: Any) -> Any:
        def pause(seconds: float) -> None:
            self.pauses.append(seconds)
            if meanwhile:
                meanwhile()

        comparator = Comparator("users", self.branch.views, self.tables, 0, 5.0, pause)
        mending = Repair(self.tables, self.register) if repair else None
        return Verify(comparator, Scan(self.tables, Serial(), 2), ("user_id",), repair=mending, **more).run(export)

    @property
    def derived(self) -> Any:
        return self.service.state["derived"]

    def items(self) -> Any:
        return list(self.service.state["users"].values())

    def figures(self) -> Any:
        return {key: row.get("users") for key, row in self.derived.items() if key[0] != "KEPT"}

    def mended(self) -> None:
        """One run repairs, the next finds nothing."""
        first = self.verify(repair=True)
        assert first["repaired"] == first["differences"] > 0
        assert self.verify().counts.get("differences", 0) == 0, self.verify().samples


def user(name: str, status: str = "a#b", total: str = "1", tags: tuple[str, ...] = ("x", "y")) -> dict[str, Any]:
    return {"name": {"S": name}, "status": {"S": status}, "total": {"N": total}, "tags": {"SS": list(tags)}}


@pytest.fixture
def world() -> World:
    world = World()
    for n in range(7):
        world.put(f"u-{n}", **user("ab"[n % 2], ("a#b", "c")[n % 2], str(n)))
    world.put("u-1", **user("z", "a#b", "2.50", ("y",)))
    world.delete("u-2")
    return world


def kinds(report: Any, view: str) -> set[str]:
    return {each["kind"] for each in report.samples.get("differences", []) if each["view"] == view}


def test_a_healthy_table_has_no_differences_and_costs_no_pause(world: World) -> None:
    report = world.verify()
    assert report.equal
    assert report.as_json() == {"equal": True, "counts": report.counts}
    assert (report["items"], world.pauses) == (6, [])


def test_progress_tells_what_the_report_counts(world: World) -> None:
    told: Counter[str] = Counter()
    report = world.verify(progress=lambda what, number: told.update({what: number}))
    assert {what: report[what] for what in told} == told
    assert set(told) == {"items", "rows", "ledger rows", "groups"}
    assert report["rows"] == len(world.derived)


def test_an_item_without_the_tables_key_is_another_tables(world: World) -> None:
    with pytest.raises(ConfigError, match="no user_id: the export is another table's"):
        world.verify(export=[[{"order_id": {"S": "o-1"}}]])


@pytest.mark.parametrize(
    ("key", "view"), [(("USER#u-3", "PROFILE"), "profile"), (("TAG#y", "u-1"), "by-tag"), (("KEPT", "u-0"), "kept")]
)
def test_a_missing_a_stale_and_a_dead_row_are_found_and_repaired(world: World, key: Any, view: str) -> None:
    row = world.derived.pop(key)
    assert kinds(world.verify(), view) == {"missing"}
    world.mended()
    world.derived[key] = {**row, "name": {"S": "other"}}
    assert kinds(world.verify(), view) == {"stale"}
    world.mended()
    dead = {"pk": row["pk"], "sk": row["sk"]}
    gone = tuple(part.replace("u-1", "u-9").replace("u-3", "u-9").replace("u-0", "u-9") for part in key)
    dead = {**row, "pk": {"S": gone[0]}, "sk": {"S": gone[1]}}
    world.derived[gone] = dead
    if view != "kept":
        assert kinds(world.verify(), view) == {"dead"}
        world.mended()
        assert gone not in world.derived


def test_an_items_entry_in_the_ledger_is_missing_stale_or_dead(world: World) -> None:
    ledger, items = world.service.state["ledger"], world.service.state["users"]
    id, other = (next(key for key in ledger if key[0].startswith("sums|") and key[0].endswith(each)) for each in "34")
    row = ledger.pop(id)

    def told() -> list[str]:
        found = world.verify().samples["differences"]
        return [each["kind"] for each in found if each["where"] == f"ledger {id[0]}"]

    assert told() == ["missing"]
    ledger[id] = {**ledger[other], "id": row["id"]}
    assert told() == ["stale"]
    ledger[id] = row
    del items["u-3",]
    assert told() == ["dead"]
    world.mended()


def test_an_entry_that_is_a_row_of_its_own_is_missed_and_comes_back() -> None:
    world = World([Top(name="ranked", n=2, of=USER, pk="R", sk="{status}", by="total", rows=True, keep=("name",))])
    for n in range(3):
        world.put(f"u-{n}", **user("a", "c", str(n)))

    def entries() -> dict[str, Any]:
        return {key[1]: (key, row["value"]) for key, row in world.derived.items() if key[0].startswith("%mranked|")}

    before = {place: value for place, (_, value) in entries().items()}
    assert len(before) == 3
    for place in before:
        del world.derived[entries()[place][0]]
        assert kinds(world.verify(), "ranked") == {"missing", "stale"}
        world.mended()
        assert {each: value for each, (_, value) in entries().items()} == before


def test_a_row_that_its_ttl_may_have_taken_is_not_missing() -> None:
    timed = Entity(name="user", keys=("user_id",), attributes=("when",))
    world = World([Projection(name="p", of=timed, pk="P", sk="{user_id}", expires_at="when")])
    for name, when in (("past", 1), ("coming", 4_000_000_000)):
        world.put(name, when={"N": str(when)})
        del world.derived["P", name]
    differences = world.verify().samples["differences"]
    assert [(each["kind"], each["where"]) for each in differences] == [("missing", "P | coming")]


@pytest.mark.parametrize("key", [("SUM", "a#b"), ("NEWEST", "c"), ("BEST", "c")])
def test_a_group_row_that_is_missing_or_wrong_is_found_and_repaired(world: World, key: Any) -> None:
    row = world.derived[key]
    shown = "users" if "users" in row else "name"
    world.derived[key] = {**row, shown: {"N": "77"}}
    assert len(world.verify().samples["differences"]) == 1
    world.mended()
    healthy = {name: typed for name, typed in row.items() if name != "_distributary_revision"}
    assert {name: typed for name, typed in world.derived[key].items() if name in healthy} == healthy
    world.derived.pop(key)
    assert [each["kind"] for each in world.verify().samples["differences"]] == ["missing"]
    world.mended()


def test_another_programs_row_under_a_groups_key_is_replaced_as_it_was_seen(world: World) -> None:
    """It has no revision. What came in its place meanwhile is the stream's."""
    ours, at = world.derived["SUM", "c"], ("SUM", "c")
    world.derived[at] = {"pk": {"S": "SUM"}, "sk": {"S": "c"}, "mine": {"S": "yes"}}
    sums = next(view for view in VIEWS if view.name == "sums")
    ((found,), _) = look_at_groups(Scan(world.tables, Serial(), 2), [(sums, at)])
    repair, seen = Repair(world.tables, world.register), world.derived[at]
    for meanwhile in (ours, None):
        world.derived.pop(at)
        world.derived.update({at: meanwhile} if meanwhile else {})
        assert not repair.group(found)
        assert world.derived.get(at) == meanwhile
    world.derived[at] = seen
    report = world.verify()
    assert (kinds(report, "sums"), report.samples.keys()) == ({"stale"}, {"differences"})
    assert repair.group(found)
    assert world.derived[at].keys() == ours.keys()


def test_another_programs_row_where_no_group_is_due_is_reported_and_stays(world: World) -> None:
    foreign = {"pk": {"S": "SUM"}, "sk": {"S": "q"}, "mine": {"S": "yes"}}
    world.derived["SUM", "q"] = foreign
    report = world.verify(repair=True)
    assert report.samples == {"unknown": [{"where": "SUM | q"}]}
    sums = next(view for view in VIEWS if view.name == "sums")
    went_meanwhile = GroupFinding(sums, ("SUM", "q"), foreign, Sums(), {}, (Problem("dead", "SUM | q"),))
    assert not Repair(world.tables, world.register).group(went_meanwhile)
    assert world.derived["SUM", "q"] == foreign


def test_a_wrong_shard_and_a_dead_group_are_found_and_repaired(world: World) -> None:
    shard = next(key for key in world.derived if key[0].startswith("ALL%s"))
    world.derived[shard] = {**world.derived[shard], "users": {"N": "9"}}
    row = world.derived["SUM", "c"]
    world.derived["SUM", "q"] = {**row, "sk": {"S": "q"}}
    report = world.verify()
    assert (kinds(report, "spread"), kinds(report, "sums")) == ({"stale"}, {"dead"})
    world.mended()
    assert ("SUM", "q") not in world.derived


def test_a_member_that_shows_its_item_wrongly_is_found_and_repaired(world: World) -> None:
    member = next(key for key, row in world.derived.items() if key[0].startswith("%mnewest") and "u-5" in str(row))
    healthy = world.derived[member]
    world.derived[member] = {**healthy, "value": {"M": {"name": {"S": "other"}}}}
    assert kinds(world.verify(), "newest") == {"stale"}
    world.mended()
    assert world.derived[member] == healthy


LONG_KEY = "u" * 1500
"""The id of its ledger rows is a digest."""


@pytest.fixture
def grouped() -> World:
    world = World(DECLARED[3:])
    for n in range(3):
        world.put(f"u-{n}", **user("a", "c", str(n)))
    world.put(LONG_KEY, **user("long", "c", "70"))
    return world


def test_an_item_with_a_long_key_is_verified_like_all_others(grouped: World) -> None:
    report = grouped.verify()
    assert (report.equal, report["unknown"]) == (True, 0), report.samples
    grouped.put(LONG_KEY, deliver=False, **user("long", "c", "80"))
    grouped.mended()
    assert grouped.derived["SUM", "c"]["most"] == {"N": "80"}
    grouped.delete(LONG_KEY, deliver=False)
    assert kinds(grouped.verify(), "sums") == {"dead"}
    grouped.mended()
    assert grouped.derived["SUM", "c"]["users"] == {"N": "3"}


def test_a_group_built_anew_counts_an_item_with_a_long_key(grouped: World) -> None:
    for key in [key for key in grouped.derived if key[0].startswith("%msums|") and "|SUM|c" in key[0]]:
        del grouped.derived[key]
    grouped.mended()
    assert grouped.derived["SUM", "c"]["most"] == {"N": "70"}


def test_an_item_that_the_ledger_counts_wrongly_is_found_and_repaired(world: World) -> None:
    lost = world.put("u-0", deliver=False, **user("lost", "c", "12"))
    deleted = world.delete("u-5", deliver=False)
    report = world.verify()
    assert kinds(report, "sums") == {"stale", "dead"}
    world.mended()
    assert world.derived["SUM", "c"]["most"] == {"N": "12"}
    before = world.figures()
    world.deliver(lost, deleted)
    assert world.figures() == before
    world.put("u-0", **user("after", "d"))
    assert world.verify().equal


def test_what_is_merely_late_is_no_difference(world: World) -> None:
    late = [world.put("u-0", deliver=False, **user("late")), world.put("u-8", deliver=False, **user("new"))]
    late.append(world.delete("u-3", deliver=False))
    report = world.verify(meanwhile=lambda: world.deliver(*late))
    assert report["differences"] == 0
    assert world.pauses


def test_an_item_that_never_stands_still_is_reported_as_moving(world: World) -> None:
    world.derived.pop(("USER#u-3", "PROFILE"))
    counter = iter(range(100))
    report = world.verify(meanwhile=lambda: world.put("u-3", deliver=False, **user(f"n{next(counter)}")))
    assert report["differences"] == 0
    assert ("profile", "user_id=S:u-3") in {(each["view"], each["item"]) for each in report.samples["moving"]}


def profiles(**more: Any) -> World:
    """Six items, in two pages."""
    world = World([Projection(name="profile", of=USER, pk="USER#{user_id}", sk="PROFILE", **more)])
    for n in range(6):
        world.put(f"u-{n}", **user("a", total=str(n)))
    return world


def held_at_most(monkeypatch: Any, many: int) -> None:
    monkeypatch.setattr(verifier, "SUSPECTS", many)


@pytest.mark.parametrize(("most", "pauses"), [(1000, 1), (7, 1), (6, 1), (3, 2)])
def test_differences_wait_for_one_second_look_together_as_far_as_they_are_held(
    monkeypatch: Any, most: int, pauses: int
) -> None:
    world = profiles()
    pages = [world.items()[:3], world.items()[3:]]
    world.derived.clear()
    held_at_most(monkeypatch, most)
    assert (world.verify(export=pages)["differences"], len(world.pauses)) == (6, pauses)


@pytest.mark.parametrize("most", [1000, 1])
def test_a_difference_that_two_scans_meet_counts_once(monkeypatch: Any, most: int) -> None:
    """The rows are there, and their items, which the view holds no more."""
    world, now = profiles(), profiles(where=many)
    world.branch = now.branch
    held_at_most(monkeypatch, most)
    report = world.verify()
    named = [each["item"] for each in report.samples["differences"]]
    assert sorted(named) == [f"user_id=S:u-{n}" for n in range(3)]
    assert report.left == 3
    world.mended()


@pytest.mark.parametrize("most", [1000, 1])
def test_a_parked_item_that_two_scans_meet_is_named_once(monkeypatch: Any, most: int) -> None:
    world, now = profiles(), profiles(where=many)
    world.branch = now.branch
    held_at_most(monkeypatch, most)
    parked = SimpleNamespace(find=lambda keys: SimpleNamespace(cause="refused", name="s3://parking/x"))
    report = world.verify(parked=parked)
    assert (report["parked"], report["differences"]) == (3, 0)


def test_what_one_scan_left_and_the_next_repairs_is_counted_and_repaired_once(monkeypatch: Any) -> None:
    world, now = profiles(), profiles(where=many)
    world.branch = now.branch
    held_at_most(monkeypatch, 1)
    repair, tried = Repair.item, Counter[str]()

    def late(self: Repair, finding: Any, *more: Any) -> Any:
        tried[finding.name] += 1
        return repair(self, finding, *more) if tried[finding.name] > 1 else SUPERSEDED

    monkeypatch.setattr(Repair, "item", late)
    report = world.verify(repair=True)
    assert (report["differences"], report["repaired"], report.equal) == (3, 3, True)
    assert world.verify().samples == {}


def test_a_difference_that_comes_back_after_its_repair_counts_again(monkeypatch: Any) -> None:
    world, now = profiles(), profiles(where=many)
    world.branch = now.branch
    held_at_most(monkeypatch, 1)
    key, row = ("USER#u-1", "PROFILE"), world.derived["USER#u-1", "PROFILE"]

    def damaged(what: str, number: int) -> None:
        if what == "groups":
            world.derived[key] = row

    report = world.verify(repair=True, progress=damaged)
    assert (report["differences"], report["repaired"], report.equal) == (4, 4, True)
    assert world.verify().samples == {}


def test_a_view_may_be_called_as_another_views_keys_begin() -> None:
    named = Projection(name="named", of=USER, pk="other", sk="{user_id}", keep=("name",))
    world = World([named, Projection(name="other", of=USER, pk="O#{user_id}", sk="O", keep=("name",))])
    world.put("u-0", **user("a"))
    world.derived["other", "u-9"] = {**world.derived["other", "u-0"], "sk": {"S": "u-9"}}
    views = world.branch.views
    world.branch = replace(world.branch, views=views[:1])
    assert kinds(world.verify(others=views[1:]), "named") == {"dead"}


def test_a_list_of_the_least_is_equal_and_repaired_in_its_order() -> None:
    world = World([Top(name="least", n=3, of=USER, pk="L", sk="{status}", by="total", least=True, keep=("name",))])
    for n in (3, 1, 4, 2):
        world.put(f"u-{n}", **user(f"n{n}", "c", str(n)))
    assert world.verify().equal
    row = world.derived.pop(("L", "c"))
    world.mended()
    assert world.derived["L", "c"]["top"] == row["top"]


@pytest.mark.parametrize("chosen", [view.name for view in DECLARED])
def test_a_verification_of_one_view_passes_over_all_others(world: World, chosen: str) -> None:
    world.put("u-0", deliver=False, **user("lost", "d", "50", ("q",)))
    world.delete("u-3", deliver=False)
    views = world.branch.views
    (one,) = (view for view in views if view.name == chosen)
    others = tuple(view for view in views if view is not one)
    world.branch = replace(world.branch, views=(one,))
    report = world.verify(others=others)
    assert report["unknown"] == 0
    assert {each["view"] for each in report.samples["differences"]} == {chosen}
    assert world.verify(others=others, repair=True).equal
    world.branch = replace(world.branch, views=views)
    assert {each["view"] for each in world.verify().samples["differences"]} == {each.name for each in others}


def test_ledger_rows_of_a_view_that_is_not_declared_are_reported_apart(world: World) -> None:
    """They count in no group; those that say nothing any more are no concern."""
    ledger = world.service.state["ledger"]
    (id,) = next(key for key in ledger if key[0].startswith("sums|") and "shares" in ledger[key])
    other = id.replace("sums|", "others|")
    ledger[other,] = {**ledger[id,], "id": {"S": other}}
    empty = {name: typed for name, typed in ledger[id,].items() if name != "shares"}
    ledger[f"{other}-gone",] = {**empty, "id": {"S": f"{other}-gone"}}
    before = dict(world.derived)
    report = world.verify(repair=True)
    assert (report.equal, report.samples) == (True, {"unknown": [{"where": f"ledger {other}"}]})
    assert world.derived == before


class Before:
    """A client that lets others come before the first read of a table by key."""

    def __init__(self, world: World, table: str, meanwhile: Any) -> None:
        self.world, self.table, self.meanwhile = world, table, meanwhile

    def __getattr__(self, operation: str) -> Any:
        return getattr(self.world.service, operation)

    def batch_get_item(self, *, RequestItems: Any, **more: Any) -> Any:
        if self.table in RequestItems:
            meanwhile, self.meanwhile = self.meanwhile, lambda: None
            meanwhile()
        return self.world.service.batch_get_item(RequestItems=RequestItems, **more)


def repaired_beside(world: World, meanwhile: Any) -> Any:
    """A repair in which others come after differences were confirmed, before it reads what they left."""
    client = Before(world, "tombstones", meanwhile)
    register = Register(client, "derived", Tombstones(client, "tombstones", 7), Serial())
    comparator = Comparator("users", world.branch.views, world.tables, 0, 5.0, lambda _: None)
    repair = Repair(world.tables, register)
    return Verify(comparator, Scan(world.tables, Serial(), 2), ("user_id",), repair=repair).run()


def test_an_item_that_goes_before_its_lost_row_is_put_again_stays_gone() -> None:
    world = profiles()
    world.derived.pop(("USER#u-3", "PROFILE"))
    report = repaired_beside(world, lambda: world.delete("u-3"))
    assert ("USER#u-3", "PROFILE") not in world.derived
    assert world.verify().samples == {}
    assert report.equal


def test_an_item_that_changes_before_its_lost_row_is_put_again_is_left() -> None:
    """What the repair would put is not what the item is any more."""
    world = profiles(keep=("name",))
    world.derived.pop(("USER#u-3", "PROFILE"))
    report = repaired_beside(world, lambda: world.put("u-3", deliver=False, **user("newer")))
    assert ("USER#u-3", "PROFILE") not in world.derived
    assert (report["differences"], report["repaired"]) == (1, 0)


def test_a_repair_that_the_service_fails_is_an_error_and_no_report() -> None:
    world = profiles()
    world.derived.clear()

    def failing(**arguments: Any) -> Any:
        raise refusal("PutItem", "ProvisionedThroughputExceededException", "no")

    world.service.put_item = failing  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match="PutItem"):
        world.verify(repair=True)


class Busy:
    """A client whose stream goes on whenever the ledger is scanned."""

    def __init__(self, world: World) -> None:
        self.world = world

    def __getattr__(self, operation: str) -> Any:
        return getattr(self.world.service, operation)

    def scan(self, **arguments: Any) -> Any:
        if arguments["TableName"] == "ledger" and "ExclusiveStartKey" not in arguments:
            self.world.put(f"busy-{self.world.written}", **user("busy", "c", str(self.world.written)))
        return self.world.service.scan(**arguments)


def test_a_group_that_changes_at_each_look_is_no_difference_and_not_repaired(world: World) -> None:
    tables = LedgerTables(Busy(world), "ledger", "derived", 7, lambda: 1000.0, lambda _: None)
    pauses: list[float] = []
    comparator = Comparator("users", VIEWS, tables, 0, 5.0, pauses.append)
    repair = Repair(world.tables, world.register)
    report = Verify(comparator, Scan(tables, Serial(), 2), ("user_id",), repair=repair).run()
    assert pauses == [0, *[5.0] * (LOOKS - 1)], "it waits before each look but the first"
    assert report["differences"] == 0, report.samples
    assert {"view": "sums", "item": "SUM | c"} in report.samples["moving"]
    assert world.verify().equal


def test_an_item_that_a_view_rejects_is_parked_and_no_difference(world: World) -> None:
    world.put("u-4", **{**user("b"), "total": {"S": "much"}})
    report = world.verify()
    assert (report.equal, report["differences"]) == (False, 0)
    (found,) = report.samples["parked"]
    assert (found["view"], found["item"], found["object"]) == ("sums", "user_id=S:u-4", None)


def many(user: Any) -> bool:
    return bool(user["total"] > 2)


def test_an_item_on_which_a_predicate_fails_is_parked_and_others_are_compared() -> None:
    world = World([Projection(name="rich", of=USER, pk="RICH#{user_id}", sk="RICH", where=many)])
    world.put("u-1", deliver=False, **{**user("a"), "total": {"S": "much"}})
    world.put("u-2", deliver=False, **user("b", total="3"))
    report = world.verify()
    assert [(each["view"], each["item"]) for each in report.samples["parked"]] == [("rich", "user_id=S:u-1")]
    assert [each["item"] for each in report.samples["differences"]] == ["user_id=S:u-2"]


def test_an_item_that_no_view_is_about_is_never_parked_for_its_key() -> None:
    """Its key is as long as a source table takes it, and too long behind the view's own text."""
    world, long = World([Projection(name="rich", of=USER, pk="RICH#{user_id}", sk="RICH", where=many)]), "u" * 2048
    world.put(long, deliver=False, **user("a", total="1"))
    assert world.verify().equal
    world.put(long, deliver=False, **user("a", total="3"))
    assert [each["view"] for each in world.verify().samples["parked"]] == ["rich"]


def test_an_item_with_a_parked_change_is_parked_neither_missing_nor_equal(world: World) -> None:
    """DynamoDB refused its rows, which the declaration alone cannot know."""
    s3, lost = S3("parking"), world.put("u-4", deliver=False, **user("b"))
    end = outcomes.parked(Rejected("derived PutItem: ValidationException"))
    Parking(s3, "parking", "derive", Parallel(1)).park([(lost, end)], FOREVER)
    parked = ParkedItems.of(s3, "parking", "derive", "arn:aws:dynamodb:eu-west-1:123456789012:table/users")
    report = world.verify(parked=parked)
    assert (report["differences"], report.equal) == (0, False)
    named = {(each["view"], each["item"], each["cause"]) for each in report.samples["parked"]}
    assert ("profile", "user_id=S:u-4", "derived PutItem: ValidationException") in named
    assert all(each["object"].startswith("s3://parking/parked/derive/") for each in report.samples["parked"])
    assert any("s3://parking/parked/derive/" in line for line in lines(report))
    assert {each["item"] for each in world.verify().samples["differences"]} == {"user_id=S:u-4"}
    assert world.verify(repair=True, parked=parked).equal
    assert world.verify(parked=parked).equal


@pytest.mark.parametrize("table", ["users", "derived", "ledger"])
def test_a_table_that_cannot_be_scanned_is_an_error_and_no_report(world: World, table: str) -> None:
    scan = world.service.scan

    def refusing(*, TableName: str, **more: Any) -> Any:
        if TableName == table:
            raise refusal("Scan", "AccessDeniedException", "no")
        return scan(TableName=TableName, **more)

    world.service.scan = refusing  # type: ignore[method-assign]
    with pytest.raises((ClientError, DistributaryError), match=r"AccessDenied|no"):
        world.verify()


def test_a_row_of_no_view_is_reported_apart(world: World) -> None:
    world.derived["MINE", "1"] = {"pk": {"S": "MINE"}, "sk": {"S": "1"}}
    report = world.verify(repair=True)
    assert (report.equal, report.samples["unknown"]) == (True, [{"where": "MINE | 1"}])
    assert ("MINE", "1") in world.derived


def test_members_of_a_view_that_is_not_declared_are_reported_apart(world: World) -> None:
    (member, *_) = [key for key in world.derived if key[0].startswith("%msums|")]
    other = member[0].replace("%msums|", "%mothers|"), member[1]
    world.derived[other] = {**world.derived[member], "pk": {"S": other[0]}}
    report = world.verify(repair=True)
    assert report.samples == {"unknown": [{"where": other[0]}]}
    assert other in world.derived


class Interrupting:
    """A client that lets the stream in before its first write."""

    def __init__(self, world: World, meanwhile: Any) -> None:
        self.world, self.meanwhile = world, meanwhile

    def __getattr__(self, operation: str) -> Any:
        if operation in ("put_item", "delete_item", "transact_write_items"):
            meanwhile, self.meanwhile = self.meanwhile, lambda: None
            meanwhile()
        return getattr(self.world.service, operation)


@pytest.mark.parametrize("damage", ["missing", "stale", "lost", "dead"])
def test_a_repair_never_overwrites_what_the_stream_writes_meanwhile(world: World, damage: str) -> None:
    register = ("USER#u-3", "PROFILE")
    if damage == "missing":
        world.derived.pop(register)
    elif damage == "stale":
        world.derived[register] = {**world.derived[register], "name": {"S": "other"}}
        world.derived["TAG#x", "u-3"] = {**world.derived["TAG#x", "u-3"], "name": {"S": "other"}}
    elif damage == "lost":
        world.put("u-3", deliver=False, **user("lost", "c", "50"))
    else:
        world.delete("u-3", deliver=False)
    client = Interrupting(world, lambda: world.put("u-3", **user("newest", "d", "99", ("w",))))
    tables = LedgerTables(client, "ledger", "derived", 7, lambda: 1000.0, lambda _: None)
    repair = Repair(tables, Register(client, "derived", Tombstones(client, "tombstones", 7), Serial()))
    comparator = Comparator("users", VIEWS, world.tables, 0, 5.0, lambda _: None)
    Verify(comparator, Scan(world.tables, Serial(), 2), ("user_id",), repair=repair).run()
    assert world.derived[register]["name"] == {"S": "newest"}
    assert world.verify().equal, world.verify().samples


def test_two_repairs_of_one_item_at_once_count_it_once(world: World) -> None:
    world.put("u-3", deliver=False, **user("lost", "c", "50"))
    comparator = Comparator("users", VIEWS, world.tables, 0, 5.0, lambda _: None)
    found = comparator.look([Subject({"user_id": {"S": "u-3"}})]).findings
    repair = Repair(world.tables, world.register)
    assert [repair.item(each, {}) for each in found] == [APPLIED] * len(found)
    ledger = [repair.item(each, {}) for each in found if each.want.entry is not None]
    assert set(ledger) == {SUPERSEDED}
    assert world.verify().equal, world.verify().samples


def test_a_repair_refused_once_is_not_overtaken_by_the_row_it_repairs(world: World) -> None:
    """It has that row's version, and is decided again against it."""
    world.put("u-3", deliver=False, **user("lost", "c", "50"))
    comparator = Comparator("users", VIEWS, world.tables, 0, 5.0, lambda _: None)
    found = comparator.look([Subject({"user_id": {"S": "u-3"}})]).findings
    write, tried = world.service.transact_write_items, []

    def refusing(*, TransactItems: Any) -> Any:
        tried.append(True)
        if len(tried) == 1:
            reasons = [{"Code": "ValidationError" if "'derived'" in str(each) else "None"} for each in TransactItems]
            raise refusal("TransactWriteItems", "TransactionCanceledException", "no", CancellationReasons=reasons)
        return write(TransactItems=TransactItems)

    world.service.transact_write_items = refusing  # type: ignore[method-assign]
    sums = [each for each in found if each.want.view.name == "sums"]
    assert [Repair(world.tables, world.register).item(each, {}) for each in sums] == [APPLIED]


def test_a_group_that_changes_before_its_repair_is_left_as_the_stream_wrote_it(world: World) -> None:
    world.derived["SUM", "c"] = {**world.derived["SUM", "c"], "users": {"N": "77"}}
    client = Interrupting(world, lambda: world.put("u-8", **user("newest", "c", "99", ("w",))))
    tables = LedgerTables(client, "ledger", "derived", 7, lambda: 1000.0, lambda _: None)
    comparator = Comparator("users", VIEWS, world.tables, 0, 5.0, lambda _: None)
    Verify(comparator, Scan(world.tables, Serial(), 2), ("user_id",), repair=Repair(tables, world.register)).run()
    assert world.derived["SUM", "c"]["most"] == {"N": "99"}
    assert world.verify().equal, world.verify().samples


class Between:
    """A client whose calls others come before: by steps of an operation, its table, and who comes."""

    def __init__(self, world: World, steps: list[tuple[str, str, Callable[[], Any]]]) -> None:
        self.world, self.steps = world, steps

    def __getattr__(self, operation: str) -> Any:
        def made(**arguments: Any) -> Any:
            table = arguments.get("TableName") or next(iter(arguments["RequestItems"]))
            if self.steps and self.steps[0][:2] == (operation, table):
                self.steps.pop(0)[2]()
            return getattr(self.world.service, operation)(**arguments)

        return made


@pytest.mark.parametrize("later", [0, 1])
def test_a_group_that_came_and_went_during_a_look_is_not_left_behind(world: World, later: int) -> None:
    def come() -> None:
        world.put("u-8", **user("w", "brief", "5", ("w",)))

    def go() -> None:
        world.delete("u-8")

    def grow() -> None:
        for n in range(later):
            world.put(f"l-{n}", **user("w", "brief", "7", ("w",)))

    steps = [("scan", "ledger", come), ("batch_get_item", "derived", go), ("query", "derived", come)]
    steps += [("batch_get_item", "derived", go), ("put_item", "derived", lambda: None), ("query", "derived", grow)]
    tables = LedgerTables(Between(world, steps), "ledger", "derived", 7, lambda: 1000.0, lambda _: None)
    comparator = Comparator("users", VIEWS, tables, 0, 5.0, lambda _: None)
    repair = Repair(tables, world.register)
    Verify(comparator, Scan(tables, Serial(), 2), ("user_id",), repair=repair).run()
    assert not steps
    assert world.verify().equal, world.verify().samples


@pytest.mark.parametrize("becomes", [None, "2"])
def test_members_without_a_group_that_change_during_a_look_are_no_difference(world: World, becomes: Any) -> None:
    """`becomes`: how many items have the member's value then; None: it goes."""
    (member, *_) = [key for key in world.derived if key[0].startswith("%msums|")]
    orphan = "%msums|name|SUM|gone", member[1]
    world.derived[orphan] = row = {**world.derived[member], "pk": {"S": orphan[0]}}

    def change() -> None:
        world.derived.pop(orphan)
        world.derived.update({orphan: {**row, "items": {"N": becomes}}} if becomes else {})

    steps = [("query", "derived", change)]
    tables = LedgerTables(Between(world, steps), "ledger", "derived", 7, lambda: 1000.0, lambda _: None)
    comparator = Comparator("users", VIEWS, tables, 0, 5.0, lambda _: None)
    report = Verify(comparator, Scan(tables, Serial(), 2), ("user_id",)).run()
    assert (report.equal, steps) == (True, [])


def test_an_item_whose_values_look_like_keys_is_told_by_its_rows(world: World) -> None:
    for name in ("a#b", "50%", "ü|&=", "%s1", " ", "TAG#x"):
        world.put(name, **user(name, name, "-1.50", (name, "x")))
    assert world.verify().equal, world.verify().samples
    world.service.state["users"].clear()
    found = {(each["view"], each["kind"]) for each in world.verify().samples["differences"]}
    assert found == {(view.name, "dead") for view in VIEWS}
    world.mended()
    assert world.derived == {}


def test_an_older_change_never_brings_back_a_row_that_a_repair_took_away(world: World) -> None:
    old = world.put("u-8", **user("old"))
    world.delete("u-8", deliver=False)
    world.mended()
    world.deliver(old)
    assert world.verify().equal, world.verify().samples


def test_an_item_whose_rows_are_refused_is_parked_and_others_are_repaired(world: World) -> None:
    world.put("u-8", deliver=False, **{**user("large"), "name": {"S": "x" * 409_520}})
    world.derived.pop(("USER#u-1", "PROFILE"))
    report = world.verify(repair=True)
    assert {(each["item"], each["cause"]) for each in report.samples["parked"]} >= {
        ("user_id=S:u-8", "row PutItem: ValidationException")
    }
    assert ("USER#u-1", "PROFILE") in world.derived
    assert not report.equal


def test_an_export_replaces_the_scan_and_later_changes_are_no_difference(world: World, tmp_path: Any) -> None:
    exported(tmp_path, world.service.state["users"].values())
    world.put("u-3", **user("changed"))
    world.delete("u-4")
    assert world.verify(export=full_export.pages(str(tmp_path), lambda: None, ("user_id",))).equal
    world.derived.pop(("USER#u-5", "PROFILE"))
    assert kinds(world.verify(export=full_export.pages(str(tmp_path), lambda: None)), "profile") == {"missing"}


def test_a_repaired_item_keeps_its_version_so_an_older_change_does_nothing(world: World) -> None:
    old = world.put("u-8", **user("old", "c", "70"))
    world.put("u-8", **user("new", "d", "80"))
    world.derived.pop(("TAG#y", "u-8"))
    world.mended()
    world.deliver(old)
    assert world.verify().equal, world.verify().samples


def test_a_lost_row_put_again_outlives_the_delete_that_came_before_it(world: World) -> None:
    world.put("u-8", **user("old"))
    deleted = world.delete("u-8")
    world.put("u-8", **user("new"))
    world.derived.pop(("USER#u-8", "PROFILE"))
    world.mended()
    world.deliver(deleted)
    assert world.verify().equal, world.verify().samples


def test_a_report_keeps_to_its_lines_whatever_a_key_holds(world: World) -> None:
    pk = "USER#\x1b[2J\nequal"
    world.derived[pk, "PROFILE"] = {**world.derived["USER#u-3", "PROFILE"], "pk": {"S": pk}}
    told = list(lines(world.verify()))
    assert any("\\x1b[2J\\nequal" in line for line in told)
    assert all(line.isprintable() for line in told)
