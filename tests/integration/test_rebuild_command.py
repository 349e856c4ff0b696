"""`distributary rebuild` and `retire`: what an earlier declaration left is set right, and removed."""

import io
import json
from pathlib import Path

import pytest

from cli.main import main
from distributary.consumer import outcome as outcomes
from distributary.derive import Aggregate, Projection
from distributary.derive.table_format import ROW_ID, written_under
from distributary.errors import Unavailable
from tests.fakes.waiting import without_waiting
from tests.integration.town import ORDER, VIEWS, Town, fields, order

BY_ID = Projection(name="order", of=ORDER, pk="ORDER#{id}", sk="NOW")
LATE = Aggregate(**{**fields(VIEWS[1]), "name": "late", "where": lambda o: o["id"] > "o09"})


@pytest.fixture
def town(monkeypatch):
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Distributary")
    found = Town()
    found.slept = without_waiting(monkeypatch)
    monkeypatch.setattr("cli.target.clients", lambda *_: found.clients)
    assert main(["backfill", "orders", "--function", "derive", "--stack", "shop"]) == 0
    return found


def run(command, *arguments):
    return main([command, *arguments, "--stack", "shop"])


def rows(town):
    return {key for key in town.service.state["derived"] if not key[0].startswith("%")}


def written(town):
    """The sort key under which the rows of each view were written, as the tables' own row has it."""
    views = written_under(town.service.state["ledger"][(ROW_ID,)])
    return {name: each.get("sk", "") if name == "order" else "" for name, (each, *_) in views.items()}


def contributing(town):
    return {id.partition("|")[0] for (id,), row in town.service.state["ledger"].items() if row.keys() & {"shares"}}


def test_a_rebuild_leaves_what_is_declared_now_and_nothing_else(town, capsys):
    town.service.delete_item(TableName="orders", Key={"id": {"S": "o19"}})
    town.deploy([BY_ID, LATE])
    assert run("rebuild", "derive") == 0
    assert rows(town) == {*((f"ORDER#o{n:02}", "NOW") for n in range(19)), ("SALES#mon", "TOTAL")}
    assert town.service.state["derived"]["SALES#mon", "TOTAL"]["revenue"] == {"N": "18"}
    assert contributing(town) == {"late"}
    assert "19 items, 0 left" in capsys.readouterr().out
    assert run("retire", "sales") == 2
    assert "no view was ever called 'sales' here: known are late, order" in capsys.readouterr().err


def test_it_waits_until_no_invocation_of_another_version_can_run(town, capsys):
    town.deploy([BY_ID])
    assert run("rebuild", "derive") == 0
    assert town.slept == [60]
    town.functions.weights = {"1": 0.9}
    assert run("rebuild", "derive") == 2
    assert "derive is being deployed gradually" in capsys.readouterr().err


def test_a_deployment_meanwhile_ends_it_unfinished(town, capsys, monkeypatch):
    town.deploy([BY_ID])
    invoke = town.functions.invoke

    def deploying(**call):
        town.functions.version = "7" if b"reconcile" in call["Payload"] else "6"
        return invoke(**call)

    monkeypatch.setattr(town.functions, "invoke", deploying)
    assert run("rebuild", "derive") == 2
    assert "derive was deployed meanwhile" in capsys.readouterr().err


def test_one_view_alone_is_rebuilt(town):
    town.deploy([BY_ID, LATE])
    assert run("rebuild", "derive", "--view", "order") == 0
    assert rows(town) == {*((f"ORDER#o{n:02}", "NOW") for n in range(20)), ("SALES#mon", "TOTAL")}
    assert contributing(town) == {"sales"}


def test_a_removed_view_is_retired_by_its_name(town, capsys):
    town.deploy(VIEWS[:1])
    assert run("retire", "sales", "--dry-run") == 0
    assert "21 would be removed" in capsys.readouterr().out
    assert contributing(town) == {"sales"}
    assert run("retire", "sales") == 0
    assert (contributing(town), len(rows(town))) == (set(), 20)
    assert not any(pk.startswith("%m") for pk, _ in town.service.state["derived"])


def test_a_dry_run_of_a_rebuild_changes_nothing(town, capsys):
    town.deploy([BY_ID, LATE])
    before = dict(town.service.state["derived"])
    assert run("rebuild", "derive", "--dry-run") == 0
    assert "40 would be removed or corrected" in capsys.readouterr().out
    assert town.service.state["derived"] == before


