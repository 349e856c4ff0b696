"""The README's commands and code run as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from distributary import derive as views
from distributary import index as indexes
from distributary.welcome import rules
from local.aws import Aws
from local.emulators import embedded

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", README, re.DOTALL | re.MULTILINE)


SHELL = [line.strip() for block in blocks("sh") for line in block.splitlines() if line.strip()]
CONSOLE = "\n".join(blocks("console")).replace("\\\n", " ")


@pytest.mark.parametrize("command", SHELL)
def test_a_command_of_the_readme_is_a_target_that_make_knows(command):
    assert command.startswith("make "), "the README's sh blocks hold make commands"
    done = subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_readmes_make_table_names_every_target_for_users():
    offered = set(re.findall(r"^\| `make ([a-z-]+)`", README, re.MULTILINE))
    makefile = (ROOT / "Makefile").read_text()
    assert all(f"\n{target}: " in makefile for target in offered)
    assert offered == {
        "demo",
        "test",
        "test-opensearch",
        "lint",
        "deploy-check",
        "bench",
        "views",
        "verify",
        "preview",
        "soak",
    }


def test_the_readmes_invoke_runs_the_built_function():
    (command,) = [each for each in SHELL if each.startswith("make invoke")]
    _, _, function, event = command.split()
    arguments = ["invoke", function.removeprefix("FUNCTION="), "-e", event.removeprefix("EVENT=")]
    done = subprocess.run([sys.executable, "-m", "local", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert '"batchItemFailures": []' in done.stdout
    assert "Received 1" in done.stderr


def multi_active(command):
    """The README's commands of this kind that run multi-active, as they stand there."""
    lines = [line.strip().removeprefix("$ .venv/bin/") for line in CONSOLE.splitlines()]
    return [line.split()[1:] for line in lines if f"-m local {command}" in line and "--declared" in line]


def test_the_readmes_multi_active_event_is_carried_put_right_and_deleted():
    (arguments,) = multi_active("invoke")
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "Received 4, Applied 3, Superseded 1, Ignored 0, Parked 0, Failed 0, Conflicts 1" in done.stderr


def test_the_readmes_attached_regions_carry_edits_each_way():
    attaches = multi_active("attach")
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
        for arguments, here, there, at in zip(attaches, (us, eu), (eu, us), "12", strict=True):
            item = {**key, "changed_at": {"N": at}}
            here.put_item(TableName="users", Item=item)
            environment = {"PATH": os.environ["PATH"], **Aws.at_emulator(endpoints.aws, "us-east-1").environment()}
            done = subprocess.run(
                [sys.executable, *arguments, "--until-drained"],
                cwd=ROOT,
                env=environment,
                capture_output=True,
                text=True,
                timeout=120,
            )
            assert done.returncode == 0, done.stderr
            found = there.get_item(TableName="users", Key=key)["Item"]
            assert {name: value for name, value in found.items() if name in item} == item


@pytest.mark.parametrize("code", blocks("python"))
def test_python_of_the_readme_declares_what_is_valid(code):
    names: dict = {}
    exec(code, names)
    checked = [
        each.check(names[declared])
        for declared, each in (("VIEWS", views), ("INDEXES", indexes), ("RULES", rules))
        if declared in names
    ]
    assert checked
    assert all(checked)


def test_parameters_that_the_readme_names_are_the_templates():
    text = re.sub(r"!\w+", "", (ROOT / "template.yaml").read_text())
    declared = set(yaml.safe_load(text)["Parameters"])
    named = set(re.findall(r"\b([A-Z][A-Za-z]+)=", CONSOLE)) - {"StreamEnabled", "StreamViewType", "ARGS"}
    table = README.split("## The functions")[1].split("### What a change costs")[0]
    named |= set(re.findall(r"`([A-Z][a-z]+[A-Za-z]+)`", table))
    assert named <= declared, named - declared
    assert "DeriveSourceArn" in named


def test_links_within_the_project_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
