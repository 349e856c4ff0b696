"""`distributary parked`: what could not be processed is listed, and goes through once its cause is gone."""

import json
import uuid
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from cli.main import main
from distributary.consumer import outcome as outcomes
from distributary.consumer.consume import Deployment
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import APPLIED, Outcome, Status
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.consumer.streams import Streams
from distributary.consumer.telemetry import Telemetry
from distributary.derive import Entity, Projection
from distributary.derive.factory import reconciler
from distributary.errors import Rejected, Unavailable
from distributary.readers.parked import Bucket
from distributary.replicate import Mirror, MultiActive, by_attribute, last_writer
from distributary.replicate.factory import reconciler as of_replica
from distributary.replicate.multi_active.factory import between
from distributary.stream import version as versions
from distributary.stream.change import REPLICA_VERSION
from distributary.stream.records import decode
from distributary.welcome.branch import LATE
from tests.fakes.built import derive, mirror
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.serial import Serial
from tests.fakes.stack import ACCOUNT, Lambda, clients
from tests.fakes.waiting import without_waiting
from tests.replaced import replace
from tests.simulation.mesh import NOTHING
from tests.unit.branches import Ledger
from tests.unit.records import ARN, stream_record

USER = Entity(name="user", keys=("user_id",), attributes=("name",))
VIEWS = [Projection(name="profile", of=USER, pk="USER#{user_id}", sk="PROFILE", keep=("name",))]
SCHEMAS = {
    "source": {"user_id": "S"},
    "derived": {"pk": "S", "sk": "S"},
    "ledger": {"id": "S"},
    "tombstones": {"id": "S"},
    "replica": {"user_id": "S"},
}
AT = {"region_name": "eu-west-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}
WHY = outcomes.parked(Rejected("the cause", "the detail"))


class Service(DynamoDB):
    """Says nothing of what it consumed."""

    def batch_get_item(self, *, RequestItems, ReturnConsumedCapacity="NONE"):
        return super().batch_get_item(RequestItems=RequestItems)

    def describe_table(self, *, TableName):
        assert TableName == "users"
        key = {"AttributeName": "user_id"}
        return {"Table": {"KeySchema": [key], "AttributeDefinitions": [{**key, "AttributeType": "S"}]}}


class Town:
    """A stack with derive, replicate and welcome, and its parking bucket."""

    def __init__(self, url):
        self.bucket = f"parking-{uuid.uuid4().hex[:8]}"
        self.s3 = boto3.client("s3", endpoint_url=url, **AT)
        self.s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        self.s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        self.service = Service(SCHEMAS)
        branch = derive(VIEWS, self.service)
        self.welcome = Ledger(APPLIED)
        replica = mirror(self.service, Mirror(expired="ignore"))
        mirrored = of_replica(replica, lambda *_, **__: self.service, lambda: "source", 3)
        self.functions = Lambda(
            {
                "derive": self._deployment("derive", branch, reconciler(branch, lambda: "source", 0)),
                "welcome": self._deployment("welcome", self.welcome),
                "replicate": self._deployment("replicate", replica, mirrored),
            },
            f"{ARN}=3",
        )
        self.clients = clients(self.bucket, self.s3, self.functions, dynamodb=self.service)

    def _deployment(self, name, branch, reconcile=None):
        parking = Parking(self.s3, self.bucket, name, Parallel(1))
        return Deployment(branch, parking, Telemetry(name), Streams(0), reconcile, replays=name == "welcome")

    def written_to_with(self, region, rule):
        """The source is written to in another region, too: its tables there."""
        away, tables = Service(SCHEMAS), dict.fromkeys(("eu-west-1", region), ("source", "tombstones"))
        declared = MultiActive(regions=tuple(tables), rule=rule)
        regions = {"eu-west-1": self.service, region: away}
        branch = between(declared, regions, tables, 7, REPLICA_VERSION, None, Serial())
        function = self._deployment("replicate", branch, of_replica(branch, *NOTHING, 3))
        self.functions.functions["replicate"] = function
        return away

    def hears(self, *records):
        branch = self.functions.functions["replicate"].branch
        ends = branch.apply(decode({"Records": list(records)}, 3), Deadline(float("inf")))
        assert {end.status for end in ends} == {Status.APPLIED}

    def park(self, *records, branch="derive", end=WHY):
        entries = decode({"Records": list(records)}, 3)
        parking = Parking(self.s3, self.bucket, branch, Parallel(1))
        assert not any(parking.park([(entry, end) for entry in entries], Deadline(float("inf"))))

    def give_up(self, *records, branch="derive", name="batch"):
        body = {
            "requestContext": {"functionArn": f"{ACCOUNT}:{branch}:live", "condition": "RetryAttemptsExhausted"},
            "payload": json.dumps({"Records": list(records)}),
        }
        self.s3.put_object(Bucket=self.bucket, Key=f"aws/lambda/{name}", Body=json.dumps(body).encode())

    def put(self, user):
        self.service.put_item(TableName="source", Item={"user_id": {"S": user}, "name": {"S": f"name of {user}"}})

    def rows(self):
        return [pk for pk, _ in self.service.state["derived"]]

    def objects(self):
        return [each["Key"] for each in self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])]

    def run(self, *arguments, stack="shop"):
        return main(["parked", *arguments, "--stack", stack])