def test_a_run_that_was_stopped_goes_on_from_its_state_file(town, tmp_path, monkeypatch):
    town.deploy([BY_ID, LATE])
    state, invoke, answered = tmp_path / "state.json", town.functions.invoke, []

    def failing(**call):
        answered.append(json.loads(call["Payload"]))
        if len(answered) == 6:
            raise RuntimeError("stopped")
        return invoke(**call)

    monkeypatch.setattr(town.functions, "invoke", failing)
    with pytest.raises(RuntimeError):
        run("rebuild", "derive", "--state", str(state), "--segments", "1")
    assert run("rebuild", "derive", "--state", str(state), "--segments", "1") == 0
    assert sum("sweep" in each["distributary"] for each in answered) == 2
    assert town.slept.count(60) == 1
    assert len(rows(town)) == 21


def test_what_fails_leaves_the_rebuild_due(town, capsys):
    town.deploy([BY_ID, LATE])
    deployed = town.functions.functions["derive"]
    busy = [outcomes.failed(Unavailable("busy"))]
    town.functions.functions["derive"] = town.deployment(lambda asked, _: busy * len(asked))
    assert run("rebuild", "derive") == 1
    assert "not done: run this again" in capsys.readouterr().out
    town.functions.functions["derive"] = deployed
    assert run("rebuild", "derive") == 0


def test_members_stay_as_long_as_a_ledger_row_counts_them(town, monkeypatch, capsys):
    town.deploy([VIEWS[0], Aggregate(**{**fields(VIEWS[1]), "name": "late", "distinct": {"totals": "total"}})])
    invoke, parts = town.functions.invoke, []

    def failing(**call):
        event = json.loads(call["Payload"])["distributary"]
        parts.append(event.get("sweep", {}).get("part"))
        answer = invoke(**call)
        if parts[-1] != "ledger":
            return answer
        swept = json.loads(answer["Payload"].read())["swept"]
        left = {"swept": {**swept, "left": [{"cause": "busy", "rows": 1}]}}
        return {**answer, "Payload": io.BytesIO(json.dumps(left).encode())}

    monkeypatch.setattr(town.functions, "invoke", failing)
    assert run("rebuild", "derive", "--segments", "1") == 1
    assert "derived" not in parts
    assert "not done: run this again" in capsys.readouterr().out


def test_a_report_is_written_as_json(town, tmp_path):
    town.deploy([BY_ID, LATE])
    assert run("rebuild", "derive", "--json", str(tmp_path / "report.json")) == 0
    found = json.loads((tmp_path / "report.json").read_text())
    assert (found["done"], found["items"], found["swept"]["done"]) == (True, 20, 40)


def test_items_that_a_view_rejects_are_left_and_said_to_be(town, capsys):
    town.service.put_item(TableName="orders", Item={**order(15), "total": {"S": "much"}})
    town.deploy([BY_ID, LATE])
    assert run("rebuild", "derive") == 1
    said = capsys.readouterr().out
    assert "only numbers add up" in said
    assert "not done: 1 items are parked and not as declared" in said
    assert written(town) == {"order": "ORDER", "sales": "", "late": ""}


def test_a_rerun_no_longer_counts_items_that_were_corrected(town, tmp_path):
    town.service.put_item(TableName="orders", Item={**order(15), "total": {"S": "much"}})
    town.deploy([BY_ID, LATE])
    state = ("--state", str(tmp_path / "state.json"))
    assert [run("rebuild", "derive", *state), run("rebuild", "derive", *state)] == [1, 1]
    town.service.put_item(TableName="orders", Item=order(15))
    assert run("rebuild", "derive", *state) == 0
    assert written(town) == {"order": "NOW", "late": ""}


def test_a_version_that_comes_at_the_very_end_stays_due(town, capsys, monkeypatch):
    """It is deployed behind the last look at the alias."""
    town.deploy([BY_ID])
    invoke = town.functions.invoke

    def deploying(**call):
        if b"retired" in call["Payload"]:
            town.deploy(VIEWS[:1])
        return invoke(**call)

    monkeypatch.setattr(town.functions, "invoke", deploying)
    assert run("rebuild", "derive") == 2
    assert "another version was deployed meanwhile, with other declarations" in capsys.readouterr().err
    monkeypatch.setattr(town.functions, "invoke", invoke)
    assert "sales" in written(town)


