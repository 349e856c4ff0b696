"""Under any change of the views, a rebuild leaves what a first fill under the new ones makes, and nothing else."""

from time import monotonic

import pytest

from distributary.consumer.deadline import FOREVER, Deadline
from distributary.consumer.reconcile import Reconcile
from distributary.consumer.sweep import Done, Sweep
from distributary.derive import Aggregate, Entity, Latest, Projection, sweep
from distributary.derive.factory import rebuilder, reconciler
from distributary.derive.groups import REVISION
from distributary.derive.sweep import DIGEST, FOREIGN
from distributary.dynamodb.read_budget import Pace
from distributary.errors import ConfigError, Unavailable
from distributary.stream.change import REPLICA_VERSION
from tests.fakes.built import DERIVED, derive
from tests.world import World as Followed

USER = Entity(name="user", keys=("user_id",), attributes=("status", "total", "tags", "name"))


def profile(name="profile", pk="USER#{user_id}", sk="PROFILE", **more):
    return Projection(name=name, of=USER, pk=pk, sk=sk, keep=("name",), **more)


def by_tag(name="by-tag", pk="TAG#{each}", **more):
    return Projection(name=name, of=USER, pk=pk, sk="{user_id}", each="tags", keep=("name",), **more)


def sums(name="sums", pk="SUM#{status}", sk="TOTAL", **more):
    return Aggregate(
        name=name,
        of=USER,
        pk=pk,
        sk=sk,
        count="users",
        sum={"total": "total"},
        min={"least": "total"},
        distinct={"names": "name"},
        **more,
    )


def newest(name="newest", pk="NEWEST#{status}", **more):
    return Latest(name=name, of=USER, pk=pk, sk="NEWEST", by="total", keep=("name",), **more)


def rich(user):
    return user["total"] > 2


USERS = {
    "a": ("open", 1, "Ada", ["x"]),
    "b": ("open", 5, "Bela", ["x", "y"]),
    "c": ("shut", 3, "Ada", ["z"]),
    "d": ("shut", 2, "Cy", ["z"]),
}


def user(status, total, name, tags):
    return {"status": {"S": status}, "total": {"N": str(total)}, "name": {"S": name}, "tags": {"SS": tags}}


class World(Followed):
    """Tables that one declaration has filled, and then another is deployed."""

    schemas = DERIVED

    def __init__(self, *declared):
        super().__init__()
        self.declare(*declared)
        for id, image in USERS.items():
            self.put(id, **user(*image))

    def declare(self, *declared):
        self.branch = derive(list(declared), self.service)
        self.reconcile = reconciler(self.branch, lambda: "users", 0)
        self.rebuilder = rebuilder(self.branch, self.reconcile, lambda: "users")

    def sweep(self, part, only=(), dry_run=False):
        cursor, done, why = None, 0, {}
        while True:
            found = self.rebuilder.sweep(Sweep(part, 0, 1, cursor, frozenset(only), dry_run), FOREVER)
            assert not +found.left
            done, why, cursor = done + found.done, {**why, **+found.untouched}, found.cursor
            if cursor is None:
                return done, why

    def rebuild(self, only=()):
        left = [self.sweep(part, only)[1] for part in ("ledger", "derived")]
        asked = [Reconcile({"user_id": {"S": id}}, only=frozenset(only)) for (id,) in self.service.state["users"]]
        ends = self.reconcile(asked, FOREVER)
        assert {end.status for end in ends} <= {"Applied", "Superseded"}, ends
        left += [self.sweep(part, only)[1] for part in ("ledger", "derived")]
        return {cause for each in left for cause in each}

    def shown(self):
        """All rows, without versions and revisions; and what the ledger says."""
        rows = {}
        for key, row in self.service.state["derived"].items():
            kept = {name: typed for name, typed in row.items() if name not in (REVISION, REPLICA_VERSION)}
            rows[key] = {name: sorted(typed["SS"]) if "SS" in typed else typed for name, typed in kept.items()}
        recorded = {
            id: {n: sorted(v["L"], key=str) for n, v in row.items() if n in ("rows", "shares")}
            for (id,), row in self.service.state["ledger"].items()
            if row.keys() & {"rows", "shares"} and id != "%derive"
        }
        return rows, recorded


