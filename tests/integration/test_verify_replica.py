"""`distributary verify replicate` between two emulated regions."""

import itertools
import json
import os
import subprocess
import sys
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
    """A table in one region, its mirror in another, and 300 items that both hold."""

    def __init__(self, emulators):
        self.aws = Aws.at_emulator(emulators.aws, "us-east-1")
        self.name = f"verified-{next(_runs)}"
        self.home, self.away = self.aws.client("dynamodb"), self.aws.client("dynamodb", "eu-west-1")
        self.home.create_table(TableName=self.name, StreamSpecification=STREAM, **KEY)
        self.away.create_table(TableName=self.name, **KEY)
        tombs = {**KEY, "TableName": f"{self.name}-tombstones"}
        self.home.create_table(**tombs)
        for at in range(300):
            for client in (self.home, self.away):
                client.put_item(TableName=self.name, Item=item(at))

    def verify(self, *options):
        names = ["--replica-table", self.name, "--replica-region", "eu-west-1"]
        command = [sys.executable, "-m", "cli", "verify", "replicate", self.name, *names, "--pause", "0", *options]
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **self.aws.environment()}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def item(at):
    return {"id": {"S": f"u{at}"}, "n": {"N": str(at)}, "b": {"B": b"\0\1"}, "s": {"SS": ["a", "b"]}}


@pytest.fixture
def regions(emulators):
    return Regions(emulators)


def test_equal_tables_are_0_and_different_ones_1_until_they_are_repaired(regions, tmp_path):
    assert regions.verify().returncode == 0
    regions.away.delete_item(TableName=regions.name, Key={"id": {"S": "u7"}})
    regions.away.put_item(TableName=regions.name, Item={"id": {"S": "x"}})
    path = tmp_path / "report.json"
    done = regions.verify("--json", str(path), "--read-units", "5000")
    assert done.returncode == 1, done.stderr
    assert set(done.stdout.splitlines()[:2]) == {"missing  id=S:u7", "dead     id=S:x"}
    report = json.loads(path.read_text())
    assert (report["equal"], report["counts"]["items"], report["counts"]["differences"]) == (False, 300, 2)
    tombstones = ["--tombstone-table", f"{regions.name}-tombstones"]
    done = regions.verify("--repair", *tombstones, "--json", "-")
    assert (done.returncode, json.loads(done.stdout)["counts"]["repaired"]) == (0, 2)
    assert regions.verify().returncode == 0


def test_a_sample_says_how_much_it_saw_and_what_that_promises(regions):
    done = regions.verify("--sample", "0.5")
    assert done.returncode == 0, done.stderr
    assert "a sample: 4 of 6 segments; with 95% confidence at most" in done.stdout


def test_since_a_time_only_what_changed_is_looked_at_deletes_and_all(regions):
    regions.home.delete_item(TableName=regions.name, Key={"id": {"S": "u9"}})
    done = regions.verify("--since", "24h")
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == "dead     id=S:u9"


def test_wrong_options_are_2_and_each_has_its_line(regions):
    done = regions.verify("--segments", "0", "--since", "25h", "--repair")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 3
    assert all(each in done.stderr for each in ("--segments", "--since", "--tombstone-table"))


def test_a_table_that_is_not_there_or_has_another_key_is_2(regions):
    done = regions.verify("--replica-table", "elsewhere")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "table elsewhere in eu-west-1: ResourceNotFoundException; correct its name" in done.stderr
    other = {"AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "N"}]}
    regions.away.create_table(TableName=f"{regions.name}-n", **{**KEY, **other})
    done = regions.verify("--replica-table", f"{regions.name}-n")
    assert done.returncode == 2
    assert "the source's key is id (S), the replica's id (N)" in done.stderr


def test_nobody_listening_is_2(regions):
    done = regions.verify("--target-endpoint-url", "http://127.0.0.1:9")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