PROJECT = """
from distributary.derive import Aggregate, Entity, Projection
from tests.fakes.waiting import without_waiting

ORDER = Entity(name="order", keys=("id",), attributes=("day", "total"))
VIEWS = [
    Projection(name="order", of=ORDER, pk="ORDER#{id}", sk="NOW"),
    Projection(name="day", of=ORDER, pk="DAY#{day}", sk="{id}"),
]
"""


@pytest.fixture
def project(tmp_path, town, monkeypatch):
    """Declares `order` under another key, `day` anew, and `sales` no more."""
    monkeypatch.setattr("cli.declared.clients", lambda *_: town.clients)
    (tmp_path / "functions" / "derive").mkdir(parents=True)
    (tmp_path / "functions" / "derive" / "views.py").write_text(PROJECT)
    (tmp_path / "template.yaml").write_text("")
    return str(tmp_path)


def test_what_a_change_of_the_declarations_needs_is_said_before_it_is_deployed(project, capsys):
    assert main(["--project", project, "views", "--diff", "--stack", "shop"]) == 1
    assert [line.split(" --stack")[0] for line in needed(capsys)] == [
        "new      day: distributary backfill orders --function derive --view day",
        "changed  order (sk): distributary rebuild derive --view order",
        "removed  sales: distributary retire sales",
    ]


def needed(capsys):
    """What `views --diff` printed, without costs."""
    return [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]


def test_and_nothing_is_said_once_it_is_done(project, town, capsys):
    town.deploy([BY_ID, Projection(name="day", of=ORDER, pk="DAY#{day}", sk="{id}")])
    assert run("rebuild", "derive") == 0
    capsys.readouterr()
    assert main(["--project", project, "views", "--diff", "--stack", "shop"]) == 0
    assert "nothing is to be filled" in capsys.readouterr().out


def test_a_rollback_says_which_rebuild_it_needs(project, town, capsys):
    town.deploy([BY_ID])
    assert run("rebuild", "derive") == 0
    views = Path(project) / "functions" / "derive" / "views.py"
    views.write_text(PROJECT.replace("NOW", "ORDER"))
    capsys.readouterr()
    assert main(["--project", project, "views", "--diff", "--stack", "shop"]) == 1
    assert "changed  order (sk): distributary rebuild derive --view order" in capsys.readouterr().out


def test_a_rollback_before_any_rebuild_says_which_one_it_needs(project, town, capsys):
    """What changed in between was written under the declarations that were rolled back, or missed."""
    town.deploy([BY_ID, VIEWS[1]])
    views = Path(project) / "functions" / "derive" / "views.py"
    views.write_text(PROJECT.replace("NOW", "ORDER").replace('"day", of=ORDER, pk="DAY', '"sales", of=ORDER, pk="DAY'))
    for declared in ([BY_ID], VIEWS):
        town.deploy(declared)
        assert main(["--project", project, "views", "--diff", "--stack", "shop"]) == 1
    lines = needed(capsys)
    assert lines[-2] == "changed  order (sk): distributary rebuild derive --view order --stack shop"
    assert "changed  sales (" in lines[-1]
    assert "declared again" in lines[-1]


def test_a_comparison_needs_a_stack(project, capsys):
    assert main(["--project", project, "views", "--diff"]) == 2
    assert "--diff needs --stack" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["rebuild", "welcome"], "rebuild welcome: give derive or index"),
        (["rebuild", "derive", "--view", "sale"], "--view sale: declared are order"),
        (["rebuild", "derive", "--view", "sales"], "`distributary retire sales` removes it"),
        (["rebuild", "derive", "--segments", "0"], "--segments: give 1 to 64"),
        (["rebuild", "index"], "stack 'shop' has no output IndexFunctionArn"),
        (["retire", "order"], "view 'order' is declared"),
        (["retire", "sale"], "no view was ever called 'sale' here"),
    ],
)
def test_a_mistake_is_one_line(town, capsys, arguments, says):
    town.deploy(VIEWS[:1])
    assert run(*arguments) == 2
    assert says in capsys.readouterr().err
