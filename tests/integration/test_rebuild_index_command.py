"""`distributary rebuild index`: an index that an earlier declaration filled shows what is declared now."""

import json

import pytest

from cli.main import main
from distributary.consumer.consume import Deployment
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.consumer.streams import Streams
from distributary.consumer.telemetry import Telemetry
from tests.fakes.stack import Lambda, clients
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
    monkeypatch.setattr("time.sleep", lambda _: None)
    world = World()
    world.declare(things(id="THING#{user_id}"))
    world.tables.delete_item(TableName=TABLE, Key={"user_id": {"S": "u4"}})
    parking = Parking(Bucket(), "parking", "index", Parallel(1))
    deployed = Deployment(world.branch, parking, Telemetry("index"), Streams(0), world.reconcile, world.rebuilder)
    stack = clients("parking", None, Lambda({"index": deployed}, f"{TABLE}/stream/1=0"), dynamodb=Scanned(world.tables))
    monkeypatch.setattr("cli.rebuilding.clients", lambda *_: stack)
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