def filled(*declared):
    return World(*declared).shown()


CHANGES = {
    "another where, versioned rows": ([profile()], [profile(where=rich)]),
    "another where, rows of the ledger": ([by_tag()], [by_tag(where=rich)]),
    "another where, groups": ([sums(), newest()], [sums(where=rich), newest(where=rich)]),
    "another key, versioned rows": ([profile()], [profile(sk="P")]),
    "another key, rows of the ledger": ([by_tag()], [by_tag(pk="LABEL#{each}")]),
    "another key, groups": ([sums(), newest()], [sums(pk="S#{status}"), newest(pk="N#{status}")]),
    "coarser groups": ([sums()], [sums(pk="SUM#ALL")]),
    "another name, versioned rows": ([profile()], [profile(name="card")]),
    "another name, rows of the ledger": ([by_tag()], [by_tag(name="labels")]),
    "another name and where, rows of the ledger": ([by_tag()], [by_tag(name="labels", where=rich)]),
    "another name, versioned now": ([profile(sk="{status}")], [profile(name="card", pk="USER#{user_id}", sk="open")]),
    "another name, groups": ([sums(), newest()], [sums(name="figures"), newest(name="last")]),
    "another name and where, groups": (
        [sums(), newest()],
        [sums(name="figures", where=rich), newest(name="last", where=rich)],
    ),
    "another name and key, groups": ([sums()], [sums(name="figures", pk="FIGURES#{status}")]),
    "removed": ([profile(), by_tag(), sums(), newest()], [profile()]),
    "on the ledger now": ([profile()], [profile(sk="{status}")]),
    "versioned now": ([profile(sk="{status}")], [profile()]),
    "an aggregate now": ([profile(sk="TOTAL")], [sums(name="profile", pk="USER#{user_id}")]),
    "a projection now": ([sums(pk="USER#{user_id}")], [profile(name="sums", sk="TOTAL")]),
    "what rows show": ([profile(), sums()], [profile(compute={"loud": lambda u: u["name"].upper()}), sums()]),
}


@pytest.mark.parametrize("case", CHANGES)
def test_after_a_rebuild_there_is_what_a_first_fill_makes(case):
    before, after = CHANGES[case]
    world = World(*before)
    world.declare(*after)
    assert world.rebuild() == set()
    assert world.shown() == filled(*after)


@pytest.mark.parametrize("case", CHANGES)
def test_the_stream_may_have_written_under_the_new_views_before(case):
    before, after = CHANGES[case]
    world = World(*before)
    world.declare(*after)
    world.put("a", **user(*USERS["b"]))
    world.put("a", **user(*USERS["a"]))
    assert world.rebuild() == set()
    assert world.shown() == filled(*after)


@pytest.mark.parametrize("case", CHANGES)
def test_an_item_may_have_moved_since_its_rows_were_written(case):
    before, after = CHANGES[case]
    world = World(*before)
    world.declare(*after)
    world.put("a", **user("shut", 9, "Zoe", ["y", "q"]))
    assert world.rebuild() == set()
    fresh = World(*after)
    fresh.put("a", **user("shut", 9, "Zoe", ["y", "q"]))
    assert world.shown() == fresh.shown()


@pytest.mark.parametrize("case", CHANGES)
def test_twice_is_as_once_and_a_dry_run_changes_nothing(case):
    before, after = CHANGES[case]
    world = World(*before)
    world.declare(*after)
    shown = world.shown()
    assert [world.sweep(part, dry_run=True)[1] for part in ("ledger", "derived")] == [{}, {}]
    assert world.shown() == shown
    world.rebuild()
    assert [world.sweep(part) for part in ("ledger", "derived")] == [(0, {}), (0, {})]
    assert world.shown() == filled(*after)


