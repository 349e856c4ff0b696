"""`distributary status`: a deployed stack on one screen, by an operator who may only read."""

import json
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
from botocore.exceptions import NoRegionError

from cli.main import main
from cli.status import command, parked
from cli.status.row import PERMISSIONS
from distributary.consumer.deadline import FOREVER
from distributary.consumer.outcome import parked as end_of
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.derive import Entity, Projection
from distributary.errors import Rejected
from tests.fakes.answers import refusal
from tests.fakes.built import DERIVED, derive
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.monitored import STREAM, TABLE, Monitored
from tests.fakes.s3 import Versioned
from tests.unit.records import change

PROJECT = """
from distributary.derive import Entity, Projection
USER = Entity(name="user", keys=("user_id",), attributes=("name",))
VIEWS = [Projection(name="profile", of=USER, pk="USER#{user_id}", sk="PROFILE", keep=(KEEP,))]
"""
HOSTILE = "no such thing\nfault    stack: \x1b[31mgone\x1b[0m\u2028\u202eabc"


class Town:
    """The stack `shop`, and a project that declares what its rows were written under."""

    def __init__(self, folder, monkeypatch, capsys, branches=()):
        self.s3 = Versioned("parking")
        self.seen = Monitored(self.s3, "parking", *branches)
        monkeypatch.setattr(command, "clients", lambda endpoint, region: self.seen.clients)
        self.capsys, self.now = capsys, datetime.now(UTC)
        self.views, self.folder = folder / "functions" / "derive" / "views.py", folder
        self.views.parent.mkdir(parents=True)
        (folder / "template.yaml").write_text("")
        self.views.write_text(PROJECT.replace("KEEP", '"name"'))
        self.seen.ledger, self.places = self.written(), count()

    def written(self):
        """The row of the ledger table that derive writes for these views."""
        user = Entity(name="user", keys=("user_id",), attributes=("name",))
        view = Projection(name="profile", of=user, pk="USER#{user_id}", sk="PROFILE", keep=("name",))
        service = DynamoDB({"source": {"user_id": "S"}, **DERIVED})
        derive([view], service).apply([change(new={"name": {"S": "Ada"}})], FOREVER)
        return service.state["ledger"][("%derive",)]

    def ago(self, minutes):
        return self.now - timedelta(minutes=minutes)

    def park(self, branch, cause, many=1):
        for at in range(many):
            changed = change(next(self.places), user=f"u-{at}")
            parking = Parking(self.s3, "parking", branch, Parallel(1))
            assert parking.park([(changed, end_of(Rejected(cause)))], FOREVER) == [None]

    def status(self, *arguments):
        code = main(["--project", str(self.folder), "status", "--stack", "shop", *arguments])
        return code, self.capsys.readouterr().out

    def rows(self):
        code, out = self.status("--json", "-")
        report = json.loads(out)
        assert report["status"] == code
        return code, {row["check"]: row for row in report["rows"]}


@pytest.fixture
def town(tmp_path, monkeypatch, capsys):
    return Town(tmp_path, monkeypatch, capsys)


def test_a_stack_that_is_well_says_so_and_ends_with_0(town):
    code, out = town.status()
    assert code == 0
    assert out.splitlines()[-1].endswith("nothing needs attention")
    assert all(line.startswith("ok ") or "drift" in line for line in out.splitlines()[:-1] if "fix:" not in line)


def test_the_screen_has_each_part_for_each_function(town):
    _, rows = town.rows()
    for part in ("mappings", "lag", "outcomes", "streams"):
        assert {f"{part} {branch}" for branch in town.seen.branches} <= rows.keys()
    assert {"stack", "alarms", "parked", "drift", "declarations"} <= rows.keys()
    assert rows["stack"]["values"] == {"state": "UPDATE_COMPLETE", "generation": "3"}


def test_only_the_functions_that_are_deployed_are_shown(tmp_path, monkeypatch, capsys):
    _, rows = Town(tmp_path, monkeypatch, capsys, ("archive",)).rows()
    assert not any(other in check for check in rows for other in ("derive", "drift", "declarations", "index"))


