"""Tables of several regions are held against each other by the command and on a schedule; a repair makes all of them
hold what any of them knows."""

import json
import sys
import time
from contextlib import nullcontext
from types import SimpleNamespace

import boto3
import pytest
from moto import mock_aws

from cli.main import main
from distributary.consumer.deadline import FOREVER, Deadline
from distributary.consumer.parallel import Parallel
from distributary.replicate import MultiActive, by_attribute, last_writer
from distributary.replicate.multi_active.factory import between
from distributary.replicate.settings import DriftSettings
from distributary.replicate.verify import drift
from distributary.replicate.verify.tables import Place
from distributary.stream.change import REPLICA_VERSION
from distributary.stream.records import decode
from tests.contract.world import create_table
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.streaming import arn_of, record

US, EU, AP = REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
BOTH_IMAGES = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
ENDING = {"Enabled": True, "AttributeName": "expires_at"}
RULES = {"whole": last_writer("at", "seconds"), "merged": by_attribute("at", "seconds")}


class Tables:
    """`users` and `kept` in three regions of one account."""

    def __init__(self, rule, clients, folder):
        self.declared = MultiActive(regions=REGIONS, rule=rule)
        self.clients, self.folder = clients, folder

    def put(self, region, id, at, value="v", **more):
        item = {"id": {"S": id}, "at": {"N": str(at)}, "value": {"S": value}, **more}
        self.clients[region].put_item(TableName="users", Item=item)
        return item

    def carry(self, region, id, new=None, old=None, ends=("Applied",)):
        """A change of a region, through its function."""
        made = record(arn_of("users", region), {"id": {"S": id}}, old, new, 10**20 + time.monotonic_ns())
        clients = {each: self.clients[each] for each in sorted(REGIONS, key=lambda name: name != region)}
        tables = dict.fromkeys(clients, ("users", "kept"))
        branch = between(self.declared, clients, tables, 7, REPLICA_VERSION, None, Parallel(1))
        assert branch.apply(decode({"Records": [made]}, 0), FOREVER)[0].status in ends

    def replicated(self, id, at, value="v"):
        item = self.put(US, id, at, value)
        self.carry(US, id, item)
        return item

    def values(self, region):
        rows = self.clients[region].scan(TableName="users")["Items"]
        return {row["id"]["S"]: row["value"]["S"] for row in rows}

    def run(self, *arguments):
        """The exit status and the report."""
        told = self.folder / "report.json"
        given = ["users", "--region", US, "--pause", "0", "--json", str(told), *arguments]
        status = main(["verify", "replicate", *given])
        return status, json.loads(told.read_text())


@pytest.fixture(params=RULES)
def rule(request, monkeypatch):
    for name in ("REPLICA_TABLE", "REPLICA_REGION", "TOMBSTONE_TABLE"):
        monkeypatch.delenv(name, raising=False)
    declared = MultiActive(regions=REGIONS, rule=RULES[request.param])
    monkeypatch.setitem(sys.modules, "replica", SimpleNamespace(REPLICA=declared))
    monkeypatch.setattr("cli.project.declarations", lambda *_: nullcontext())
    return RULES[request.param]


@pytest.fixture
def tables(rule, monkeypatch, tmp_path):
    clients = {region: DynamoDB({"users": {"id": "S"}, "kept": {"id": "S"}}) for region in REGIONS}
    monkeypatch.setattr(Place, "client", lambda place, service="dynamodb": clients[place.region])
    monkeypatch.setattr(drift, "client", lambda service, region, *_, **__: clients[region or US])
    return Tables(rule, clients, tmp_path)