@pytest.fixture
def town(emulators, monkeypatch):
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Distributary")
    found = Town(emulators.aws)
    monkeypatch.setattr("cli.target.clients", lambda *_: found.clients)
    without_waiting(monkeypatch)
    return found


def item(user, at):
    return {"user_id": {"S": user}, "at": {"N": str(at)}}


def record(place, user="u"):
    return stream_record(place, user=user)


def test_a_parked_change_is_redriven_by_its_key_and_its_object_goes(town, capsys):
    town.put("u")
    town.park(record(1))
    assert town.run("redrive") == 0
    assert town.rows() == ["USER#u"]
    assert town.objects() == []
    assert capsys.readouterr().out == "1 redriven, 0 left\n"


def test_the_old_image_of_a_parked_change_is_never_written(town):
    """Parked on day 1, deleted on day 1, redriven on day 10, when no tombstone is left."""
    town.park(record(1))
    assert town.run("redrive") == 0
    assert town.rows() == []


def test_a_batch_that_lambda_gave_up_goes_once_all_of_its_items_are_right(town):
    town.put("a"), town.put("b")
    town.give_up(record(1, "a"), record(2, "b"), record(3, "a"))
    assert town.run("redrive") == 0
    assert sorted(town.rows()) == ["USER#a", "USER#b"]
    assert town.objects() == []
    ((event,),) = [[each["distributary"]["reconcile"] for each in town.functions.events]]
    assert [(each["key"]["user_id"]["S"], each["version"][5]) for each in event] == [("a", "3"), ("b", "3")]


def test_a_batch_stays_if_one_of_its_records_cannot_be_read(town, capsys):
    town.put("a")
    broken = record(2, "b")
    del broken["dynamodb"]["Keys"]
    town.give_up(record(1, "a"), broken)
    assert town.run("redrive") == 1
    assert town.rows() == ["USER#a"]
    assert town.objects() == ["aws/lambda/batch"]
    assert "its key cannot be read, so it stays; `distributary verify` covers its item" in capsys.readouterr().out


def test_a_batch_of_another_function_is_nothing_to_the_stack(town, capsys):
    town.give_up(record(1), branch="elsewhere")
    assert town.run("list") == 0
    assert capsys.readouterr().out == "nothing is parked\n"