@pytest.mark.parametrize("case", [case for case in CHANGES if "groups" in case or case == "removed"])
def test_an_item_whose_key_is_too_long_for_an_id_is_rebuilt_like_all_others(case):
    before, after = CHANGES[case]
    world, fresh = World(*before), World(*after)
    for each in (world, fresh):
        each.put("u" * 1500, **user("open", 7, "Long", ["x"]))
    world.declare(*after)
    assert world.rebuild() == set()
    assert world.shown() == fresh.shown()
    for each, heard in ((world, False), (fresh, True)):
        each.delete("u" * 1500, deliver=heard)
    world.rebuild()
    assert world.shown() == fresh.shown()


def test_items_whose_deletes_were_lost_are_removed_from_every_view():
    world, fresh = (World(profile(), by_tag(), sums(), newest()) for _ in range(2))
    for id in ("b", "c"):
        world.delete(id, deliver=False)
        fresh.delete(id)
    world.rebuild()
    for one, other in zip(world.shown(), fresh.shown(), strict=True):
        assert one == other


def test_one_view_alone_is_rebuilt_by_its_name():
    world = World(profile(), by_tag())
    world.declare(profile(sk="P"), by_tag(where=rich))
    assert world.rebuild(["profile"]) == set()
    assert world.shown() == filled(profile(sk="P"), by_tag())


def test_members_of_a_removed_view_under_a_digest_are_counted():
    long = "x" * 2030
    world = World(sums())
    world.put("e", **user(long, 1, "Eva", ["w"]))
    assert world.sweep("derived")[1] == {}
    world.declare(profile())
    assert world.sweep("derived", ["sums"])[1] == {DIGEST: 2}


def test_one_removed_view_is_retired_by_its_name():
    world = World(profile(), by_tag(), sums(), newest())
    world.declare(profile())
    for part in ("ledger", "derived"):
        assert world.sweep(part, ["sums"])[1] == {}
    assert world.shown() == filled(profile(), by_tag(), newest())


def test_a_removed_view_is_retired_under_each_of_its_keys():
    """Its key was changed, and it was removed before a rebuild: rows are under both."""
    world = World(profile(), by_tag())
    world.declare(profile(sk="P"), by_tag(pk="LABEL#{each}"), sums())
    images = {"e": user("open", 7, "Eva", ["w"]), "a": user("shut", 7, "Ada", ["v"])}
    for id, image in images.items():
        world.put(id, **image)
    world.declare(sums())
    assert world.rebuild() == set()
    alone = World(sums())
    for id, image in images.items():
        alone.put(id, **image)
    assert world.shown() == alone.shown()


def test_a_retired_view_leaves_no_figures_in_the_groups_of_its_successor():
    world = World(sums(), newest())
    world.declare(sums(name="figures", where=rich), newest(name="last", where=rich))
    world.reconcile([Reconcile({"user_id": {"S": id}}) for (id,) in world.service.state["users"]], FOREVER)
    for name in ("sums", "newest"):
        for part in ("ledger", "derived"):
            assert world.sweep(part, [name])[1] == {}
    assert world.shown() == filled(sums(name="figures", where=rich), newest(name="last", where=rich))


def test_a_group_that_the_stream_writes_meanwhile_is_read_again(monkeypatch):
    world = World(sums())
    world.declare(sums(name="figures", where=rich))
    world.reconcile([Reconcile({"user_id": {"S": id}}) for (id,) in world.service.state["users"]], FOREVER)
    world.sweep("ledger")
    query, writes = world.service.query, iter([lambda: world.put("d", **user("shut", 9, "Dan", ["z"]))])

    def beside(**arguments):
        found = query(**arguments)
        next(writes, lambda: None)()
        return found

    monkeypatch.setattr(world.service, "query", beside)
    world.sweep("derived")
    fresh = World(sums(name="figures", where=rich))
    fresh.put("d", **user("shut", 9, "Dan", ["z"]))
    assert world.shown()[0] == fresh.shown()[0]


def test_a_name_that_nothing_ever_had_is_refused():
    world = World(profile())
    with pytest.raises(ConfigError, match="nothing is or was called 'profil' here"):
        world.sweep("ledger", ["profil"])


