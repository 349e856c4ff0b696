"""Tables that another release or declaration has written are refused before a row is touched, and upgraded once."""

import json
from contextlib import suppress
from pathlib import Path

import pytest

from distributary.consumer.deadline import FOREVER
from distributary.consumer.outcome import Status
from distributary.consumer.reconcile import Reconcile
from distributary.derive import Aggregate, Entity, Latest, Projection
from distributary.derive.factory import reconciler
from distributary.derive.reader import ViewReader
from distributary.derive.table_format import ROW_ID, TableFormat, written_under
from distributary.derive.verify.item_verifier import Comparator
from distributary.derive.verify.repair import Repair
from distributary.derive.verify.scan import Scan
from distributary.derive.verify.upgrade import prepare
from distributary.derive.verify.verifier import Verify
from distributary.errors import ConfigError, Unavailable
from distributary.stream.codec import decode_item
from distributary.stream.described import changes
from tests.fakes.answers import refusal
from tests.fakes.built import DERIVED, derive
from tests.fakes.serial import Serial
from tests.replaced import replace
from tests.unit.records import change
from tests.world import World as Followed

USER = Entity(name="user", keys=("user_id",), attributes=("status", "total", "tags", "name"))
SPREAD = Aggregate(name="spread", of=USER, pk="ALL", sk="ALL", count="users", shards=3)
DECLARED = [
    Projection(name="profile", of=USER, pk="USER#{user_id}", sk="PROFILE", keep=("name",)),
    Projection(name="by-tag", of=USER, pk="TAG#{each}", sk="{user_id}", each="tags", keep=("name",)),
    Aggregate(
        name="sums",
        of=USER,
        pk="SUM",
        sk="{status}",
        count="users",
        sum={"total": "total"},
        min={"least": "total"},
        distinct={"names": "name"},
    ),
    SPREAD,
    Latest(name="newest", of=USER, pk="NEWEST", sk="{status}", by="total", keep=("name",)),
]
WRITTEN = json.loads((Path(__file__).parent / "tables_of_0_1.json").read_text())
"""What the code of release 0.1.0 wrote for these views: four inserts and a delete."""


class World(Followed):
    """Tables, and a branch as the function has it."""

    schemas = DERIVED

    def __init__(self, declared=DECLARED, old=False):
        super().__init__()
        for table, rows in WRITTEN.items() if old else ():
            for row in rows:
                self.service.put_item(TableName=table, Item=row)
        self.declare(declared)

    def declare(self, declared):
        """A new deployment."""
        self.branch = derive(declared, self.service)
        self.tables = self.branch.ledger.tables
        self.known = TableFormat(self.tables, self.branch.views)

    def verify(self, repair=False):
        """As the command does it."""
        scan = Scan(self.tables, Serial(), 2)
        prepare(self.known, scan, "users", repair)
        comparator = Comparator("users", self.branch.views, self.tables, 0, 0.0, lambda _: None)
        report = Verify(
            comparator, scan, ("user_id",), repair=Repair(self.tables, self.branch.register) if repair else None
        ).run()
        if repair:
            self.known.record(self.branch.views)
        return report

    def row(self):
        return self.service.state["ledger"].get((ROW_ID,))

    def rebuild(self):
        """As the command does it, but for sweeps."""
        keys = [{"user_id": {"S": id}} for (id,) in self.service.state["users"]]
        ends = reconciler(self.branch, lambda: "users", 0)([Reconcile(each) for each in keys], FOREVER)
        assert not {end.status for end in ends} & {Status.FAILED, Status.PARKED}
        self.known.rebuilt([view.name for view in self.branch.views], ())

    def due(self):
        """What a function that is deployed now says is to be rebuilt."""
        self.known.check()
        return changes(written_under(self.row()), self.known.described()).changed

    def shown(self):
        rows = {}
        for key, row in self.service.state["derived"].items():
            if not key[0].startswith(("%", "ALL")):
                rows[key] = {n: v for n, v in decode_item(row).items() if n[0] != "_" and n not in ("pk", "sk")}
        (spread,) = [view for view in self.branch.views if view.name == "spread"]
        return rows | {"spread": ViewReader(self.service, "derived", spread).get()}


def user(status="open", total="1", name="Ada", tags=("x",)):
    return {"status": {"S": status}, "total": {"N": total}, "name": {"S": name}, "tags": {"SS": list(tags)}}