@pytest.mark.parametrize("versioned", [True, False])
def test_a_change_that_fails_again_is_kept_with_its_history(town, versioned):
    """Also in a bucket of this machine, which keeps no versions."""
    if not versioned:
        town.s3.put_bucket_versioning(Bucket=town.bucket, VersioningConfiguration={"Status": "Suspended"})
    town.put("u")
    town.park(record(1))
    town.functions.functions["derive"] = town._deployment(
        "derive", None, lambda asked, _: [outcomes.failed(Unavailable("still broken"))] * len(asked)
    )
    assert [town.run("redrive"), town.run("redrive")] == [1, 1]
    (name,) = town.objects()
    kept = json.loads(town.s3.get_object(Bucket=town.bucket, Key=name)["Body"].read())
    assert [each["cause"] for each in kept["redrives"]] == ["still broken"] * 2
    assert kept["cause"] == "the cause"


def test_what_was_parked_under_the_same_name_meanwhile_is_not_removed(town):
    town.put("u")
    town.park(record(1))
    again = town.functions.functions["derive"].reconciler

    def parked_again(asked, deadline):
        town.park(record(1))
        return again(asked, deadline)

    town.functions.functions["derive"] = town._deployment("derive", None, parked_again)
    assert town.run("redrive") == 0
    assert len(town.objects()) == 1


def test_a_parked_message_is_sent_from_its_record(town, capsys):
    town.park(record(1), record(2, "v"), branch="welcome")
    assert town.run("redrive", "--branch", "welcome") == 0
    assert capsys.readouterr().out == "2 redriven, 0 left\n"
    assert sorted(each.keys["user_id"] for each in town.welcome.seen) == ["u", "v"]
    assert town.objects() == []


def test_a_message_that_is_too_old_is_sent_on_demand_alone(town, capsys):
    town.park(record(1), branch="welcome")
    town.welcome.default = Outcome(Status.IGNORED, LATE)
    assert town.run("redrive", "--branch", "welcome") == 1
    assert f"left: 1 of welcome: {LATE}; --even-if-old sends it" in capsys.readouterr().out
    assert len(town.objects()) == 1
    town.welcome.default = APPLIED
    assert town.run("redrive", "--branch", "welcome", "--even-if-old") == 0
    assert town.welcome.seen[-1].created is None
    assert town.objects() == []