def test_a_row_of_an_earlier_number_s_key_is_removed_like_others():
    world = World(profile(pk="USER#{user_id}#{total:sortable}"))
    world.declare(profile(pk="USER#{user_id}#{total:N}"))
    assert world.rebuild() == set()
    assert world.shown() == filled(profile(pk="USER#{user_id}#{total:N}"))


@pytest.mark.parametrize("declared", [profile, by_tag])
def test_a_row_whose_item_cannot_be_read_is_left_with_its_cause(declared, monkeypatch):
    world = World(declared())
    wrong = {"user_id": {"N": "x"}}
    name = "item_of_row" if declared is profile else "item_of_entry"
    real = getattr(sweep, name)

    def found(view, *rest):
        keys = real(view, *rest)
        if "#a" not in str(rest) and ":a" not in str(rest):
            return keys
        return wrong if declared is profile else (view[0], wrong)

    monkeypatch.setattr(sweep, name, found)
    part = "derived" if declared is profile else "ledger"
    swept = world.rebuilder.sweep(Sweep(part, 0, 1, None, frozenset(), dry_run=False), FOREVER)
    assert list(swept.left.values()) == [1]


def test_rows_of_another_program_are_never_touched():
    world = World(profile())
    rows = [
        {"pk": {"S": "CONFIG"}, "sk": {"S": "1"}, "name": {"S": "theirs"}},
        {"pk": {"S": "USER#nobody"}, "sk": {"S": "PROFILE"}, "name": {"S": "theirs"}},
    ]
    for row in rows:
        world.service.put_item(TableName="derived", Item=row)
    world.declare(profile(where=rich))
    assert world.rebuild() == {FOREIGN}
    state = world.service.state["derived"]
    assert [state[row["pk"]["S"], row["sk"]["S"]] for row in rows] == rows


def test_what_ttl_left_in_a_view_that_keeps_it_stays():
    kept = [profile(on_expiry="keep"), sums(on_expiry="keep")]
    world = World(*kept)
    world.expire("b")
    world.rebuild()
    assert world.shown()[0] == filled(*kept)[0]


def test_what_ttl_left_under_an_earlier_key_of_such_a_view_stays():
    world = World(profile(on_expiry="keep"))
    world.expire("b")
    world.declare(profile(sk="P", on_expiry="keep"))
    assert world.rebuild() == set()
    assert set(world.service.state["derived"]) == {("USER#b", "PROFILE"), *((f"USER#{id}", "P") for id in "acd")}


@pytest.mark.parametrize(("part", "declared"), [("ledger", by_tag), ("derived", profile)])
def test_a_page_ends_where_the_read_budget_does_and_the_next_goes_on(part, declared):
    world = World(declared())
    for n in range(60):
        world.put(f"e{n}", **user("open", 1, "Eva", ["w"]))
    for n in range(60):
        world.delete(f"e{n}", deliver=False)
    cursor, reads = None, []
    while cursor or not reads:
        world.rebuilder = rebuilder(world.branch, world.reconcile, lambda: "users", pace=Pace(0.001))
        found = world.rebuilder.sweep(Sweep(part, 0, 1, cursor, frozenset(), dry_run=False), Deadline(monotonic() + 9))
        cursor = found.cursor
        reads.append((found.read, found.done))
    assert [read for read, _ in reads] == [25, 25, 14 + (part == "ledger")]
    assert sum(done for _, done in reads) == 60
    assert len(world.service.state["derived"]) == len(filled(declared())[0])


def test_a_page_of_which_nothing_can_be_read_is_asked_for_again():
    world = World(profile())
    world.rebuilder = rebuilder(world.branch, world.reconcile, lambda: "users", pace=Pace(0.001))
    asked = Sweep("derived", 0, 1, None, frozenset(), dry_run=False)
    world.rebuilder.sweep(asked, Deadline(monotonic() + 9))
    with pytest.raises(Unavailable, match="ReconcileReadUnits"):
        world.rebuilder.sweep(asked, Deadline(monotonic() + 9))


