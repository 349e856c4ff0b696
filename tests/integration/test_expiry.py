"""What an item's end by TTL does, from UpdateTimeToLive at the embedded endpoint to rows and mail."""

import json
import time
import urllib.request
from pathlib import Path

import pytest

from local.aws import Aws
from local.build import build
from local.esm.quiet import wait_until_idle
from local.stack import Project, Stack

pytestmark = pytest.mark.emulator

ROOT = Path(__file__).parents[2]
SHARED = ROOT / ".build" / "local"
TABLE = "sessions"
VIEWS = """
from distributary.derive import Entity, Projection

SESSION = Entity(name="session", keys=("id",), attributes=("name",))
VIEWS = [
    Projection(name="kept", of=SESSION, pk="KEPT", sk="{id}", keep=("name",), on_expiry="keep"),
    Projection(name="live", of=SESSION, pk="LIVE", sk="{id}", keep=("name",)),
]
"""
RULES = """
from distributary.welcome import EXPIRED, Content, Entity, Rule

SESSION = Entity(name="session", keys=("id",), attributes=("name", "email"))
CONTENT = {"en": Content("Your trial ended, {{name}}", "Goodbye, {{name}}!")}
RULES = [Rule(name="goodbye", of=SESSION, to="email", on=EXPIRED, content=CONTENT)]
"""


@pytest.fixture
def aws(emulators):
    return Aws.at_emulator(emulators.aws, "sa-east-1")


@pytest.fixture
def stack(aws, tmp_path):
    declared = {}
    for function, file, code in (("derive", "views.py", VIEWS), ("welcome", "rules.py", RULES)):
        declared[function] = tmp_path / function
        declared[function].mkdir()
        (declared[function] / file).write_text(code)
    built = tmp_path / "built"
    built.mkdir()
    build(Project(ROOT).template, [], SHARED)
    for name in ("layers", "runtime", "runtime.stamp"):
        (built / name).symlink_to(SHARED / name)
    given = {"WelcomeEventNames": "REMOVE", "WelcomeSender": "expiry-test@example.com", "BatchingWindowSeconds": "0"}
    with Stack(Project(ROOT, built, declared), aws, given, lambda *_: None) as running:
        yield running


def session(id):
    return {"id": {"S": id}, "name": {"S": id.title()}, "email": {"S": f"{id}@example.com"}}


def mail(aws):
    with urllib.request.urlopen(f"{aws.endpoint}/_ministack/ses/messages") as answer:
        found = [each for messages in json.load(answer)["messages"].values() for each in messages]
    return [(each["To"], each["Subject"]) for each in found if "expiry-test" in each["Source"]]


def test_an_expired_item_keeps_the_rows_that_say_so_and_sends_its_message(aws, stack):
    dynamodb = aws.client("dynamodb")
    stream = dynamodb.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )["TableDescription"]["LatestStreamArn"]
    expiring = {"Enabled": True, "AttributeName": "ends"}
    dynamodb.update_time_to_live(TableName=TABLE, TimeToLiveSpecification=expiring)
    for each in ("ada", "bela"):
        dynamodb.put_item(TableName=TABLE, Item=session(each))
    mappings = stack.attach(stream, ("derive", "welcome"))
    dynamodb.delete_item(TableName=TABLE, Key={"id": {"S": "bela"}})
    dynamodb.put_item(TableName=TABLE, Item={**session("ada"), "ends": {"N": str(int(time.time()) - 1)}})
    until = time.monotonic() + 60
    while dynamodb.scan(TableName=TABLE, ConsistentRead=True)["Items"]:
        assert time.monotonic() < until
        time.sleep(0.1)
    wait_until_idle(mappings.values(), 60)
    derived = stack.spec("derive").environment["DERIVED_TABLE"]
    rows = [(row["pk"]["S"], row["sk"]["S"]) for row in dynamodb.scan(TableName=derived)["Items"]]
    assert [row for row in rows if not row[0].startswith("%")] == [("KEPT", "ada")]
    assert mail(aws) == [(["ada@example.com"], "Your trial ended, Ada")]
