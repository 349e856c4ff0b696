"""docs/failover.md, step by step: the real functions, two emulated regions 80 ms apart, and the page's own commands."""

import json
import os
import re
import subprocess
import time

import pytest

from local.attach import source_table
from local.aws import Aws
from local.distance import far
from local.stack import Project, Stack
from tests.contract.world import table_names
from tests.docs.pages import DOCS, ROOT, argv, commands

PAGE, GUIDE = DOCS / "failover.md", DOCS / "functions" / "replicate.md"
HOME, AWAY = ("us-east-1", "users"), ("eu-west-1", "users-replica")
KEY = {
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
}
MILLISECONDS = 80
DRAIN_SECONDS = 60


class Regions:
    """Two tables, the application's hands on either, and a mirror in one direction at a time."""

    def __init__(self, endpoint, endpoints, folder):
        self.endpoint, self.endpoints, self.folder = endpoint, endpoints, folder
        self.clients = {name: Aws.at_emulator(endpoint, region).client("dynamodb") for region, name in (HOME, AWAY)}
        for client, name in zip(self.clients.values(), self.clients, strict=True):
            client.create_table(TableName=name, **KEY)

    def put(self, table, id, name):
        self.clients[table].put_item(TableName=table, Item={"id": {"S": id}, "name": {"S": name}})

    def rename(self, table, id, name):
        """An update, which leaves the version that it finds on the row."""
        values = {":n": {"S": name}}
        update = {"UpdateExpression": "SET #n = :n", "ExpressionAttributeNames": {"#n": "name"}}
        key = {"id": {"S": id}}
        self.clients[table].update_item(TableName=table, Key=key, ExpressionAttributeValues=values, **update)

    def delete(self, table, id):
        self.clients[table].delete_item(TableName=table, Key={"id": {"S": id}})

    def names(self, table):
        items = self.clients[table].scan(TableName=table)["Items"]
        return {item["id"]["S"]: item["name"]["S"] for item in items}

    def mirror(self, source, target, generation):
        """Attached in the source's region, 80 ms from the target's; ends when it is left, having delivered all."""
        given = {"ReplicaTableName": target[1], "ReplicaRegion": target[0], "Generation": str(generation)}
        given |= {"BatchingWindowSeconds": "0"}
        stack = Stack(Project(ROOT), Aws.at_emulator(self.endpoints[target[0]], source[0]), given, lambda *_: None)
        return Mirroring(stack, Aws.at_emulator(self.endpoint, source[0]), source[1])

    def tombstones(self, region):
        there = table_names(Aws.at_emulator(self.endpoint, region).client("dynamodb"))
        (name,) = [each for each in there if "Tombstone" in each]
        return name

    def run(self, form, at, *more, page=PAGE, **words):
        """The `at`-th command of this form on the page, as it is written there."""
        arguments = [words.get(word, word) for word in argv(named(form, page)[at])]
        there = {"AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **there}
        where = {"env": environment, "cwd": self.folder, "capture_output": True, "text": True, "timeout": 120}
        return subprocess.run([*arguments[:3], "--project", str(ROOT), *arguments[3:], *more], **where)


class Mirroring:
    """A mirror while the block runs."""

    def __init__(self, stack, source, table):
        self.stack, self.source, self.table = stack, source, table

    def __enter__(self):
        found, _ = source_table(self.source, self.table)
        self.mapping = self.stack.attach(found.stream_arn, ["replicate"], self.source)["replicate"]
        return self

    def __exit__(self, *exception):
        self.stack.close()

    def drain(self):
        asked = time.monotonic()
        while not self.mapping.drained(asked):
            assert time.monotonic() < asked + DRAIN_SECONDS, "not drained"
            time.sleep(0.1)


def named(form, page=PAGE):
    return [command for command in commands(page) if command.startswith(f"distributary {form} ")]


@pytest.fixture
def regions(emulators, tmp_path):
    with far(emulators.aws, {AWAY[0]: MILLISECONDS}) as to_away, far(emulators.aws, {HOME[0]: MILLISECONDS}) as to_home:
        found = Regions(emulators.aws, {AWAY[0]: to_away, HOME[0]: to_home}, tmp_path)
        yield found
    for table, client in found.clients.items():
        client.delete_table(TableName=table)


def test_stop_promote_reverse_and_resume_as_the_page_says(regions):
    assert re.findall(r"^## (.*)$", PAGE.read_text(), re.MULTILINE) == [
        "1. Stop",
        "2. Promote",
        "3. List",
        "4. Reverse",
        "5. Resume",
    ]
    home, away = HOME[1], AWAY[1]
    with regions.mirror(HOME, AWAY, 0) as mirror:
        for at in range(40):
            regions.put(home, f"u{at}", "first")
        regions.delete(home, "u39")
        mirror.drain()
        examined = regions.run("doctor", 0, TOMBSTONES=regions.tombstones(HOME[0]))
        assert examined.returncode == 0, examined.stdout + examined.stderr
        for form in ("doctor", "verify replicate"):
            done = regions.run(form, 0, page=GUIDE, TOMBSTONES=regions.tombstones(HOME[0]))
            assert done.returncode == 0, done.stdout + done.stderr
    assert regions.names(home) == regions.names(away)

    # 1. Stop: the mirror is gone, and what the lost region took last never came over.
    regions.put(home, "lost", "inserted")
    regions.put(home, "u1", "lost update")
    regions.delete(home, "u2")
    regions.put(home, "u5", "lost update, overtaken")

    # 2. Promote.
    regions.put(away, "u3", "promoted")
    regions.rename(away, "u4", "promoted")
    regions.put(away, "u5", "promoted")
    regions.delete(away, "u6")
    regions.put(away, "u39", "came back")

    # 3. List.
    found = regions.run("verify replicate", 0, "--pause", "0")
    assert found.returncode == 1, found.stderr
    listed = json.loads((regions.folder / "unreplicated.json").read_text())["differences"]
    kinds = {each["item"].removeprefix("id=S:"): each["kind"] for each in listed}
    never_handed_on = {"lost": "missing", "u1": "stale", "u2": "dead", "u5": "stale"}
    assert kinds == {**never_handed_on, "u3": "stale", "u4": "stale", "u6": "missing", "u39": "dead"}

    # 4. Reverse.
    with regions.mirror(AWAY, HOME, 1) as mirror:
        regions.put(away, "u7", "reversed")
        regions.rename(away, "u3", "reversed")
        mirror.drain()
        assert regions.names(home) == regions.names(away) | {"lost": "inserted"}
        tombstones = regions.tombstones(AWAY[0])
        repaired = regions.run("verify replicate", 1, "--pause", "0", TOMBSTONES=tombstones)
        assert repaired.returncode == 0, repaired.stdout + repaired.stderr
        assert "repaired 1" in repaired.stdout
        assert regions.names(home) == regions.names(away)
        regions.rename(away, "u2", "after the repair")
        regions.delete(away, "u1")
        mirror.drain()
    assert regions.names(home) == regions.names(away)

    # 5. Resume: a new mapping, which reads the old stream from its beginning.
    with regions.mirror(HOME, AWAY, 2) as mirror:
        regions.put(home, "u8", "home again")
        regions.rename(home, "u4", "home again")
        regions.delete(home, "u9")
        mirror.drain()
    assert regions.names(away) == regions.names(home)
    last = regions.run("verify replicate", 2, "--pause", "0")
    assert last.returncode == 0, last.stdout + last.stderr
    assert regions.names(away) | {"u4": "home again", "u8": "home again"} == regions.names(away)
    assert not {"lost", "u1", "u6", "u9"} & set(regions.names(away))
    assert len(named("verify replicate")) == 3
