"""The commands of docs/functions/multi-active.md, run as they are written there."""

import os
import subprocess

from local.aws import Aws
from local.emulators import embedded
from tests.docs.pages import DOCS, ROOT, argv, commands

PAGE = DOCS / "functions" / "multi-active.md"


def documented(form):
    return [each for each in commands(PAGE) if each.startswith(f"distributary {form} ") and "--declared" in each]


def run(command, environment=None):
    return subprocess.run(argv(command), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


def test_the_documented_event_is_applied_recognised_and_recorded_as_a_conflict():
    (command,) = documented("invoke")
    done = run(command)
    assert done.returncode == 0, done.stderr
    assert "replicate: 4 received, 3 applied, 1 superseded, 1 conflicts\n" in done.stdout + done.stderr


def test_the_documented_regions_carry_edits_each_way():
    key = {"id": {"S": "a"}}
    with embedded() as endpoints:
        us, eu = (Aws.at_emulator(endpoints.aws, region).client("dynamodb") for region in ("us-east-1", "eu-west-1"))
        us.create_table(
            TableName="users",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        environment = {"PATH": os.environ["PATH"], **Aws.at_emulator(endpoints.aws, "us-east-1").environment()}
        for command, here, there, at in zip(documented("attach"), (us, eu), (eu, us), "12", strict=True):
            item = {**key, "changed_at": {"N": at}}
            here.put_item(TableName="users", Item=item)
            done = run(f"{command} --until-drained", environment)
            assert done.returncode == 0, done.stderr
            found = there.get_item(TableName="users", Key=key)["Item"]
            assert {name: value for name, value in found.items() if name in item} == item
