"""`distributary verify` against an emulator: what it says, and its exit status."""

import json
import os
import subprocess
import sys
import time

import boto3
import pytest

from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Status
from distributary.consumer.parallel import Parallel
from distributary.stream.change import Change, Image, Kind, Origin
from distributary.stream.keys import table_arn
from local.emulators import Endpoints
from tests.fakes.built import derive
from views import VIEWS

TABLES = {"source": ("user_id",), "derived": ("pk", "sk"), "ledger": ("id",), "tombstones": ("id",)}
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture
def dynamodb(emulators: Endpoints):
    """Tables of this test's own, filled through the branch by 30 users."""
    session = boto3.Session("test", "test", region_name="us-east-1")
    client = session.client("dynamodb", endpoint_url=emulators.aws)
    for name, keys in TABLES.items():
        client.create_table(
            TableName=f"verify-{name}",
            KeySchema=[{"AttributeName": k, "KeyType": t} for k, t in zip(keys, ("HASH", "RANGE"), strict=False)],
            AttributeDefinitions=[{"AttributeName": k, "AttributeType": "S"} for k in keys],
            BillingMode="PAY_PER_REQUEST",
        )
    branch = derive(VIEWS, client, "verify-{}".format, Parallel(4), time.time)
    changes = [inserted(client, n) for n in range(30)]
    ends = branch.apply(changes, Deadline(float("inf")))
    assert {end.status for end in ends} == {Status.APPLIED}
    yield client
    for name in TABLES:
        client.delete_table(TableName=f"verify-{name}")


def inserted(client, n: int) -> Change:
    item = {
        "user_id": {"S": f"u#{n}"},
        "name": {"S": f"name {n % 7}"},
        "email": {"S": f"{n}@example.com"},
        "status": {"S": ("active", "gone")[n % 2]},
        "visits": {"N": str(n * 10**30)},
        "tags": {"SS": [f"t{n % 3}", "all"]},
        "avatar": {"B": bytes([n])},
    }
    client.put_item(TableName="verify-source", Item=item)
    keys = Image({"user_id": item["user_id"]})
    arn = table_arn("verify-source")
    return Change("", Kind.INSERT, keys, None, Image(item), n + 1, 0.0, arn, False, Origin.STREAM, "", {})


def verify(endpoint: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "cli",
            "verify",
            "derive",
            *arguments,
            "--endpoint-url",
            endpoint,
            "--pause",
            "0.2",
        ],
        env={**os.environ, **CREDENTIALS},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_verify_says_what_differs_repairs_it_and_then_says_that_all_is_equal(dynamodb, emulators, tmp_path):
    tables = ("verify-source", "--derived-table", "verify-derived", "--ledger-table", "verify-ledger")
    tables = (*tables, "--tombstone-table", "verify-tombstones")
    healthy = verify(emulators.aws, *tables)
    assert (healthy.returncode, healthy.stderr) == (0, ""), healthy.stdout
    dynamodb.delete_item(TableName="verify-derived", Key={"pk": {"S": "TAG#t1"}, "sk": {"S": "USER#u%234"}})
    dynamodb.delete_item(TableName="verify-source", Key={"user_id": {"S": "u#7"}})
    found = verify(emulators.aws, *tables, "--json", str(tmp_path / "report.json"))
    assert found.returncode == 1, found.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert {each["view"] for each in report["differences"]} == {
        "profile",
        "by-tag",
        "by-status",
        "most-visited",
    }
    repaired = verify(emulators.aws, *tables, "--repair")
    assert repaired.returncode == 0, repaired.stdout + repaired.stderr
    again = verify(emulators.aws, *tables, "--view", "by-status", "--view", "profile")
    assert (again.returncode, again.stdout.count("\n")) == (0, 1), again.stdout


def test_wrong_usage_is_one_line_and_status_2(emulators):
    missing = verify(emulators.aws, "no-such-table", "--derived-table", "d")
    assert (missing.returncode, missing.stderr.count("\n")) == (2, 1)
    assert "--ledger-table is missing" in missing.stderr
    unknown = verify(emulators.aws, "no-such-table", "--derived-table", "d", "--ledger-table", "l")
    assert (unknown.returncode, unknown.stderr.count("\n")) == (2, 1)
    assert "no-such-table" in unknown.stderr