def test_the_outcomes_are_those_of_the_last_hour_alone(town):
    for name, many in (("Received", 12), ("Applied", 9), ("Superseded", 3)):
        town.seen.measured("index", name, (town.ago(70), 1000), (town.ago(40), many - 1), (town.ago(2), 1))
    _, rows = town.rows()
    values = rows["outcomes index"]["values"]
    assert (values["Received"], values["Applied"], values["Superseded"], values["Failed"]) == (12, 9, 3, 0)
    assert rows["outcomes index"]["found"].startswith("12 received in the last hour: 9 applied, 3 superseded")


@pytest.mark.parametrize(
    ("metric", "part"), [("UnlistedStream", "unlisted"), ("RebuildDue", "doctor --derive"), ("Failed", "failed")]
)
def test_a_count_that_needs_attention_ends_with_1(town, metric, part):
    town.seen.measured("derive", "Received", (town.ago(5), 100))
    town.seen.measured("derive", metric, (town.ago(5), 50))
    code, rows = town.rows()
    assert (code, rows["outcomes derive"]["level"]) == (1, "fault")
    assert part in rows["outcomes derive"]["fix"]


def test_a_function_that_cannot_start_for_its_streams_is_named(town):
    town.seen.listed = f"{STREAM}=4,{STREAM}"
    code, rows = town.rows()
    assert (code, rows["streams derive"]["level"]) == (2, "unknown")
    assert rows["streams derive"]["found"].startswith("derive cannot start: STREAMS: give one generation to")


def test_a_few_failures_are_normal(town):
    town.seen.measured("derive", "Received", (town.ago(5), 100))
    town.seen.measured("derive", "Failed", (town.ago(5), 10))
    assert town.rows()[0] == 0


def test_the_lag_is_that_of_the_last_minutes_against_the_stacks_limit(town):
    town.seen.measured("derive", "IteratorAge", (town.ago(50), 900_000), (town.ago(3), 1500))
    town.seen.measured("derive", "Lag", (town.ago(3), 2.5))
    _, rows = town.rows()
    assert rows["lag derive"]["values"] == {"iterator_age_seconds": 1.5, "lag_seconds": 2.5}
    town.seen.measured("derive", "IteratorAge", (town.ago(3), 60_001))
    code, rows = town.rows()
    assert (code, rows["lag derive"]["level"]) == (1, "fault")


@pytest.mark.parametrize(
    ("more", "level"),
    [
        ({"State": "Disabled"}, "fault"),
        ({"LastProcessingResult": "PROBLEM: Function call failed"}, "fault"),
        ({"State": "Updating"}, "note"),
        ({"LastProcessingResult": "No records processed"}, "ok"),
    ],
)
def test_a_mapping_shows_its_state_and_its_last_result(town, more, level):
    town.seen.mappings["welcome"] = [town.seen.mapping(**more)]
    _, rows = town.rows()
    assert rows["mappings welcome"]["level"] == level
    assert next(iter(more.values())) in rows["mappings welcome"]["found"]


def test_a_function_without_a_mapping_needs_attention(town):
    town.seen.mappings["welcome"] = []
    code, rows = town.rows()
    assert (code, rows["mappings welcome"]["level"]) == (1, "fault")


@pytest.fixture
def trunked(town):
    """`derive` and `archive` are in a trunk."""
    town.seen.carries = ("derive", "archive")
    town.seen.mappings |= {"trunk": [town.seen.mapping()], "derive": [town.seen.mapping(State="Disabled")]}
    return town


def test_the_branches_of_a_trunk_are_shown_and_their_own_mappings_may_rest(trunked):
    code, rows = trunked.rows()
    assert {rows[each]["level"] for each in ("mappings trunk", "mappings derive", "trunk derive", "trunk archive")} == {
        "ok"
    }
    assert rows["trunk derive"]["found"] == "closed; 0 deferred"
    assert "trunk index" not in rows
    assert code == 0