def test_a_message_whose_claim_may_be_forgotten_is_said_to_be(town, capsys, monkeypatch):
    town.park(record(1), branch="welcome")
    monkeypatch.setattr("cli.parking.datetime", Later)
    assert town.run("redrive", "--branch", "welcome", "--even-if-old") == 0
    assert (
        "1 of welcome were made longer ago than claims of rules that send again are kept (ClaimDays), so it"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("says_when", [True, False])
def test_a_failed_redrive_makes_no_parked_message_younger(town, capsys, monkeypatch, says_when):
    """Parked 31 days ago, and its object written again today."""
    change, parked_at = record(1), Bucket.places
    if not says_when:
        del change["dynamodb"]["ApproximateCreationDateTime"]
    else:
        change["dynamodb"]["ApproximateCreationDateTime"] = (datetime.now(UTC) - timedelta(days=31)).timestamp()
    town.park(change, branch="welcome")

    def long_ago(bucket, prefix, since):
        return [replace(each, when=each.when - timedelta(days=31)) for each in parked_at(bucket, prefix, since)]

    town.welcome.default = Outcome(Status.IGNORED, LATE)
    with monkeypatch.context() as before:
        before.setattr(Bucket, "places", long_ago)
        assert town.run("redrive", "--branch", "welcome") == 1
    assert town.run("redrive", "--branch", "welcome") == 1
    town.welcome.default = APPLIED
    assert town.run("redrive", "--branch", "welcome", "--even-if-old") == 0
    assert (
        "1 of welcome were made longer ago than claims of rules that send again are kept (ClaimDays), so it"
        in capsys.readouterr().err
    )


class Later(datetime):
    """The clock, 31 days on."""

    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + timedelta(days=31)


def test_a_replicas_parked_changes_are_redriven_by_their_keys(town):
    """An edit of an item that is there, a delete by the application, and one by TTL."""
    town.put("a")
    for user in "bc":
        row = {"user_id": {"S": user}, REPLICA_VERSION: {"S": versions.to_text(versions.of(3, 5), mark=versions.LIVE)}}
        town.service.put_item(TableName="replica", Item=row)
    ttl = {"userIdentity": {"type": "Service", "principalId": "dynamodb.amazonaws.com"}}
    deletes = stream_record(2, "REMOVE", "b"), stream_record(3, "REMOVE", "c", **ttl)
    town.park(record(1, "a"), *deletes, branch="replicate")
    assert town.run("redrive", "--branch", "replicate") == 0
    assert town.objects() == []
    assert sorted(town.service.state["replica"]) == [("a",), ("c",)]
    kept = town.service.state["replica"]["c",][REPLICA_VERSION]["S"]
    assert (versions.mark_in(kept), versions.from_text(kept) % 10) == (versions.KEPT, 9)


@pytest.mark.parametrize("rule", [last_writer("at", "seconds"), by_attribute("at", "seconds")], ids=["whole", "merged"])
def test_parked_changes_of_several_regions_are_redriven_by_their_records(town, rule):
    """Two edits, of which the later one is there, and a delete of what both regions hold."""
    away = town.written_to_with("us-east-1", rule)
    first, second = item("a", 1), item("a", 2)
    town.service.put_item(TableName="source", Item=second)
    town.hears(stream_record(1, user="b", new=item("b", 1)))
    assert set(away.state["source"]) == {("b",)}
    town.park(stream_record(2, user="a", new=first), branch="replicate")
    town.park(stream_record(3, "MODIFY", "a", old=first, new=second), branch="replicate")
    town.give_up(stream_record(4, "REMOVE", "b", old=item("b", 1)), branch="replicate")
    assert town.run("redrive", "--branch", "replicate") == 0
    assert town.objects() == []
    assert [row["at"] for row in away.state["source"].values()] == [{"N": "2"}]


def test_a_command_is_split_before_its_records_are_too_much_for_one_event(town, monkeypatch):
    town.written_to_with("us-east-1", last_writer("at", "seconds"))
    monkeypatch.setattr("distributary.feed.invoke.EVENT_BYTES", 2_000)
    for place, user in enumerate("abcdef"):
        town.service.put_item(TableName="source", Item=item(user, 1))
        town.park(stream_record(place, user=user, new=item(user, 1)), branch="replicate")
    assert town.run("redrive") == 0
    sizes = [len(json.dumps(event)) for event in town.functions.events]
    assert (len(sizes) > 1, max(sizes) < 2_100, town.objects()) == (True, True, [])


def test_a_change_that_was_parked_twice_goes_with_all_its_versions(town):
    town.put("u")
    town.park(record(1)), town.park(record(1))
    assert town.run("redrive") == 0
    assert town.objects() == []
    assert "Versions" not in town.s3.list_object_versions(Bucket=town.bucket)


def test_a_batch_whose_payload_is_no_json_is_listed_and_stays(town, capsys):
    body = {"requestContext": {"functionArn": f"{ACCOUNT}:derive"}, "payload": "{"}
    town.s3.put_object(Bucket=town.bucket, Key="aws/lambda/torn", Body=json.dumps(body).encode())
    assert town.run("redrive") == 1
    assert "its key cannot be read" in capsys.readouterr().out
    assert town.objects() == ["aws/lambda/torn"]


def test_what_is_removed_while_the_bucket_is_read_is_passed_over(town, monkeypatch):
    town.put("u"), town.put("b")
    town.park(record(1), record(2, "b"))
    read, seen = Bucket._content, []

    def removed_first(bucket, place):
        seen.append(place)
        if len(seen) == 1:
            bucket.remove(place)
        return read(bucket, place)

    monkeypatch.setattr(Bucket, "_content", removed_first)
    assert town.run("redrive") == 0
    assert len(town.rows()) == 1
    assert town.objects() == []


def test_list_groups_by_branch_and_cause(town, capsys):
    town.park(record(1), record(2, "b"))
    town.park(record(3), branch="welcome", end=outcomes.parked(Rejected("other\ncause")))
    assert town.run("list", "--json", "-") == 0
    found = json.loads(capsys.readouterr().out)["parked"]
    assert [(each["branch"], each["cause"], each["changes"]) for each in found] == [
        ("derive", "the cause", 2),
        ("welcome", "other\ncause", 1),
    ]
    town.run("list")
    assert "other\\ncause" in capsys.readouterr().out


def test_show_prints_a_change_whole_and_chooses_by_key(town, capsys):
    town.park(record(1), record(2, "b"))
    assert town.run("show", "--key", '{"user_id": {"S": "b"}}') == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["detail"] == "the detail"
    assert json.loads(line)["key"] == {"user_id": {"S": "b"}}


def test_delete_removes_what_is_chosen_and_wants_a_choice(town, capsys):
    town.park(record(1), record(2, "b"))
    assert town.run("delete") == 2
    assert "say what to delete" in capsys.readouterr().err
    assert town.run("delete", "--cause", "cause", "--dry-run") == 0
    assert len(town.objects()) == 2
    assert town.run("delete", "--key", '{"user_id": {"S": "b"}}') == 0
    assert len(town.objects()) == 1


def test_a_dry_run_counts_and_changes_nothing(town, capsys):
    town.put("u")
    town.park(record(1))
    assert town.run("redrive", "--dry-run") == 0
    assert capsys.readouterr().out == "1 changes would be redriven\n"
    assert (town.rows(), len(town.objects())) == ([], 1)


@pytest.mark.parametrize(
    ("arguments", "stack", "says"),
    [
        (["list"], "shopp", "there is no stack 'shopp'"),
        (["list", "--branch", "derived"], "shop", "--branch derived: give derive, index, welcome, replicate, archive"),
        (
            ["show", "--key", '{"user": {"S": "u"}}'],
            "shop",
            '--key: users has another key: give {"user_id": {"S": "..."}}',
        ),
        (["redrive", "--key", '{"user_id": {"N": "1"}}'], "shop", "--key: users has another key"),
        (["show", "--key", "u"], "shop", "--key: give the item's whole key as DynamoDB JSON"),
    ],
)
def test_a_mistake_is_one_line(town, capsys, arguments, stack, says):
    assert town.run(*arguments, stack=stack) == 2
    assert says in capsys.readouterr().err


def test_a_function_of_another_version_is_said_to_be_one(town, capsys):
    town.park(record(1))
    town.functions.functions["derive"] = town._deployment("derive", Ledger(APPLIED))
    assert town.run("redrive") == 2
    assert "derive does not reconcile items" in capsys.readouterr().err


WRONG = {
    "no JSON": b"nonsense",
    "no text": b"\xff\xfe",
    "a list": b"[1]",
    "no parts": b"{}",
    "no record": json.dumps({"format": 1}).encode(),
    "a key that is none": b"KEY",
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("wrong", WRONG)
def test_an_object_that_is_no_parked_change_is_said_and_stays(town, wrong, capsys):
    town.put("v")
    town.park(record(1, user="u"))
    (name,) = town.objects()
    kept = json.loads(town.s3.get_object(Bucket=town.bucket, Key=name)["Body"].read())
    body = json.dumps({**kept, "key": "u"}).encode() if WRONG[wrong] == b"KEY" else WRONG[wrong]
    town.s3.put_object(Bucket=town.bucket, Key=name, Body=body)
    town.park(record(2, user="v"))
    assert town.run("list") == 0
    assert "the object is no parked change: " in capsys.readouterr().out
    assert town.run("show") == 0
    capsys.readouterr()
    assert town.run("redrive") == 1
    assert "1 redriven, 1 left" in capsys.readouterr().out
    assert town.objects() == [name]
