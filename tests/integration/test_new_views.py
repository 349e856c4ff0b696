"""A view that comes to others is due to be filled until a backfill has given it all that its tables held before it."""

import json

import pytest

from cli.feed.new_views import NewViews
from cli.main import main
from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import FOREVER
from distributary.derive import Entity, Join, Projection, check
from distributary.derive.described import described
from distributary.derive.table_format import TableFormat
from distributary.errors import Unavailable
from tests.fakes.waiting import without_waiting
from tests.integration.town import ORDER, VIEWS, Town

DAY = Projection(name="day", of=ORDER, pk="DAY#{day}", sk="{id}")
OTHER_DAY = Projection(name="day", of=ORDER, pk="DAYS#{day}", sk="{id}")


def run(command, *arguments):
    return main([command, *arguments, "--stack", "shop"])


def backfill(*more):
    return run("backfill", "orders", "--function", "derive", *more)


def due(capsys):
    """What the doctor says is to be run, and its exit status."""
    capsys.readouterr()
    status = run("doctor", "--derive", "--json")
    return status, [each["fix"] for each in json.loads(capsys.readouterr().out)["findings"] if each["fix"]]


@pytest.fixture
def town(monkeypatch):
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Distributary")
    without_waiting(monkeypatch)
    found = Town()
    monkeypatch.setattr("cli.target.clients", lambda *_: found.clients)
    assert backfill() == 0
    return found


FILL = "distributary backfill orders --function derive --view day --stack shop"


def test_the_first_views_of_all_are_not_due(town, capsys):
    assert due(capsys) == (0, [])


def test_a_new_view_is_due_until_it_is_filled(town, capsys):
    town.deploy([*VIEWS, DAY])
    town.branch.check_tables(FOREVER)
    assert due(capsys) == (1, [FILL])
    assert backfill("--view", "day") == 0
    assert due(capsys) == (0, [])


def test_a_backfill_of_all_views_fills_it_too(town, capsys):
    town.deploy([*VIEWS, DAY])
    assert backfill() == 0
    assert due(capsys) == (0, [])


def test_a_rebuild_fills_it_too(town, capsys):
    town.deploy([*VIEWS, DAY])
    assert run("rebuild", "derive", "--view", "day") == 0
    assert due(capsys) == (0, [])


@pytest.mark.parametrize("more", [["--view", "sales"], ["--dry-run"]], ids=["of another view", "dry"])
def test_what_gives_it_nothing_leaves_it_due(town, capsys, more):
    town.deploy([*VIEWS, DAY])
    assert backfill(*more) == 0
    assert due(capsys) == (1, [FILL])


def test_an_item_that_is_left_leaves_it_due(town, capsys):
    town.deploy([*VIEWS, DAY])
    failing = outcomes.failed(Unavailable("the table is throttled"))
    town.functions.functions["derive"] = town.deployment(lambda requests, _: [failing] * len(requests))
    assert backfill("--view", "day") == 1
    assert due(capsys) == (1, [FILL])


def test_a_view_that_changed_before_it_was_filled_needs_a_rebuild(town, capsys):
    town.deploy([*VIEWS, DAY])
    town.branch.check_tables(FOREVER)
    town.deploy([*VIEWS, OTHER_DAY])
    town.branch.check_tables(FOREVER)
    rebuild = "distributary rebuild derive --view day --stack shop"
    assert due(capsys) == (1, [rebuild])
    assert backfill("--view", "day") == 0
    assert due(capsys) == (1, [rebuild])
    assert run("rebuild", "derive", "--view", "day") == 0
    assert due(capsys) == (0, [])


def test_a_deployment_meanwhile_leaves_the_later_views_due(town, capsys, monkeypatch):
    town.deploy([*VIEWS, DAY])
    invoke, deployed = town.functions.invoke, []

    def deploying(**call):
        if b"reconcile" in call["Payload"] and not deployed:
            deployed.append(town.deploy([*VIEWS, OTHER_DAY]))
        return invoke(**call)

    monkeypatch.setattr(town.functions, "invoke", deploying)
    assert backfill() == 2
    assert "another version was deployed meanwhile" in capsys.readouterr().err
    assert due(capsys)[0] == 1


def test_what_an_earlier_run_has_done_does_not_fill_a_later_view(town, capsys, tmp_path, monkeypatch):
    state, invoke, calls = tmp_path / "state.json", town.functions.invoke, []

    def stopped(**call):
        calls.append(call)
        if len(calls) == 4:
            raise RuntimeError("stopped")
        return invoke(**call)

    more = ("--segments", "1", "--state", str(state))
    monkeypatch.setattr(town.functions, "invoke", stopped)
    with pytest.raises(RuntimeError):
        backfill(*more)
    town.deploy([*VIEWS, DAY])
    assert backfill(*more) == 0
    assert len(town.service.state["derived"]) < 61
    assert due(capsys) == (1, [FILL])


def test_the_metric_counts_until_it_is_filled(town):
    told = []
    town.deploy([*VIEWS, DAY])
    for expected in ([1], [1]):
        TableFormat(town.branch.ledger.tables, town.branch.views, lambda: told.append(1)).check()
        assert told == expected
        assert backfill("--view", "day") == 0


LEFT = Entity(name="order", keys=("id",), attributes=("buyer",), table="orders")
RIGHT = Entity(name="customer", keys=("id",), attributes=("name",), table="customers")
ANY = Entity(name="any", keys=("id",), attributes=("by",))
OF_TABLES = [
    Projection(name="orders", of=LEFT, pk="ORDER#{id}", sk="ORDER"),
    Projection(name="all", of=ANY, pk="ANY#{id}", sk="ANY"),
    Join(
        name="joined",
        of=LEFT,
        right=RIGHT,
        on="buyer",
        pk="BUYER#{buyer}",
        sk="{id}",
        rename_right={"name": "who"},
    ),
]


class Stub:
    """A function of several tables, whose views are all new."""

    branch = "derive"
    sources = dict.fromkeys(("orders", "customers", "products"), "")

    def invoke(self, event):
        declared = {view.name: described(view) for view in check(OF_TABLES)}
        told = {"written": {name: {} for name in declared}, "since": {name: [each] for name, each in declared.items()}}
        return {"declarations": {**told, "declared": declared, "parts": []}}


@pytest.mark.parametrize(
    ("tables", "names"),
    [
        (["orders"], ("orders",)),
        (["customers"], ()),
        (["orders", "customers"], ("joined", "orders")),
        (["orders", "customers", "products"], ("all", "joined", "orders")),
    ],
)
def test_a_view_is_filled_once_all_tables_that_it_reads_were_given(tables, names):
    assert NewViews.of(Stub(), tables, []).names == names