def test_a_branch_that_is_paused_needs_attention(trunked):
    trunked.seen.claims["archive"] = {
        "id": {"S": "archive"},
        "state": {"S": "paused"},
        "since": {"N": "1795000000"},
        "item": {"S": ""},
    }
    code, rows = trunked.rows()
    assert (code, rows["trunk archive"]["level"]) == (1, "fault")
    assert "distributary resume archive --stack shop" in rows["trunk archive"]["fix"]


def test_an_alarm_names_its_page(town):
    town.seen.alarms["shop-DeriveParkedAlarm-1"] = "ALARM"
    code, rows = town.rows()
    assert code == 1
    assert rows["alarm"]["fix"] == "see docs/alarms.md#parkedalarm"


def test_parked_changes_are_counted_by_cause(town):
    town.park("derive", "a text in a sum", 3)
    town.park("index", "too long", 1)
    code, out = town.status("--json", "-")
    groups = [row["values"] for row in json.loads(out)["rows"] if row["check"].startswith("parked ")]
    assert code == 1
    assert [(each["branch"], each["cause"], each["changes"]) for each in groups] == [
        ("derive", "a text in a sum", 3),
        ("index", "too long", 1),
    ]


def test_of_very_many_parked_objects_the_first_are_read(town, monkeypatch):
    monkeypatch.setattr(parked, "OBJECTS", 2)
    town.park("derive", "a text in a sum", 5)
    _, rows = town.rows()
    assert rows["parked derive"]["found"].startswith("at least 2 ")
    assert "there are more" in rows["parked"]["found"]


def test_many_causes_leave_room_for_the_rest_of_the_screen(town):
    for number in range(parked.CAUSES + 4):
        town.park("derive", f"cause {number}")
    _, out = town.status()
    assert sum(" parked derive: " in line for line in out.splitlines()) == parked.CAUSES
    assert "4 more changes, of 4 further causes" in out


@pytest.mark.parametrize(("share", "level"), [(0, "ok"), (2, "fault")])
def test_the_last_comparison_of_the_replica_is_shown(town, share, level):
    town.seen.measured("replicate", "Drift", (town.ago(600), 7), (town.ago(60), share), service="drift")
    town.seen.measured("replicate", "Compared", (town.ago(600), 90), (town.ago(60), 80), service="drift")
    _, rows = town.rows()
    assert (rows["drift"]["level"], rows["drift"]["values"]) == (level, {"drift": share, "compared": 80})


def test_another_stream_of_the_table_is_seen_before_a_change_fails(town):
    town.seen.latest = STREAM.replace("2026", "2027")
    code, rows = town.rows()
    assert code == 1
    assert town.seen.latest in rows["streams derive"]["found"]


@pytest.mark.parametrize(
    ("state", "level"), [("ACTIVE", "ok"), ("UPDATING", "ok"), ("DISABLED", "fault"), (None, "fault")]
)
def test_a_table_that_writes_nothing_into_its_data_stream_is_seen(town, state, level):
    town.seen.listed = f"{TABLE}/stream/kinesis/changes"
    data_stream = "arn:aws:kinesis:eu-west-1:123456789012:stream/changes"
    town.seen.destinations = {data_stream: state} if state else {}
    row = town.rows()[1]["streams derive"]
    assert row["level"] == level
    assert "users: generation 3, Kinesis changes" in row["found"]


def test_a_stream_without_old_images_needs_attention(town):
    town.seen.view = "KEYS_ONLY"
    assert town.rows()[1]["streams index"]["level"] == "fault"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (PROJECT.replace("KEEP", '"user_id"'), "declared otherwise"),
        (PROJECT.replace("KEEP", '"name"').replace("profile", "other"), "is new"),
        ("VIEWS = 1", "not compared"),
    ],
)
def test_declarations_of_the_project_are_compared_with_the_deployed(town, source, said):
    town.views.write_text(source)
    _, out = town.status()
    assert said in out


OF_S3 = {
    "ListObjectVersions": "list_object_versions",
    "ListObjectsV2": "list_objects_v2",
    "GetObject": "get_object",
}


