"""`distributary rebuild index`: an index that an earlier declaration filled shows what is declared now."""

import json
from collections import Counter
from contextlib import suppress

import pytest

from cli.feed.backfill import State
from cli.main import main
from distributary.consumer.consume import Deployment
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.consumer.streams import Streams
from distributary.consumer.sweep import Swept
from distributary.consumer.telemetry import Telemetry
from distributary.errors import Unavailable
from distributary.index.opensearch.reader import After, page
from distributary.index.sweep import IndexRebuilder
from tests.fakes.stack import Lambda, clients
from tests.fakes.waiting import without_waiting
from tests.unit.branches import Bucket
from tests.unit.test_rebuild_index import TABLE, World, things


class Scanned:
    """The source, described and scanned under its name."""

    def __init__(self, tables):
        self._tables = tables

    def describe_table(self, *, TableName):
        keys = [{"AttributeName": "user_id", "KeyType": "HASH"}]
        return {"Table": {"TableName": TableName, "KeySchema": keys, "ItemCount": 5, "TableSizeBytes": 4096}}

    def scan(self, *, TableName, ProjectionExpression, ExpressionAttributeNames, **more):
        found = self._tables.scan(TableName=TABLE, **more)
        return {**found, "Items": [{"user_id": item["user_id"]} for item in found["Items"]]}


@pytest.fixture
def town(monkeypatch):
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Distributary")
    without_waiting(monkeypatch)
    world = World()
    world.declare(things(id="THING#{user_id}"))
    world.delete("u4", deliver=False)
    parking = Parking(Bucket(), "parking", "index", Parallel(1))
    deployed = Deployment(world.branch, parking, Telemetry("index"), Streams(0), world.reconcile, world.rebuilder)
    served = Lambda({"index": deployed}, f"{TABLE}/stream/1=0")
    stack = clients("parking", None, served, dynamodb=Scanned(world.service))
    monkeypatch.setattr("cli.target.clients", lambda *_: stack)
    return world


RIGHT = {f"THING#u{n}": {"name": f"name {n}"} for n in range(4)}


def test_documents_that_no_item_makes_go_and_the_others_come(town, tmp_path, capsys):
    state = str(tmp_path / "state.json")
    assert main(["rebuild", "index", "--stack", "shop", "--state", state]) == 0
    assert town.shown() == RIGHT
    assert "4 items, 0 left" in capsys.readouterr().out
    assert json.loads((tmp_path / "state.json").read_text())["segments"]["things-g0/0"]["done"]


def test_a_dry_run_changes_nothing(town, capsys):
    before = town.shown()
    assert main(["rebuild", "index", "--stack", "shop", "--dry-run"]) == 0
    assert "5 would be removed or corrected" in capsys.readouterr().out
    assert town.shown() == before


def rebuild_in_one(*arguments):
    return main(["rebuild", "index", "--stack", "shop", "--segments", "1", *arguments])


def test_a_page_that_fails_is_not_passed_over(town, monkeypatch, capsys):
    looked, not_made = [], IndexRebuilder._not_made

    def failing(self, *asked):
        looked.append(asked)
        if len(looked) == 2:
            raise Unavailable("busy")
        return not_made(self, *asked)

    monkeypatch.setattr(IndexRebuilder, "_not_made", failing)
    assert rebuild_in_one() == 0
    assert town.shown() == RIGHT
    assert "5 removed or corrected, 0 left" in capsys.readouterr().out


@pytest.mark.parametrize("twice", [2, 3, 4])
def test_a_page_that_was_asked_for_twice_unnoticed_is_not_passed_over(town, twice, monkeypatch):
    sweep, calls = IndexRebuilder.sweep, []

    def retried(self, asked, deadline):
        """As botocore asks again after a connection that broke."""
        calls.append(asked)
        if len(calls) == twice:
            behind = After(asked.cursor["scroll"]["S"], int(asked.cursor["left"]["N"]))
            with suppress(Unavailable):
                page(town.engine, "things-g0", 0, 1, behind, 2)
        return sweep(self, asked, deadline)

    monkeypatch.setattr(IndexRebuilder, "sweep", retried)
    assert rebuild_in_one() == 0
    assert town.shown() == RIGHT


def test_a_scan_that_keeps_failing_ends_the_run_as_not_done(town, monkeypatch, capsys):
    engine, scrolled = town.engine, town.engine._scrolled
    searching = []

    def scroll(**call):
        answer = type(engine).scroll(engine, **call)
        return answer if searching else {**answer, "_shards": {"failed": 1}}

    def first(*asked):
        searching.append(1)
        try:
            return scrolled(*asked)
        finally:
            searching.clear()

    monkeypatch.setattr(engine, "scroll", scroll)
    monkeypatch.setattr(engine, "_scrolled", first)
    assert rebuild_in_one("--dry-run") != 0
    assert "begin the scan anew" in capsys.readouterr().err


def test_what_a_run_left_the_next_one_with_its_state_file_removes(town, tmp_path, monkeypatch):
    state = tmp_path / "state.json"
    with monkeypatch.context() as patched:
        patched.setattr(IndexRebuilder, "_replaced", lambda *_: Swept(left=Counter({"busy": 2})))
        assert rebuild_in_one("--state", str(state)) == 1
    assert not state.exists() or "scroll" not in state.read_text()
    assert len(town.shown()) == 5
    assert rebuild_in_one("--state", str(state)) == 0
    assert town.shown() == RIGHT


def test_a_state_file_never_holds_what_only_one_request_can_use(town, tmp_path, monkeypatch):
    state, seen = tmp_path / "state.json", []
    reached = State.reached

    def kept(self, segment, cursor, left=0):
        reached(self, segment, cursor, left)
        seen.append(state.read_text())

    monkeypatch.setattr(State, "reached", kept)
    assert rebuild_in_one("--state", str(state)) == 0
    assert seen
    assert not any("scroll" in each for each in seen)


def test_the_doctor_names_the_rebuild_that_is_due_until_it_is_done(town, capsys):
    assert main(["doctor", "--index", "--stack", "shop"]) == 1
    assert "distributary rebuild index --view things --stack shop" in capsys.readouterr().out
    assert rebuild_in_one() == 0
    capsys.readouterr()
    assert main(["doctor", "--index", "--stack", "shop"]) == 0
    assert "of all 1 indexes were written as they are declared" in capsys.readouterr().out
