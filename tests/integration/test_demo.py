"""The demo, smaller: the real functions on a real stream, with every fault, reconciled."""

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from local.demo.run import IN_TRUNK, Demo, run
from local.demo.trunked import Load

ROOT = Path(__file__).resolve().parents[2]
COUNTS = ("applied", "superseded", "ignored", "parked", "failed", "deferred")
FUNCTIONS = ("derive", "index", "welcome", "replicate", "archive")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    path = tmp_path_factory.mktemp("demo") / "report.json"
    command = [sys.executable, "-m", "cli", "demo", "--changes", "600", "--seed", "7", "--report", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=480)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads(path.read_text())


def test_every_branch_agrees_with_the_source(report):
    assert {line["branch"]: line["differences"] for line in report["branches"]} == dict.fromkeys(
        (*FUNCTIONS, "multi-active", *(f"trunk {name}" for name in FUNCTIONS)), 0
    )


def test_every_received_change_came_to_exactly_one_end(report):
    for line in report["branches"]:
        least = {"multi-active": 2 * 600 // 20, "trunk": 2 * IN_TRUNK.changes}.get(line["branch"].split()[0], 600)
        assert line["received"] == sum(line[name] for name in COUNTS) > least, line


def test_what_was_to_go_wrong_went_wrong(report):
    faults = report["faults"]
    assert faults["rewinds"] == 7 + 2
    assert faults["kills"] >= 2 + 2
    assert faults["malformed records"] >= 4
    assert faults["answers 429"] >= 1
    assert faults["answers 503"] >= 1
    alone = [line for line in report["branches"] if not line["branch"].startswith("trunk")]
    assert {line["branch"] for line in alone if not line["parked"]} == {"multi-active"}


def test_a_search_engine_that_is_down_defers_index(report):
    deferred = {line["branch"]: line["deferred"] for line in report["branches"]}
    assert deferred["trunk index"] >= IN_TRUNK.changes // 2
    assert deferred["trunk welcome"] > 0
    assert {deferred[name] for name in (*FUNCTIONS, "multi-active", "trunk archive")} == {0}


def test_a_changes_that_is_no_number_is_refused_in_one_line():
    done = subprocess.run(
        [sys.executable, "-m", "cli", "demo", "--changes", "many"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "Invalid value for '--changes'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_row_that_is_lost_ends_the_demo_with_1(monkeypatch, tmp_path):
    reconcile = Demo.reconcile

    def without_a_row(demo, live):
        stack = demo._world.stack
        given = stack.spec("replicate").environment
        dynamodb = stack.aws.client("dynamodb", given["REPLICA_REGION"])
        lost = dynamodb.scan(TableName=given["REPLICA_TABLE"], Limit=1)["Items"][0]
        dynamodb.delete_item(TableName=given["REPLICA_TABLE"], Key={"user_id": lost["user_id"]})
        return reconcile(demo, live)

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(Demo, "reconcile", without_a_row)
    monkeypatch.setattr("local.demo.run.IN_TRUNK", Load(changes=8, each_second=40, existing=4))
    said = StringIO()
    assert run(40, 3, tmp_path / "report.json", Console(file=said, width=200)) == 1
    assert "replicate: missing: " in said.getvalue()
    assert "replicate: not as the source says" in said.getvalue()
    assert "The trunk deferred index" in said.getvalue()