@pytest.mark.parametrize("operation", sorted(PERMISSIONS))
def test_a_missing_permission_is_a_row_that_names_it(trunked, operation, monkeypatch):
    town = trunked
    town.park("derive", "a cause")
    if operation in OF_S3:
        refused = Refusing(town.s3, operation)
        monkeypatch.setattr(town.seen, "s3", refused)
    town.seen.denied.add(operation)
    code, rows = town.rows()
    unread = [row for row in rows.values() if row["level"] == "unknown"]
    assert unread
    said = f"the permission {PERMISSIONS[operation]} is missing"
    if operation == "BatchGetItem":
        said = "breaker BatchGetItem: AccessDenied; grant the function's role this action (a command: your own role)"
    assert {row["found"] for row in unread} == {said}
    assert code == (2 if operation in ("DescribeStacks", "ListObjectVersions", "GetObject") else 1)


class Refusing:
    """S3 without one permission."""

    def __init__(self, s3, operation):
        self._s3, self._operation = s3, operation

    def __getattr__(self, name):
        if name == OF_S3[self._operation]:

            def refuse(**_):
                raise refusal(self._operation, "AccessDenied", "not authorized", 403)

            return refuse
        return getattr(self._s3, name)


def test_everything_that_it_asks_for_is_a_permission_to_read(trunked):
    trunked.status()
    assert trunked.seen.called <= PERMISSIONS.keys()
    assert all(operation.startswith(("Get", "List", "Describe", "BatchGet")) for operation in PERMISSIONS)


def test_what_could_not_be_read_ends_with_2_and_a_fault_beside_it_with_1(town):
    town.seen.denied.add("DescribeAlarms")
    assert town.rows()[0] == 2
    town.seen.state = "UPDATE_ROLLBACK_FAILED"
    assert town.rows()[0] == 1


def test_nothing_that_was_written_into_an_item_breaks_out_of_its_line(town):
    town.status()
    _, before = town.status()
    town.park("derive", HOSTILE)
    town.seen.mappings["index"] = [town.seen.mapping(LastProcessingResult=HOSTILE)]
    town.seen.alarms[HOSTILE] = "ALARM"
    _, out = town.status()
    assert all(each.isprintable() for each in out.splitlines())
    assert "\\n" in out
    starts = [line.split(":")[0] for line in out.splitlines()]
    assert starts.count("ok       stack") == 1
    assert "fault    stack" not in starts
    assert len(out.splitlines()) == len(before.splitlines()) + 1 + 2  # three rows changed level, and have a fix


def test_watching_looks_again_until_it_is_interrupted(town, monkeypatch):
    looks = []

    def sleep(seconds):
        looks.append(seconds)
        if len(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(command, "time", SimpleNamespace(sleep=sleep))  # threads of other tests sleep too
    code, out = town.status("--watch", "--every", "7")
    assert (code, looks) == (130, [7, 7, 7])
    assert out.count("nothing needs attention") == 3


@pytest.mark.parametrize(("name", "fault"), [("no", "there is no stack 'no'"), ("", "the name is empty")])
def test_no_stack_of_that_name_ends_with_2(town, name, fault):
    assert main(["status", "--stack", name]) == 2
    said = town.capsys.readouterr()
    assert (fault in said.err, said.out) == (True, "")


def test_where_aws_cannot_be_reached_nothing_is_said_to_be_well(town, monkeypatch):
    def refuse(**_):
        raise NoRegionError

    monkeypatch.setattr(command, "clients", lambda *_: lambda service: SimpleNamespace(describe_stacks=refuse))
    code, out = town.status()
    assert (code, "nothing could be read" in out) == (2, True)
    assert "give --region" in out
    assert "run it again" not in out
    assert "nothing needs attention" not in out


def test_the_page_names_every_permission_and_how_many_metrics_are_asked_for(town):
    page = (Path(__file__).parents[2] / "docs/watching.md").read_text()
    assert [each for names in PERMISSIONS.values() for each in names.split(" and ") if f"`{each}`" not in page] == []
    town.status()
    assert f"requests {town.seen.requested}." in page
