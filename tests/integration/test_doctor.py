"""`distributary doctor` between two emulated regions."""

import io
import itertools
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from local.aws import Aws

ROOT = Path(__file__).resolve().parents[2]
KEY = {
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}
STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
_runs = itertools.count()


class Regions:
    def __init__(self, emulators):
        self.aws, self.name = Aws.at_emulator(emulators.aws, "us-east-1"), f"examined-{next(_runs)}"
        self.home, self.away = self.aws.client("dynamodb"), self.aws.client("dynamodb", "eu-west-1")

    def make(self, **source):
        self.home.create_table(TableName=self.name, **{**KEY, "StreamSpecification": STREAM, **source})
        self.home.create_table(TableName=f"{self.name}-tombstones", **KEY)
        self.away.create_table(TableName=self.name, **KEY)
        return self

    def contents(self):
        names = [(self.home, self.name), (self.away, self.name), (self.home, f"{self.name}-tombstones")]
        return [client.scan(TableName=name)["Items"] for client, name in names]

    def examine(self, *options):
        names = ["--replica-table", self.name, "--replica-region", "eu-west-1"]
        tombs = ["--tombstone-table", f"{self.name}-tombstones"]
        command = [sys.executable, "-m", "cli", "doctor", self.name, *names, *tombs, *options]
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **self.aws.environment()}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


@pytest.fixture
def regions(emulators):
    return Regions(emulators)


def test_all_is_well_and_nothing_was_changed(regions):
    regions.make()
    regions.home.put_item(TableName=regions.name, Item={"id": {"S": "u1"}})
    before = regions.contents()
    done = regions.examine("--json", "--function", "replicate")
    said = json.loads(done.stdout)
    assert (done.returncode, said["status"]) == (0, 0), done.stdout + done.stderr
    assert {each["check"] for each in said["findings"]} == {
        "stream",
        "keys",
        "readers",
        "global table",
        "regions",
        "clock",
        "version attribute",
        "replica's rows",
        "other direction",
        "permission",
    }
    tried = [each["found"] for each in said["findings"] if each["check"] == "permission"]
    assert len(tried) == 9, tried
    assert regions.contents() == before


def test_what_is_wrong_is_1_and_says_its_fix(regions):
    regions.make(StreamSpecification={**STREAM, "StreamViewType": "KEYS_ONLY"})
    regions.home.put_item(TableName=regions.name, Item={"id": {"S": "u1"}, "_distributary_version": {"S": "mine"}})
    done = regions.examine()
    assert done.returncode == 1
    assert "fault    stream: its view type is KEYS_ONLY\n         fix: aws dynamodb update-table" in done.stdout
    assert "fault    version attribute: 1 of 1 sampled items" in done.stdout


def archive():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as written:
        written.writestr("app.py", "def handler(event, context):\n    return {}\n")
    return content.getvalue()


def test_an_old_mapping_beside_the_reversal_is_1_and_none_once_it_is_disabled(regions):
    """The reversal goes from the table of us-east-1 to that of eu-west-1; the old mirror there still runs."""
    regions.make()
    service = regions.aws.client("lambda", "eu-west-1")
    stream = regions.away.update_table(TableName=regions.name, StreamSpecification=STREAM)
    variables = {"REPLICA_TABLE": regions.name, "REPLICA_REGION": "us-east-1"}
    role = "arn:aws:iam::000000000000:role/none"
    service.create_function(
        FunctionName=regions.name,
        Runtime="python3.13",
        Handler="app.handler",
        Role=role,
        Code={"ZipFile": archive()},
        Environment={"Variables": variables},
    )
    mapping = service.create_event_source_mapping(
        EventSourceArn=stream["TableDescription"]["LatestStreamArn"],
        FunctionName=regions.name,
        StartingPosition="LATEST",
    )
    try:
        done = regions.examine()
        assert done.returncode == 1, done.stdout
        assert f"fault    other direction: {regions.name} in eu-west-1 carries changes" in done.stdout
        assert f"--region eu-west-1 --uuid {mapping['UUID']} --no-enabled" in done.stdout
        service.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        assert "ok       other direction" in regions.examine().stdout
    finally:
        service.delete_event_source_mapping(UUID=mapping["UUID"])
        service.delete_function(FunctionName=regions.name)


def test_what_cannot_be_told_is_2(regions):
    regions.make()
    done = regions.examine("--tombstone-table", "elsewhere")
    assert done.returncode == 2, done.stdout
    assert re.search("unknown  permission: table elsewhere in [a-z0-9-]+: ResourceNotFoundException", done.stdout)
    done = regions.examine("--replica-table", "elsewhere")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_each_missing_option_is_a_line_and_2(regions):
    done = regions.make().examine("--replica-table", "", "--replica-region", "")
    assert (done.returncode, done.stderr.count("\n")) == (2, 2)
    assert "--replica-table is missing" in done.stderr