RIGHT = {
    ("USER#a:b", "PROFILE"): {"name": "Ada"},
    ("USER#c", "PROFILE"): {"name": "Bela"},
    ("USER#d", "PROFILE"): {"name": "Ada"},
    ("TAG#x", "a:b"): {"name": "Ada"},
    ("TAG#y z", "a:b"): {"name": "Ada"},
    ("TAG#x", "c"): {"name": "Bela"},
    ("TAG#z", "d"): {"name": "Ada"},
    ("SUM", "open/now"): {"users": 2, "total": 3.5, "least": 1, "names": 2},
    ("SUM", "shut"): {"users": 1, "total": -3, "least": -3, "names": 1},
    ("NEWEST", "open/now"): {"name": "Bela"},
    ("NEWEST", "shut"): {"name": "Ada"},
    "spread": {"users": 3},
}


def test_the_first_batch_records_format_and_shards_and_later_ones_read_once():
    world = World()
    world.deliver(change(1, user="u", new=user()))
    assert world.row()["format"] == {"N": "1"}
    views = world.row()["views"]["M"]
    assert {name: views[name]["M"]["shards"]["S"] for name in ("spread", "sums")} == {"spread": "3", "sums": "1"}
    calls = dict(world.service.calls)
    world.deliver(change(2, user="v", new=user()))
    after = {name: number - calls.get(name, 0) for name, number in world.service.calls.items()}
    assert after == {"PutItem": 1, "BatchGetItem": 3, "Scan": 0, "TransactWriteItems": after["TransactWriteItems"]}
    world.declare(DECLARED)
    before = dict(world.service.calls)
    world.branch.check_tables(FOREVER)
    world.branch.check_tables(FOREVER)
    assert world.service.calls == before | {"BatchGetItem": before["BatchGetItem"] + 1}
    assert before["Scan"] == 2


def test_two_functions_that_begin_at_once_agree_on_one_row():
    world = World()
    scan, seen = world.service.scan, []

    def between(**arguments):
        if not seen:
            seen.append(True)
            TableFormat(world.tables, world.branch.views).check()
            derive(DECLARED, world.service).apply([change(1, user="u", new=user())], FOREVER)
        return scan(**arguments)

    world.service.scan = between
    assert world.deliver(change(2, user="v", new=user()))[0].status is Status.APPLIED
    assert world.shown()["spread"] == {"users": 2}


def test_a_later_format_that_another_function_writes_meanwhile_stays():
    world = World([each for each in DECLARED if each is not SPREAD])
    world.deliver(change(1, user="u", new=user()))
    world.declare(DECLARED)
    put = world.service.put_item

    def later(**arguments):
        if arguments["Item"].get("id") == {"S": ROW_ID}:
            world.row()["format"] = {"N": "2"}
        return put(**arguments)

    world.service.put_item = later
    with pytest.raises(ConfigError, match="deploy that release again"):
        world.branch.check_tables(FOREVER)
    assert world.row()["format"] == {"N": "2"}


@pytest.mark.parametrize("records", [False, True])
def test_a_row_that_another_function_writes_meanwhile_is_read_again(records):
    world = World([each for each in DECLARED if each is not SPREAD])
    world.deliver(change(1, user="u", new=user()))
    world.declare(DECLARED)
    put, written = world.service.put_item, []

    def other(**arguments):
        if not written:
            written.append(world.row()["views"]["M"].setdefault("other", {"M": {"pk": {"S": "X"}}}))
        return put(**arguments)

    world.service.put_item = other
    if records:
        world.known.record(world.branch.views)
    else:
        world.branch.check_tables(FOREVER)
    assert world.row()["views"]["M"].keys() == {"other", *(each.name for each in DECLARED)}


def test_a_row_that_others_keep_writing_fails_the_changes_for_now():
    world = World()
    put = world.service.put_item
    numbers = iter(range(100))

    def other(**arguments):
        if arguments["Item"].get("id") == {"S": ROW_ID}:
            views = {"M": {"other": {"M": {"pk": {"S": str(next(numbers))}}}}}
            put(TableName="ledger", Item={"id": {"S": ROW_ID}, "format": {"N": "1"}, "views": views})
        return put(**arguments)

    world.service.put_item = other
    with pytest.raises(Unavailable, match="other functions keep writing it"):
        world.branch.check_tables(FOREVER)
    with pytest.raises(Unavailable, match="other functions keep writing it"):
        world.known.record(world.branch.views)
    (end,) = world.deliver(change(1, user="u", new=user()))
    assert end.status is Status.FAILED


