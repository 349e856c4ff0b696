"""`distributary backfill`: every item of a table goes to a function, once it is stopped from where it was."""

import io
import json

import pytest

from cli.main import main
from distributary.consumer import outcome as outcomes
from distributary.derive import Aggregate
from distributary.errors import Unavailable
from distributary.replicate import by_attribute, last_writer
from distributary.stream import version as versions
from distributary.stream.change import REPLICA_VERSION
from tests.fakes.waiting import without_waiting
from tests.integration.town import VIEWS, Town, fields, order


def run(town, *arguments, table="orders", stack="shop", function="derive"):
    return main(["backfill", table, "--function", function, "--stack", stack, *arguments])


@pytest.fixture
def town(monkeypatch):
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Distributary")
    without_waiting(monkeypatch)
    found = Town()
    monkeypatch.setattr("cli.target.clients", lambda *_: found.clients)
    return found


@pytest.mark.parametrize("more", [[], ["--first-fill"]], ids=["reconcile", "first fill"])
def test_every_item_of_the_table_reaches_the_views(town, capsys, more):
    assert run(town, *more) == 0
    assert town.rows() == (20, 40)
    assert "20 items, 0 left" in capsys.readouterr().out


@pytest.mark.parametrize("more", [[], ["--first-fill"]], ids=["reconcile", "first fill"])
def test_every_item_of_the_table_reaches_the_replica(town, more):
    assert run(town, *more, function="replicate") == 0
    shown = [{**row, REPLICA_VERSION: None} for row in town.service.state["replica"].values()]
    assert sorted(shown, key=str) == [{**order(n), REPLICA_VERSION: None} for n in range(20)]


def test_a_backfill_of_a_replica_that_holds_something_sets_it_right(town):
    newer = {"S": versions.to_text(7)}
    town.service.put_item(TableName="replica", Item={**order(1, 99), REPLICA_VERSION: newer})
    assert run(town, "--first-fill", function="replicate") == 0
    assert town.service.state["replica"]["o01",]["total"] == {"N": "99"}
    assert run(town, function="replicate") == 0
    assert town.service.state["replica"]["o01",]["total"] == {"N": "2"}
    assert versions.from_text(town.service.state["replica"]["o01",][REPLICA_VERSION]["S"]) == 7


@pytest.mark.parametrize("more", [[], ["--first-fill"]], ids=["reconcile", "first fill"])
@pytest.mark.parametrize("rule", [last_writer("total"), by_attribute("total")], ids=["whole", "merged"])
def test_every_item_of_the_table_reaches_the_other_region(town, rule, more):
    away = town.written_to_with("us-east-1", rule)
    assert run(town, *more, function="replicate") == 0
    assert [bare(row) for row in rows_of(away)] == [order(n) for n in range(20)]


@pytest.mark.parametrize("rule", [last_writer("total"), by_attribute("total")], ids=["whole", "merged"])
def test_a_backfill_between_regions_that_hold_something_takes_what_is_later(town, rule):
    away = town.written_to_with("us-east-1", rule)
    away.put_item(TableName="orders", Item=order(1, 99))
    away.put_item(TableName="orders", Item=order(2, 1))
    assert run(town, function="replicate") == 0
    for service in (town.service, away):
        assert [row["total"]["N"] for row in rows_of(service)[:3]] == ["2", "99", "2"]


def test_items_that_tell_no_time_are_left_and_take_a_first_fill(town, capsys):
    away = town.written_to_with("us-east-1", last_writer())
    assert run(town, function="replicate") == 1
    assert "20  Parked      the row does not say when it was written" in capsys.readouterr().out
    assert run(town, "--first-fill", function="replicate") == 0
    assert [bare(row) for row in rows_of(away)] == [order(n) for n in range(20)]


def rows_of(service):
    return sorted(service.state["orders"].values(), key=lambda row: row["id"]["S"])


def bare(row):
    return {name: typed for name, typed in row.items() if name != REPLICA_VERSION}


def test_twice_is_as_once(town):
    assert [run(town), run(town)] == [0, 0]
    assert town.rows() == (20, 40)


def test_it_removes_what_an_earlier_declaration_left(town):
    """The orders of another view's `where`, which has changed since."""
    assert run(town) == 0
    town.deploy([VIEWS[0], Aggregate(**{**fields(VIEWS[1]), "where": lambda o: o["id"] > "o09"})])
    assert run(town) == 0
    assert town.rows() == (20, 20)


def test_one_view_alone_can_be_filled(town):
    assert run(town, "--view", "sales") == 0
    assert town.rows() == (0, 40)


def test_a_run_that_was_stopped_goes_on_from_its_state_file(town, tmp_path, capsys):
    state, invoke, answered = tmp_path / "state.json", town.functions.invoke, []

    def failing(**call):
        answered.append(call)
        if len(answered) == 4:
            raise RuntimeError("stopped")
        return invoke(**call)

    town.functions.invoke = failing
    with pytest.raises(RuntimeError):
        run(town, "--state", str(state), "--segments", "1")
    town.functions.invoke = invoke
    assert run(town, "--state", str(state), "--segments", "1") == 0
    assert "14 items, 0 left" in capsys.readouterr().out
    assert town.rows() == (20, 40)
    assert run(town, "--state", str(state), "--segments", "1") == 0
    assert "0 items, 0 left" in capsys.readouterr().out


def test_a_page_with_an_item_that_keeps_failing_is_not_passed_over(town, tmp_path, capsys):
    working, state = town.functions.functions["derive"].reconciler, tmp_path / "state.json"
    busy = [outcomes.failed(Unavailable("busy"))]
    town.functions.functions["derive"] = town.deployment(lambda asked, _: busy * len(asked))
    assert run(town, "--state", str(state), "--segments", "1") == 1
    town.functions.functions["derive"] = town.deployment(working)
    assert run(town, "--state", str(state), "--segments", "1") == 0
    assert "20 items, 0 left" in capsys.readouterr().out
    assert town.rows() == (20, 40)