def test_a_sweep_and_a_reconcile_keep_to_one_budget():
    world, pace = World(profile()), Pace(0.001)
    reconcile = reconciler(world.branch, lambda: "users", 0, pace)
    sweeping = rebuilder(world.branch, reconcile, lambda: "users", pace=pace)
    sweeping.sweep(Sweep("derived", 0, 1, None, frozenset(), dry_run=False), Deadline(monotonic() + 9))
    (end,) = reconcile([Reconcile({"user_id": {"S": "a"}})], Deadline(monotonic() + 9))
    assert (end.status, "ReconcileReadUnits" in end.cause) == ("Failed", True)


def test_what_a_retirement_hands_to_another_view_is_read_within_the_budget():
    world, pace = World(by_tag()), Pace()
    world.declare(by_tag(name="labels"))
    sweeping = rebuilder(world.branch, world.reconcile, lambda: "users", pace=pace)
    found = sweeping.sweep(Sweep("ledger", 0, 1, None, frozenset(), dry_run=False), FOREVER)
    assert found.done > 0
    assert pace.units >= found.done


KEEPERS = {"versioned": profile, "rows of the ledger": by_tag, "groups": sums, "latest": newest}


@pytest.mark.parametrize("declared", KEEPERS.values(), ids=KEEPERS)
def test_a_view_that_keeps_what_ttl_left_loses_what_was_deleted(declared):
    world = World(declared(on_expiry="keep"))
    world.expire("b")
    fresh = world.shown()[0]
    world.put("e", **user("open", 1, "Eva", ["w"]))
    world.delete("e", deliver=False)
    world.rebuild()
    assert world.shown()[0] == fresh


def test_such_a_view_loses_it_also_under_an_earlier_key():
    world = World(profile(on_expiry="keep"))
    world.delete("b", deliver=False)
    world.declare(profile(sk="P", on_expiry="keep"))
    assert world.rebuild() == set()
    assert set(world.service.state["derived"]) == {(f"USER#{id}", "P") for id in "acd"}


def gave_way(world):
    """The tables are those of an earlier source table, which `users` takes the place of."""
    world.service.state["ledger"] = {
        (id.replace("|users/", "|old/"),): {**row, "id": {"S": id.replace("|users/", "|old/")}}
        for (id,), row in world.service.state["ledger"].items()
    }
    streams = ["arn:aws:dynamodb:eu-west-1:1:table/users/stream/2", "arn:aws:dynamodb:eu-west-1:1:table/old/stream/1"]
    world.rebuilder = rebuilder(world.branch, world.reconcile, lambda: "users", 0, streams)


def test_what_only_an_earlier_table_held_is_removed():
    world = World(by_tag())
    gave_way(world)
    world.delete("a", deliver=False)
    assert world.rebuild() == set()
    rows, recorded = world.shown()
    assert sorted(rows) == [("TAG#x", "b"), ("TAG#y", "b"), ("TAG#z", "c"), ("TAG#z", "d")]
    assert sorted(recorded) == [f"by-tag|users/user_id=S:{id}" for id in "bcd"]


def test_the_entries_of_a_table_that_gave_way_to_another_are_emptied():
    world = World(sums())
    gave_way(world)
    assert world.rebuild() == set()
    assert world.shown() == filled(sums())


def test_what_was_rebuilt_and_retired_is_remembered():
    world = World(profile(), sums())
    world.declare(profile(where=rich))
    told = world.rebuilder.declarations(Done(frozenset(), frozenset()), FOREVER)
    assert (sorted(told["written"]), sorted(told["declared"])) == (["profile", "sums"], ["profile"])
    assert told["written"]["profile"] != told["declared"]["profile"]
    told = world.rebuilder.declarations(Done(frozenset({"profile"}), frozenset({"sums"})), FOREVER)
    assert told["written"] == told["declared"]
    with pytest.raises(ConfigError, match="view 'profile' is declared"):
        world.rebuilder.declarations(Done(frozenset(), frozenset({"profile"})), FOREVER)