def test_tables_of_a_later_release_fail_every_change_and_refuse_to_be_verified():
    world = World()
    world.deliver(change(1, user="u", new=user()))
    world.row()["format"] = {"N": "2"}
    world.declare(DECLARED)
    before = world.shown()
    (end,) = world.deliver(change(2, "MODIFY", user="u", new=user(total="9"), old=user()))
    assert (end.status, world.shown()) == (Status.FAILED, before)
    assert "has format 2, and this release reads formats up to 1" in end.cause
    for repair in (False, True):
        with pytest.raises(ConfigError, match="deploy that release again"):
            world.verify(repair)


def with_shards(number):
    return [each if each is not SPREAD else replace(SPREAD, shards=number) for each in DECLARED]


@pytest.mark.parametrize("moved", ["repaired", "rebuilt"])
def test_changed_shards_are_due_and_no_figure_is_lost_until_they_have_moved(moved):
    world = World()
    items = {name: user(name=name) for name in "abcdefgh"}
    for place, (name, item) in enumerate(items.items()):
        world.service.put_item(TableName="users", Item={"user_id": {"S": name}, **item})
        world.deliver(change(place, user=name, new=item))
    right, before = world.shown(), 3
    for at, shards in enumerate((8, 1, 3)):
        world.declare(with_shards(shards))
        assert world.due() == {"spread": ["shards"]}
        changed = change(
            90 + at, "MODIFY", user="abc"[at], new=user("open", str(50 + at), "abc"[at]), old=items["abc"[at]]
        )
        world.service.put_item(
            TableName="users", Item={"user_id": {"S": "abc"[at]}, **user("open", str(50 + at), "abc"[at])}
        )
        assert world.deliver(changed)[0].status is Status.APPLIED
        (spread,) = [view for view in world.branch.views if view.name == "spread"]
        assert ViewReader(world.service, "derived", spread, before).get() == right["spread"]
        if moved == "repaired":
            assert world.verify(repair=True).equal
        else:
            world.rebuild()
        assert world.shown()["spread"] == right["spread"]
        groups = {pk for pk, _ in world.service.state["derived"] if pk.startswith("ALL")}
        assert groups <= ({f"ALL%s{at}" for at in range(shards)} if shards > 1 else {"ALL"})
        assert world.due() == {}
        before = shards


def test_declarations_that_are_rolled_back_are_due_whatever_came_in_between():
    world = World()
    world.deliver(change(1, user="u", new=user()))
    for others in ([replace(SPREAD, count="people")], [replace(SPREAD, pk="EVERY")], []):
        world.declare([*DECLARED[:-2], *others, DECLARED[-1]])
        world.deliver(change(2, user="v", new=user()))
    world.declare(DECLARED)
    assert world.due() == {"spread": ["count", "declared again", "pk"]}
    world.rebuild()
    assert world.due() == {}


def test_a_declaration_of_the_same_keys_takes_the_place_of_another():
    """So that the row does not grow with each deployment of a project that never rebuilds."""
    world = World()
    for number in range(50):
        world.declare([*DECLARED[:-2], replace(SPREAD, count=f"n{number}"), DECLARED[-1]])
        world.deliver(change(number, user="u", new=user()))
    assert len(world.row()["since"]["M"]["spread"]["L"]) == 1
    assert world.due() == {"spread": ["count"]}


def test_an_earlier_version_that_comes_back_after_a_rebuild_says_so_in_time():
    """Its environment has looked at the row before, and is used again."""
    clock = [0.0]
    world = World()
    world.branch = derive(DECLARED, world.service, now=lambda: clock[0])
    earlier = world.branch
    earlier.apply([change(1, user="u", new=user())], FOREVER)
    world.declare([*DECLARED[:-2], replace(SPREAD, count="people"), DECLARED[-1]])
    world.branch.check_tables(FOREVER)
    world.rebuild()
    assert world.due() == {}
    clock[0] += 301.0
    earlier.apply([change(2, user="u", new=user())], FOREVER)
    assert world.due() == {"spread": ["count"]}


def test_a_new_view_is_recorded_beside_the_others():
    world = World([each for each in DECLARED if each is not SPREAD])
    world.deliver(change(1, user="u", new=user()))
    world.declare(DECLARED)
    world.deliver(change(2, user="v", new=user()))
    assert world.row()["views"]["M"].keys() == {each.name for each in DECLARED}