def test_a_run_that_is_over_still_says_what_its_branch_refused(town, tmp_path):
    town.service.put_item(TableName="orders", Item={**order(1), "total": {"S": "much"}})
    state = str(tmp_path / "state.json")
    assert [run(town, "--state", state), run(town, "--state", state)] == [1, 1]


def test_its_progress_tells_why_an_item_was_refused(town, monkeypatch, capsys):
    monkeypatch.setattr("distributary.verify.progress.SECONDS", 0)
    town.service.put_item(TableName="orders", Item={**order(1), "total": {"S": "much"}})
    assert run(town) == 1
    assert capsys.readouterr().err.splitlines()[-1].partition("; not done: ")[2]


def test_a_rerun_no_longer_counts_what_was_set_right(town, tmp_path, capsys):
    for n in (1, 7):
        town.service.put_item(TableName="orders", Item={**order(n), "total": {"S": "much"}})
    state = str(tmp_path / "state.json")
    assert run(town, "--state", state) == 1
    town.service.put_item(TableName="orders", Item=order(1))
    capsys.readouterr()
    assert run(town, "--state", state) == 1
    assert "2 items, 1 left" in capsys.readouterr().out
    town.service.delete_item(TableName="orders", Key={"id": {"S": "o07"}})
    assert [run(town, "--state", state), run(town, "--state", state)] == [0, 0]
    assert town.rows() == (19, 38)


def test_what_fails_when_it_is_tried_again_is_still_left(town, tmp_path):
    town.service.put_item(TableName="orders", Item={**order(1), "total": {"S": "much"}})
    state, working = str(tmp_path / "state.json"), town.functions.functions["derive"]
    assert run(town, "--state", state) == 1
    town.service.put_item(TableName="orders", Item=order(1))
    busy = [outcomes.failed(Unavailable("busy"))]
    town.functions.functions["derive"] = town.deployment(lambda asked, _: busy * len(asked))
    assert run(town, "--state", state) == 1
    town.functions.functions["derive"] = working
    assert run(town, "--state", state) == 0
    assert town.rows() == (20, 40)


def test_a_first_fill_goes_on_behind_what_a_slow_function_has_done(town):
    invoke, sizes = town.functions.invoke, []

    def slow(**call):
        event = json.loads(call["Payload"])
        if "distributary" in event:
            return invoke(**call)
        records = event["Records"]
        sizes.append(len(records))
        answer = invoke(**{**call, "Payload": json.dumps({"Records": records[:1]}).encode()})
        failed = [{"itemIdentifier": records[1]["eventID"]}] if len(records) > 1 else []
        return {**answer, "Payload": io.BytesIO(json.dumps({"batchItemFailures": failed}).encode())}

    town.functions.invoke = slow
    assert run(town, "--first-fill", "--segments", "1") == 0
    assert sizes == [3, 2, 1] * 6 + [2, 1]
    assert town.rows() == (20, 40)


def test_items_that_a_view_rejects_are_counted_by_cause(town, tmp_path):
    town.service.put_item(TableName="orders", Item={**order(1), "total": {"S": "much"}})
    assert run(town, "--json", str(tmp_path / "report.json")) == 1
    found = json.loads((tmp_path / "report.json").read_text())
    assert (found["items"], found["left"]) == (20, 1)
    assert [each["status"] for each in found["outcomes"]] == ["Applied", "Parked"]


def test_a_dry_run_says_what_it_would_read(town, capsys):
    assert run(town, "--dry-run") == 0
    assert "about 20 items of orders: 1 read units for the scan" in capsys.readouterr().out
    assert town.rows() == (0, 0)


@pytest.mark.parametrize(
    ("arguments", "more", "says"),
    [
        (["--function", "welcome"], {}, "give derive, index or replicate; an old item is no reason to send a message"),
        (["--function", "archive"], {}, "give derive, index or replicate: an archive holds changes, not items"),
        (["--function", "derrive"], {}, "there is no such function; there are derive, index, welcome, replicate, arch"),
        (["--function", "replicate", "--view", "sales"], {}, "it keeps one replica; leave out --view and --index"),
        (["--first-fill", "--view", "sales"], {}, "--first-fill fills a whole branch"),
        (["--segments", "0"], {}, "--segments: give 1 to 64"),
        (["--view", "sale"], {}, "nothing is called 'sale' here: this function keeps order, sales"),
        (["--function", "index"], {}, "stack 'shop' has no output IndexFunctionArn"),
        ([], {"table": "derived"}, "derive of this stack reads table 'orders', not 'derived'"),
    ],
)
def test_a_mistake_is_one_line(town, capsys, arguments, more, says):
    assert run(town, *arguments, **more) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("content", ["{}", "no json", '{"task": {"table": "other"}, "segments": {}}'])
def test_a_state_file_of_something_else_is_refused(town, tmp_path, capsys, content):
    path = tmp_path / "state.json"
    path.write_text(content)
    assert run(town, "--state", str(path)) == 2
    said = capsys.readouterr().err
    assert "name another file" in said
    assert ("of another command (table: other; " in said) is ("other" in content)
    assert path.read_text() == content


def test_a_state_file_that_cannot_be_kept_is_refused_before_an_item_is_given(town, tmp_path, capsys):
    path = tmp_path / "nowhere" / "state.json"
    assert run(town, "--state", str(path)) == 2
    assert f"--state {path}: there is no folder {path.parent}; create it, or name" in capsys.readouterr().err
    assert town.rows() == (0, 0)