@pytest.fixture
def accounts(rule, monkeypatch, tmp_path):
    """The tables on moto, which knows of streams and of times to live."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        clients = {region: boto3.client("dynamodb", region) for region in REGIONS}
        for client in clients.values():
            create_table(client, "users", {"id": "S"})
            create_table(client, "kept", {"id": "S"})
        yield Tables(rule, clients, tmp_path)


def damaged(tables):
    """Every way in which one region may have been left behind."""
    for at, id in enumerate("abcde"):
        tables.replicated(id, at)
    tables.clients[EU].delete_item(TableName="users", Key={"id": {"S": "a"}})
    stale = tables.clients[AP].get_item(TableName="users", Key={"id": {"S": "b"}})["Item"]
    newer = tables.put(US, "b", 50, "newer")
    tables.carry(US, "b", newer, {"id": {"S": "b"}, "at": {"N": "1"}, "value": {"S": "v"}})
    tables.clients[AP].put_item(TableName="users", Item=stale)
    for region in (US, EU):
        tables.clients[region].delete_item(TableName="users", Key={"id": {"S": "c"}})
    tables.put(EU, "new", 7, "of eu alone")


def test_tables_that_agree_are_equal_though_their_marks_differ(tables, capsys):
    tables.replicated("a", 1)
    status, report = tables.run()
    assert (status, report["equal"], report["counts"]["items"]) == (0, True, 2)
    assert set(report["read_units"]) == set(REGIONS)
    assert "differences 0" in capsys.readouterr().out


def test_what_differs_is_named_with_the_region_that_lacks_it(tables):
    damaged(tables)
    status, report = tables.run()
    assert status == 1
    assert sorted((each["kind"], each["item"]) for each in report["differences"]) == [
        (f"differs in {AP}", "id=S:b"),
        (f"missing in {EU}", "id=S:a"),
        (f"missing in {US}", "id=S:c"),
        (f"missing in {US}", "id=S:new"),
    ]


def test_a_repair_makes_all_regions_hold_what_any_of_them_knows(tables):
    damaged(tables)
    tables.run("--repair", "--tombstone-table", "kept")
    assert tables.run()[0] == 0
    values = [tables.values(region) for region in REGIONS]
    assert values == [{"a": "v", "b": "newer", "c": "v", "d": "v", "e": "v", "new": "of eu alone"}] * 3


def test_a_deletion_that_one_region_did_not_hear_of_is_carried_there(tables):
    item = tables.replicated("a", 1)
    row = tables.clients[AP].get_item(TableName="users", Key={"id": {"S": "a"}})["Item"]
    tables.clients[US].delete_item(TableName="users", Key={"id": {"S": "a"}})
    tables.carry(US, "a", old=item)
    tables.clients[AP].put_item(TableName="users", Item=row)
    assert tables.run("--repair", "--tombstone-table", "kept")[0] == 0
    assert [tables.values(region) for region in REGIONS] == [{}] * 3


def test_an_edit_whose_record_was_lost_is_carried_by_a_repair(tables):
    tables.replicated("a", 1)
    tables.put(EU, "a", 9, "never carried")
    status, report = tables.run("--repair", "--tombstone-table", "kept")
    assert (status, report["counts"]["repaired"]) == (0, 1)
    assert [tables.values(region) for region in REGIONS] == [{"a": "never carried"}] * 3


def test_a_record_that_comes_after_the_repair_changes_nothing(tables):
    tables.replicated("a", 1)
    old = tables.clients[EU].get_item(TableName="users", Key={"id": {"S": "a"}})["Item"]
    new = tables.put(EU, "a", 9, "late")
    tables.run("--repair", "--tombstone-table", "kept")
    tables.carry(EU, "a", new, old, ends={"Applied", "Superseded"})
    assert tables.run()[0] == 0
    assert [tables.values(region) for region in REGIONS] == [{"a": "late"}] * 3


def test_of_items_that_were_there_before_the_greatest_is_everywhere(tables):
    tables.put(US, "a", 3, "of us")
    tables.put(EU, "a", 5, "of eu")
    assert tables.run("--repair", "--tombstone-table", "kept")[0] == 0
    assert [tables.values(region) for region in REGIONS] == [{"a": "of eu"}] * 3


def test_the_scheduled_look_counts_what_differs_and_writes_nothing(tables, monkeypatch):
    damaged(tables)
    monkeypatch.setenv("AWS_DEFAULT_REGION", US)
    settings = DriftSettings(
        parking_bucket="parking",
        generation=0,
        source_table_arn=f"arn:aws:dynamodb:{US}:123456789012:table/users",
        replica_table="users",
        replica_regions=(EU, AP),
        target_role="none",
        version_attribute=REPLICA_VERSION,
        read_units=1000,
        pause_seconds=0,
    )
    before = [tables.values(region) for region in REGIONS]
    report = drift.measured(settings, "users", Deadline(time.monotonic() + 60), lambda _: None)
    assert (report["differences"], drift.publish(report)["drift"]) == (4, 4)
    assert [tables.values(region) for region in REGIONS] == before


@pytest.mark.parametrize("region", [EU, "sa-east-1"])
def test_it_is_run_from_any_of_the_regions_and_from_no_other(tables, capsys, region):
    tables.replicated("a", 1)
    status = main(["verify", "replicate", "users", "--region", region, "--pause", "0"])
    assert status == (0 if region == EU else 2)
    assert ("which `regions` does not name" in capsys.readouterr().err) == (region != EU)


def doctor(capsys, *arguments):
    """The exit status, and levels and mends by check."""
    status = main(["doctor", "users", "--region", US, "--tombstone-table", "kept", "--json", *arguments])
    found = json.loads(capsys.readouterr().out)["findings"]
    return status, {each["check"]: each for each in found if each["level"] in ("fault", "unknown")}


def test_the_doctor_says_what_each_region_lacks_and_how_to_mend_it(accounts, capsys):
    for region in (US, EU):
        accounts.clients[region].update_table(TableName="users", StreamSpecification=BOTH_IMAGES)
        accounts.clients[region].update_time_to_live(TableName="kept", TimeToLiveSpecification=ENDING)
    accounts.put(EU, "a", 1, **{REPLICA_VERSION: {"N": "1"}})
    status, wrong = doctor(capsys)
    assert status == 1
    assert {check for check, each in wrong.items() if each["level"] == "fault"} == {
        f"{AP}: stream",
        f"{AP}: tombstones",
        f"{EU}: version attribute",
    }
    assert "update-time-to-live --region ap-south-1 --table-name kept" in wrong[f"{AP}: tombstones"]["fix"]


def test_the_doctor_changes_nothing(accounts, capsys):
    accounts.replicated("a", 1)
    before = [accounts.values(region) for region in REGIONS]
    doctor(capsys)
    assert [accounts.values(region) for region in REGIONS] == before