@pytest.mark.parametrize("kept", ["ledger", "derived"])
def test_tables_of_0_1_fail_every_change_with_what_to_do(kept):
    """A function that went on would count every item once more, under another ledger id."""
    world = World(old=True)
    world.service.state["derived" if kept == "ledger" else "ledger"].clear()
    before = dict(world.service.state[kept])
    (end,) = world.deliver(change(50, "MODIFY", user="c", new=user(), old=user()))
    assert (end.status, world.service.state[kept]) == (Status.FAILED, before)
    assert "rows of release 0.1" in end.cause
    assert "verify derive TABLE ... --repair" in end.cause
    with pytest.raises(ConfigError, match="run this command with --repair"):
        world.verify()


def test_a_table_whose_first_page_is_empty_is_not_taken_for_an_empty_one():
    """A page may hold nothing and be followed by another one."""
    world = World(old=True)
    scan = world.service.scan

    def late(**arguments):
        start = arguments.pop("ExclusiveStartKey", None)
        return scan(**arguments) if start else {"Items": [], "LastEvaluatedKey": {"id": {"S": "x"}}}

    world.service.scan = late
    (end,) = world.deliver(change(50, "MODIFY", user="c", new=user(), old=user()))
    assert (end.status, "rows of release 0.1" in end.cause) == (Status.FAILED, True)


def test_a_repair_upgrades_tables_of_0_1_and_a_second_one_finds_nothing():
    world = World(old=True)
    world.verify(repair=True)
    assert world.shown() == RIGHT
    assert world.verify().counts.get("differences", 0) == 0
    assert not [id for (id,) in world.service.state["ledger"] if "|user_id" in id]
    (end,) = world.deliver(change(50, "MODIFY", user="c", new=user(total="9"), old=user()))
    assert end.status is Status.APPLIED
    assert world.shown()["SUM", "open"] == {"users": 1, "total": 9, "least": 9, "names": 1}


def test_an_upgrade_keeps_versions_so_that_an_older_change_stays_older():
    world = World(old=True)
    world.verify(repair=True)
    ends = world.deliver(*(change(0, user=name, new=user(name="Old", total="99")) for name in ("a:b", "c", "e")))
    assert {end.status for end in ends} == {Status.SUPERSEDED}
    assert world.shown() == RIGHT


@pytest.mark.parametrize("call", range(25))
def test_an_upgrade_that_breaks_off_anywhere_is_finished_by_the_next(call):
    world = World(old=True)
    left = iter(range(call))
    broken = {}
    for name in ("put_item", "transact_write_items", "delete_item", "scan"):
        broken[name] = getattr(world.service, name)

        def once(operation=broken[name], **arguments):
            if next(left, None) is None:
                raise Unavailable("crashed")
            return operation(**arguments)

        setattr(world.service, name, once)
    with suppress(Unavailable):
        world.verify(repair=True)
    for name, operation in broken.items():
        setattr(world.service, name, operation)
    world.verify(repair=True)
    assert world.shown() == RIGHT
    assert world.verify().counts.get("differences", 0) == 0


def test_a_second_upgrade_at_once_counts_nothing_twice():
    world = World(old=True)
    write, seen = world.service.transact_write_items, []

    def between(**arguments):
        if not seen:
            seen.append(True)
            world.verify(repair=True)
        return write(**arguments)

    world.service.transact_write_items = between
    world.verify(repair=True)
    assert world.shown() == RIGHT


def test_a_ledger_row_of_0_1_that_names_no_item_is_refused_with_what_to_do():
    world = World(old=True)
    world.service.put_item(TableName="ledger", Item={"id": {"S": "%h" + "0" * 64}, "version": {"S": "1"}})
    with pytest.raises(ConfigError, match="fill new tables instead"):
        world.verify(repair=True)


def test_a_ledger_row_whose_id_becomes_a_digest_is_still_known_by_its_item():
    """The item is gone, so its row is emptied."""
    world, long = World(old=True), "u" * 1005
    row = {**world.service.state["ledger"]["sums|user_id=S:d",], "id": {"S": f"sums|user_id=S:{long}"}}
    world.service.put_item(TableName="ledger", Item=row)
    world.verify(repair=True)
    assert not [row for row in world.service.state["ledger"].values() if long in str(row) and "shares" in row]
    assert world.verify().samples == {}
    assert world.shown() == RIGHT


