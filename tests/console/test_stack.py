"""`console --stack`: the pages of a deployed stack, which read from AWS and write only if the user says so."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from cli.console.mails import Mails
from cli.console.operated import Operated
from cli.console.pages import acts, operated, reads_of_stack
from cli.console.parked import Redrives
from cli.console.server import application
from cli.main import main
from cli.stack import Stack
from tests.console.test_starting import ask
from tests.fakes.monitored import Monitored
from tests.fakes.s3 import Versioned

HOST = "127.0.0.1:8123"
READ = ("Get", "List", "Describe", "BatchGet", "FilterLogEvents")


class Town:
    """The fake stack `shop`, and the console's pages of it."""

    def __init__(self, folder, allowed=False):
        self.seen = Monitored(Versioned("parking"), "parking", "derive", "archive")
        (folder / "functions" / "derive").mkdir(parents=True)
        (folder / "template.yaml").write_text("")
        reach = lambda region: self.seen.clients  # noqa: E731
        self.stack = Operated.of(Stack.find("shop", self.seen.clients), reach, folder, allowed)
        redrives, mails = Redrives(self.stack), Mails()
        reads, writes = reads_of_stack(self.stack, mails, redrives), acts(self.stack, redrives) if allowed else {}
        app = application(reads, writes, self.stack.summary, mails.endpoint, "t", [HOST])
        self.client = TestClient(app, base_url=f"http://{HOST}", headers={"Authorization": "Bearer t"})

    def rows(self):
        return {row["check"]: row for row in self.client.get("/api/status").json()["rows"]}


@pytest.fixture
def town(tmp_path):
    return Town(tmp_path)


def test_the_summary_names_tables_branches_and_what_is_allowed(town):
    found = town.client.get("/api/summary").json()
    assert (found["kind"], found["name"], found["acts"]) == ("stack", "shop", False)
    assert found["tables"] == [{"name": "users", "keys": ["user_id"], "types": {"user_id": "S"}}]
    assert found["branches"] == ["derive", "archive"]


def test_outcomes_lag_and_mappings_come_from_what_aws_measured(town):
    minute = datetime.now(UTC) - timedelta(minutes=6)
    town.seen.measured("derive", "Received", (minute, 5.0))
    town.seen.measured("derive", "Applied", (minute, 4.0))
    town.seen.measured("derive", "Parked", (minute, 1.0))
    rows = town.rows()
    assert rows["outcomes derive"]["values"]["Received"] == 5
    assert rows["outcomes derive"]["values"]["Parked"] == 1
    assert rows["mappings derive"]["values"]["state"] == "Enabled"


def test_pages_that_ask_at_once_cause_one_look(town):
    town.rows()
    asked = town.seen.requested
    town.rows()
    assert (town.seen.requested, asked > 0) == (asked, True)


def test_a_missing_permission_is_a_row_and_no_fault_of_the_page(town):
    town.seen.denied.add("DescribeAlarms")
    assert town.rows()["alarms"]["level"] == "unknown"


def test_every_page_only_reads(town):
    for path in ("/summary", "/status", "/trace?what=e-1", "/parked", "/contents"):
        town.client.get(f"/api{path}")
    assert town.seen.called
    assert all(operation.startswith(READ) for operation in town.seen.called)


def test_nothing_can_be_written_unless_the_user_allows_it(town, tmp_path):
    for path in ("/redrive", "/reconcile", "/try/put", "/try/delete", "/try/fault", "/try/rewind"):
        assert town.client.post(f"/api{path}", json={}).status_code in (404, 405), path
    allowed = Town(tmp_path / "allowed", True).client
    assert allowed.post("/api/reconcile", json={"branch": "none", "table": "users", "key": {}}).status_code == 400
    for path in ("/try/put", "/try/delete", "/try/fault"):
        assert allowed.post(f"/api{path}", json={}).status_code in (404, 405), path


def test_a_trace_that_names_nothing_is_refused_in_a_sentence(town):
    for query in ("", "?what=", "?what=e&hours=0", "?what=e&hours=1e9", "?what={"):
        answer = town.client.get(f"/api/trace{query}")
        assert (answer.status_code, answer.json()["error"] != "") == (400, True), query


def test_a_stack_that_is_none_ends_the_command_with_2(monkeypatch, capsys):
    seen = Monitored(Versioned("parking"), "parking")
    monkeypatch.setattr("cli.console.command.clients", lambda endpoint, region: seen.clients)
    assert main(["console", "--stack", "none"]) == 2
    assert "there is no stack 'none'" in capsys.readouterr().err


def test_writing_is_for_a_stack_alone(capsys):
    assert main(["console", "--allow-writes"]) == 2
    assert "give --stack NAME" in capsys.readouterr().err


def test_the_link_of_a_stack_is_served_on_this_machine(town):
    with operated(town.stack) as link:
        assert link.startswith("http://127.0.0.1:")
        assert ask(link, "/summary")["name"] == "shop"


def key(pk, sk):
    return quote(json.dumps({"pk": {"S": pk}, "sk": {"S": sk}}))


def test_a_key_of_a_stack_shows_what_each_branch_holds(shop, stack_link):
    shop.order(70, "5", "ida")
    shop.change("ORDER%2370", derive="Applied", replicate="Applied")
    path = f"table=shop&key={key('CUSTOMER#ida', 'ORDER#70')}"
    assert ask(stack_link, f"/key?{path}")["item"]["total"] == {"N": "5"}
    kept = {(each["branch"], each["name"]): each for each in ask(stack_link, f"/kept?{path}")["kept"]}
    assert kept["derive", "view 'open-orders'"]["state"] == "right"
    assert {each["state"] for each in kept.values()} == {"right"}
    rows = ask(stack_link, "/rows?view=sales")["rows"]
    assert "CUSTOMER#ida" in {row["pk"]["S"] for row in rows}


def test_what_is_parked_in_a_stack_is_redriven_once_it_is_right(shop, stack_link):
    shop.order(71, {"S": "a lot"}, "jan")
    shop.change("ORDER%2371", derive="Parked")
    path = f"table=shop&key={key('CUSTOMER#jan', 'ORDER#71')}"
    (parked,) = ask(stack_link, f"/key?{path}")["parked"]
    assert "only numbers add up" in parked["cause"]
    assert parked["event"] in {
        item["event"] for group in ask(stack_link, "/parked")["groups"] for item in group["items"]
    }
    shop.order(71, "9", "jan")
    keys = {"pk": {"S": "CUSTOMER#jan"}, "sk": {"S": "ORDER#71"}}
    ask(stack_link, "/redrive", {"key": json.dumps(keys)})
    shop.until(lambda: not ask(stack_link, "/redrive")["running"])
    assert ask(stack_link, f"/key?{path}")["parked"] == []


def test_a_change_of_a_stack_is_traced_by_its_event(shop, stack_link):
    shop.order(72, {"S": "a lot"}, "kai")
    event = shop.change("ORDER%2372", derive="Parked", archive="Applied")["event"]
    found = ask(stack_link, f"/trace?what={event}")
    assert "parked" in {step["what"] for step in found["steps"]}
