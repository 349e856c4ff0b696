"""`distributary erase`: every trace of one item goes, in every version of it, and nothing of another item."""

import json
import uuid

import boto3
import pytest

from cli.main import main
from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import Deadline
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.errors import Rejected
from distributary.replicate.multi_active.conflicts import Conflicts, Side
from distributary.replicate.multi_active.crdt import NEVER
from distributary.stream.change import Undecodable
from distributary.stream.keys import identity
from distributary.trunk.deferred import Store, entry_again, entry_of
from distributary.welcome.claims import Claims
from distributary.welcome.suppressions import Suppressions
from tests.contract.world import create_table, table_names
from tests.unit.records import ARN, change, stream_record

AT = {"region_name": "eu-west-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}
END = outcomes.parked(Rejected("never", "the detail"))
SECRET = "ada@example.com"


@pytest.fixture
def stack(emulators, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    return Stack(emulators.aws)


class Stack:
    """A versioned parking bucket and a table of claims."""

    def __init__(self, url):
        self.url, self.bucket = url, f"parking-{uuid.uuid4().hex[:8]}"
        self.claims, self.deferred = f"claims-{uuid.uuid4().hex[:8]}", None
        self.s3, self.dynamodb = (boto3.client(each, endpoint_url=url, **AT) for each in ("s3", "dynamodb"))
        self.s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        self.s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        create_table(self.dynamodb, self.claims, {"id": "S"})
        if "users" not in table_names(self.dynamodb):
            create_table(self.dynamodb, "users", {"user_id": "S"})

    def park(self, entry, branch="derive"):
        assert Parking(self.s3, self.bucket, branch, Parallel(1)).park([(entry, END)], Deadline(float("inf"))) == [None]

    def put(self, key, body):
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=json.dumps(body).encode())

    def defer(self, branch, *changes):
        if self.deferred is None:
            self.deferred = Store(self.s3, f"deferred-{self.bucket}")
            where = {"LocationConstraint": "eu-west-1"}
            self.s3.create_bucket(Bucket=self.deferred.bucket, CreateBucketConfiguration=where)
        return self.deferred.put(branch, [entry_of(branch, each) for each in changes])

    def left(self, branch):
        return [each for place in self.deferred.places(branch) for each in self.deferred.read(branch, place)]

    def claim(self, id, lease=-60.0):
        Claims(self.dynamodb, self.claims, 30).take(id, "owner", lease)

    def conflict(self, user, table="users"):
        sides = [Side(region, NEVER, False, {"email": {"S": SECRET}}) for region in ("eu-west-1", "us-east-1")]
        conflicts = Conflicts(self.s3, self.bucket, "rule", lambda: None, table)
        conflicts.record({"user_id": {"S": user}}, tuple(sides), sides[0])

    def erase(self, *more, user="u", table="users"):
        places = ["--parking", self.bucket, "--claim-table", self.claims]
        places += ["--deferred", self.deferred.bucket] if self.deferred else []
        return main(
            ["erase", table, "--key", key_of(user), *places, "--endpoint-url", self.url, "--region", "eu-west-1", *more]
        )

    def contents(self):
        """Every version of every object, and the claims' ids."""
        listed = self.s3.list_object_versions(Bucket=self.bucket).get("Versions", [])
        bodies = [
            self.s3.get_object(Bucket=self.bucket, Key=each["Key"], VersionId=each["VersionId"])["Body"].read().decode()
            for each in listed
        ]
        return bodies, sorted(row["id"]["S"] for row in self.dynamodb.scan(TableName=self.claims)["Items"])


def key_of(user):
    return json.dumps({"user_id": {"S": user}})


def mine(place=1, **more):
    return stream_record(place, user="u", new={"email": {"S": SECRET}}, **more)


def given_up(*records):
    return {"version": "1.0", "payload": json.dumps({"Records": list(records)})}


def test_every_trace_of_an_item_goes_and_a_second_run_finds_none(stack, capsys):
    for branch in ("derive", "index", "welcome", "replicate"):
        stack.park(change(1, user="u", new={"email": {"S": SECRET}}), branch)
        stack.park(change(1, user="u", new={"email": {"S": SECRET}}), branch)
    stack.park(Undecodable("e-1", "", mine(), "cause"))
    stack.put("parked/derive/of-0.1.json", {"branch": "derive", "record": mine(2)})
    stack.put("aws/lambda/mapping/shard/one", given_up(mine(3)))
    stack.put("aws/lambda/mapping/shard/two", given_up(mine(4), stream_record(5, user="other")))
    stack.conflict("u")
    stack.put("conflicts/of-0.1.json", {"key": {"user_id": {"S": "u"}}, "sides": [SECRET]})
    for id in (f"greet|users|{identity({'user_id': {'S': 'u'}})}|17", f"greet|{identity({'user_id': {'S': 'u'}})}"):
        stack.claim(id)
    assert any(SECRET in body for body in stack.contents()[0])
    assert stack.erase("--dry-run") == 1
    assert "would be removed: s3://" in capsys.readouterr().out
    assert any(SECRET in body for body in stack.contents()[0])
    assert stack.erase() == 0
    bodies, claims = stack.contents()
    assert not any(SECRET in body for body in bodies)
    assert claims == []
    (left,) = bodies
    (record,) = json.loads(json.loads(left)["payload"])["Records"]
    assert record["dynamodb"]["Keys"] == {"user_id": {"S": "other"}}
    capsys.readouterr()
    assert stack.erase() == 0
    assert capsys.readouterr().out == "0 removed, 0 left\n"


def written(user, place=1, arn=ARN):
    return change(
        place, user=user, eventSourceARN=arn, new={"email": {"S": SECRET if user == "u" else "b@example.com"}}
    )


@pytest.mark.parametrize("branch", ["welcome", "archive"])
def test_a_deferred_event_is_erased_and_the_others_of_its_object_stay(branch, stack, capsys):
    others = [written("other", 2), written("u", 3, ARN.replace("/users/", "/orders/"))]
    stack.defer(branch, written("u"), *others)
    stack.defer(branch, written("u", 4))
    assert stack.erase("--dry-run") == 1
    assert len(stack.left(branch)) == 4
    assert stack.erase() == 0
    assert "1 of 3 changes" in capsys.readouterr().out
    assert [(each.table, each.key["user_id"]["S"]) for each in stack.left(branch)] == [
        ("users", "other"),
        ("orders", "u"),
    ]
    assert [each.record["dynamodb"]["NewImage"] for each in stack.left(branch)] == [
        each.record["dynamodb"]["NewImage"] for each in others
    ]
    assert stack.erase() == 0


@pytest.mark.parametrize("branch", ["derive", "index", "replicate"])
def test_a_deferred_change_of_a_state_stays_until_its_branch_has_taken_it(branch, stack, capsys):
    """Without it, what the branch keeps of a deleted item would stay."""
    name = stack.defer(branch, written("u"), written("other", 2))
    assert stack.erase() == 1
    said = capsys.readouterr().out
    assert f"left, for it is in use: s3://{stack.deferred.bucket}/{name}: {branch} has yet to take it" in said
    assert len(stack.left(branch)) == 2
    stack.s3.delete_object(Bucket=stack.deferred.bucket, Key=name)
    assert stack.erase() == 0


@pytest.mark.parametrize("feeder_first", [True, False])
def test_an_event_that_a_feeder_puts_back_is_found_by_the_next_run(feeder_first, stack, monkeypatch):
    """Either comes between the other's calls: the feeder keeps what failed of what it read, and erase what is not the
    item's. Nothing of another item is lost."""
    stack.defer("archive", written("u"), written("other", 2))
    (place,) = stack.deferred.places("archive")
    read, feeding = stack.deferred.read("archive", place), Store(stack.s3, stack.deferred.bucket)

    def feed():
        feeding.put("archive", [entry_again("archive", each) for each in read])
        feeding.remove(place)

    if feeder_first:
        real, calls = Store.read, []

        def interrupted(store, branch, place):
            found = real(store, branch, place)
            if not calls:
                calls.append(feed())
            return found

        monkeypatch.setattr(Store, "read", interrupted)
        stack.erase()
        monkeypatch.setattr(Store, "read", real)
    else:
        stack.erase()
        feed()
    assert stack.erase() == 0
    assert {each.key["user_id"]["S"] for each in stack.left("archive")} == {"other"}


def test_nothing_of_another_item_or_table_goes(stack):
    stack.park(change(1, user="u2"))
    stack.park(change(1, user="u", eventSourceARN=ARN.replace("/users/", "/orders/")))
    stack.park(Undecodable("e-1", "", {"note": ["u"]}, "cause"))
    stack.put("parked/derive/of-0.1.json", {"branch": "derive", "record": stream_record(2, user="u2")})
    stack.put("aws/lambda/mapping/shard/one", given_up(stream_record(3, user="u2")))
    stack.put("aws/lambda/mapping/shard/two", {"payload": "no JSON {"})
    stack.put("aws/lambda/async/x", {"payload": {"Records": [{"Sns": {"Message": "u"}}]}})
    stack.conflict("u2")
    stack.conflict("u", table="orders")
    Suppressions(stack.dynamodb, stack.claims).add(SECRET, "bounce")
    for id in (
        f"greet|users|{identity({'user_id': {'S': 'u2'}})}",
        f"greet|orders|{identity({'user_id': {'S': 'u'}})}",
    ):
        stack.claim(id)
    before = stack.contents()
    assert stack.erase() == 0
    assert stack.contents() == before


def test_a_claim_under_which_a_message_is_being_sent_is_left(stack, capsys):
    stack.claim(f"greet|users|{identity({'user_id': {'S': 'u'}})}", lease=60.0)
    assert stack.erase() == 1
    assert "left, for it is in use: claim in table" in capsys.readouterr().out
    assert len(stack.contents()[1]) == 1


@pytest.mark.parametrize("key", ["u", "{}", '{"user_id": "u"}', '{"user_id": {"M": {}}}', "[1]", "null"])
def test_a_text_that_is_no_key_is_wrong_usage(stack, capsys, key):
    assert main(["erase", "users", "--key", key, "--parking", stack.bucket, "--endpoint-url", stack.url]) == 2
    assert "--key: give the item's whole key as DynamoDB JSON" in capsys.readouterr().err


@pytest.mark.parametrize(
    "key", ['{"user_id": {"N": "7"}}', '{"id": {"S": "u"}}', '{"user_id": {"S": "u"}, "at": {"N": "7"}}']
)
def test_a_key_that_is_not_the_table_s_is_never_taken_for_erased(stack, capsys, key):
    places = ["--parking", stack.bucket, "--endpoint-url", stack.url, "--region", "eu-west-1"]
    assert main(["erase", "users", "--key", key, *places]) == 2
    assert capsys.readouterr() == ("", '--key: users has another key: give {"user_id": {"S": "..."}}\n')


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_table_that_is_not_there_is_never_taken_for_erased(stack, capsys, more):
    assert stack.erase(*more, table="user") == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("there is no table user, and nothing of this item: correct its name, --key or --region")


def test_what_is_kept_of_a_deleted_table_s_item_is_erased(stack, capsys):
    arn = ARN.replace("/users/", "/gone/")
    stack.park(change(1, user="u", eventSourceARN=arn, new={"email": {"S": SECRET}}))
    assert stack.erase(table="gone") == 0
    assert capsys.readouterr().out.endswith("1 removed, 0 left\n")
    assert stack.contents() == ([], [])


def test_without_a_place_to_look_or_with_a_wrong_one_nothing_is_completed(stack, capsys):
    assert main(["erase", "users", "--key", key_of("u"), "--endpoint-url", stack.url]) == 2
    assert "give --stack" in capsys.readouterr().err
    wrong = ["--parking", "no-such-bucket", "--endpoint-url", stack.url, "--region", "eu-west-1"]
    assert main(["erase", "users", "--key", key_of("u"), *wrong]) == 2


def test_a_stacks_outputs_name_bucket_and_table(stack, monkeypatch):
    stack.park(change(1, user="u"))
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {"ParkingBucketName": {"Value": stack.bucket}, "ClaimTableName": {"Value": stack.claims}},
    }
    cloudformation = boto3.client("cloudformation", endpoint_url=stack.url, **AT)
    cloudformation.create_stack(StackName=stack.bucket, TemplateBody=json.dumps(template))
    more = ["--stack", stack.bucket, "--endpoint-url", stack.url, "--region", "eu-west-1"]
    assert main(["erase", "users", "--key", key_of("u"), *more]) == 0
    assert stack.contents() == ([], [])