def test_a_repair_of_empty_tables_records_their_format_before_it_fills_them():
    """Else the function would take the filled tables for those of 0.1."""
    world = World()
    world.service.put_item(TableName="users", Item={"user_id": {"S": "u"}, **user()})
    world.verify()
    assert world.row() is None
    world.verify(repair=True)
    assert world.deliver(change(1, user="v", new=user()))[0].status is Status.APPLIED
    assert world.shown()["spread"] == {"users": 2}


def test_an_upgrade_moves_what_a_row_says_when_it_is_moved():
    """An invocation of 0.1 that still runs writes a row between the upgrade's scan and its transaction."""
    world = World(old=True)
    write, old = world.service.transact_write_items, ("sums|user_id=S:c",)
    newer = {**world.service.state["ledger"][old], "version": {"S": "9" * 46}}

    def between(**arguments):
        if newer and any(
            each.get("Delete", {}).get("Key") == {"id": newer["id"]} for each in arguments["TransactItems"]
        ):
            world.service.put_item(TableName="ledger", Item=dict(newer))
            newer.clear()
        return write(**arguments)

    world.service.transact_write_items = between
    world.verify(repair=True)
    assert old not in world.service.state["ledger"]
    assert world.service.state["ledger"]["sums|users/user_id=S:c",]["version"]["S"].startswith("9" * 46)


def test_an_upgrade_asks_for_no_move_twice():
    world, asked = World(old=True), []
    write = world.service.transact_write_items

    def noting(**arguments):
        asked.extend(each["Put"]["Item"]["id"]["S"] for each in arguments["TransactItems"] if "Put" in each)
        return write(**arguments)

    world.service.transact_write_items = noting
    prepare(world.known, Scan(world.tables, Serial(), 2), "users", True)
    assert len(asked) == len(set(asked)) == 16


def test_an_upgrade_ends_at_once_with_what_the_service_refuses_it_for():
    world, calls = World(old=True), []

    def refused(**arguments):
        calls.append(arguments)
        raise refusal("TransactWriteItems", "AccessDeniedException", "no")

    world.service.transact_write_items = refused
    with pytest.raises(Unavailable, match="ledger TransactWriteItems: AccessDenied"):
        world.verify(repair=True)
    assert len(calls) == 2, "one a segment"


def test_an_upgrade_never_overwrites_a_new_row_and_moves_the_others():
    world = World(old=True)
    new = {"id": {"S": "sums|users/user_id=S:c"}, "version": {"S": "9" * 46}, "format": {"N": "1"}}
    world.service.put_item(TableName="ledger", Item=new)
    with pytest.raises(Unavailable, match="the ledger still gets rows"):
        world.verify(repair=True)
    assert world.service.state["ledger"][new["id"]["S"],] == new
    assert [id for (id,) in world.service.state["ledger"] if "|user_id" in id] == ["sums|user_id=S:c"]


@pytest.mark.parametrize(
    ("declared", "due"),
    [
        (DECLARED, False),
        ([*DECLARED, replace(SPREAD, name="more", pk="MORE")], True),
        ([each for each in DECLARED if each is not SPREAD], True),
        ([replace(each, keep=()) if each.name == "profile" else each for each in DECLARED], True),
    ],
    ids=["same", "added", "removed", "changed"],
)
def test_each_look_of_a_function_says_whether_a_rebuild_is_due(declared, due):
    world, told = World(), []
    world.known.check()
    world.declare(declared)
    known = TableFormat(world.tables, world.branch.views, lambda: told.append("due"))
    for looks in (1, 2):
        known.check()
        assert len(told) == (looks if due else 0)


def test_a_rebuild_records_its_own_views_and_forgets_the_retired_ones():
    world = World()
    world.known.check()
    profile, by_tag, *others = DECLARED
    world.declare(
        [replace(profile, keep=()), replace(by_tag, keep=()), *(each for each in others if each is not SPREAD)]
    )
    assert set(world.due()) == {"profile", "by-tag"}
    world.known.rebuilt(["profile"], ())
    assert (set(world.due()), "spread" in written_under(world.row())) == ({"by-tag"}, True)
    world.known.rebuilt([], ["spread"])
    assert (set(world.due()), "spread" in written_under(world.row())) == ({"by-tag"}, False)
