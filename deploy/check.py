"""Validates, builds and deploys the stack to an emulated AWS, and compares the result with template.yaml."""

import dataclasses
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from deploy import peers, regions
from deploy.artifact import Artifact
from deploy.deployed import Deployed
from deploy.template import ALIAS, BRANCHES, METRIC_MATH, REFUSED, Template
from local.aws import Aws
from local.emulators import embedded
from local.errors import LocalError

ROOT = Path(__file__).parents[1]
SAM = Path(sys.executable).with_name("sam")
STACK, RESTRICTED = "distributary-check", "distributary-restricted"
ON_KINESIS = {"shared": "distributary-kinesis", "enhanced": "distributary-fan-out"}
"""The stack for each way to read a data stream."""
REGION, OTHER_REGION = "us-east-1", "eu-west-1"
GENERATION = 3
READERS = 2
"""Functions that may read one stream
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html)."""
LAYER_BYTES = 15_000_000
FUNCTION_BYTES = 15_000_000


class Failed(Exception):
    """A step that went wrong; its text says how."""


def sam(environment: Mapping[str, str], *arguments: str) -> None:
    """Runs the SAM CLI; raises Failed with what it printed."""
    quiet = {**environment, "SAM_CLI_TELEMETRY": "0", "SAM_CLI_CHECK_FOR_UPDATES": "0"}
    done = subprocess.run([SAM, *arguments], cwd=ROOT, env=quiet, capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"sam {' '.join(arguments)}\n{done.stdout}{done.stderr}")


def timed(what: str, step: Callable[[], Any]) -> None:
    """Runs a step and prints how long it took."""
    began = time.monotonic()
    step()
    print(f"{what:<40}{time.monotonic() - began:6.1f} s")


def size(folder: Path, most: int) -> None:
    """Prints a built folder's size; raises Failed beyond `most` bytes."""
    total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder.name + ', unzipped':<40}{total / 1e6:6.1f} MB")
    if total > most:
        raise Failed(f"{folder.name} has {total:,} bytes unzipped, more than {most:,}")


def source(aws: Aws) -> str:
    """Makes a table and gives its stream's ARN."""
    table = aws.client("dynamodb").create_table(
        TableName="users",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "user_id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "user_id", "KeyType": "HASH"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    return str(table["TableDescription"]["LatestStreamArn"])


def data_stream(aws: Aws, stream: str) -> str:
    """Makes a Kinesis data stream beside a table's stream, and gives how it is written as a function's source."""
    aws.client("kinesis").create_stream(StreamName="changes", ShardCount=1)
    return f"{stream.partition('/stream/')[0]}/stream/kinesis/changes"


def parameters(stream: str, search: str, *branches: str) -> dict[str, Any]:
    """What a deployment of these branches is given: more than two of them read the stream by the trunk. The emulator's
    CloudFormation knows no template of SES."""
    trunk = {"TrunkSourceArn": stream} if len(branches) > READERS else {}
    return (
        trunk
        | {f"{branch}SourceArn": stream for branch in branches}
        | {
            "OpenSearchService": "none",
            "OpenSearchEndpoint": search,
            "WelcomeSender": "welcome@example.com",
            "WelcomeStoresTemplate": "false",
            "ReplicaTableName": "users-replica",
            "ReplicaRegion": "eu-west-1",
            "DriftPauseSeconds": 1,
            "Generation": GENERATION,
            "Feed": "true",
        }
    )


def restricted(aws: Aws) -> dict[str, Any]:
    """What a deployment in a VPC, with keys of the user's own and a permissions boundary is given besides."""
    ec2, kms = aws.client("ec2"), aws.client("kms")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(VpcId=vpc, GroupName="functions", Description="functions")["GroupId"]
    key = kms.create_key()["KeyMetadata"]["Arn"]
    return {
        "VpcSubnetIds": subnet,
        "VpcSecurityGroupIds": group,
        "KmsKeyArns": key,
        "ParkingKeyArn": key,
        "ArchiveKeyArn": key,
        "PermissionsBoundary": "arn:aws:iam::aws:policy/PowerUserAccess",
        "OpenSearchIndexPrefix": "users",
        "WelcomeIdentityArn": f"arn:aws:ses:{aws.region}:000000000000:identity/example.com",
    }


def emulable(template: Path) -> None:
    """Takes out of a built template what the emulator refuses: alarms on metric math, Glue's tables, saved queries."""
    document = dict(Template.read(template).document)
    found = document["Resources"].items()
    resources = {
        name: each
        for name, each in found
        if METRIC_MATH not in each.get("Properties", {}) and not each["Type"].startswith(REFUSED)
    }
    template.write_text(json.dumps({**document, "Resources": resources}))


def deploy(environment: Mapping[str, str], built: Path, given: Mapping[str, Any], stack: str = STACK) -> None:
    """Deploys what was built, in the environment's region; without the dashboard, which names what was taken out."""
    emulable(built / "template.yaml")
    overrides = [f"{name}={value}" for name, value in {**given, "ShowDashboard": "false"}.items()]
    sam(
        environment,
        "deploy",
        *("--config-file", str(ROOT / "samconfig.toml"), "--config-env", "local", "--stack-name", stack),
        *("--region", environment["AWS_DEFAULT_REGION"]),
        *("--template-file", str(built / "template.yaml"), "--parameter-overrides", *overrides),
    )


def restore_aliases(aws: Aws, stack: str) -> None:
    """The emulator forgets a function's versions and aliases when it updates the function. Points each alias to the
    version that this deployment published; raises Failed if it published none."""
    client, pages = aws.client("lambda"), aws.client("cloudformation").get_paginator("list_stack_resources")
    rows = [row for page in pages.paginate(StackName=stack) for row in page["StackResourceSummaries"]]
    for name in (row["PhysicalResourceId"] for row in rows if row["ResourceType"] == "AWS::Lambda::Function"):
        if any(alias["Name"] == ALIAS for alias in client.list_aliases(FunctionName=name)["Aliases"]):
            continue
        versions = [each["Version"] for each in client.list_versions_by_function(FunctionName=name)["Versions"]]
        published = [version for version in versions if version != "$LATEST"]
        if not published:
            raise Failed(f"{name}: the deployment changed it and published no version")
        client.create_alias(FunctionName=name, Name=ALIAS, FunctionVersion=published[-1])


def compare(aws: Aws, given: Mapping[str, Any], stack: str = STACK) -> None:
    """Raises Failed with every difference between the stack and the template."""
    restore_aliases(aws, stack)
    faults = Deployed.find(aws, stack, Template.read(ROOT / "template.yaml"), given).faults()
    if faults:
        raise Failed("\n".join(faults))


def everywhere() -> None:
    """Raises Failed with what a template names that a region lacks."""
    for name, where in (
        ("template.yaml", regions.REGIONS),
        ("ses.yaml", regions.SES_REGIONS),
        ("readers.yaml", regions.REGIONS),
        ("target-role.yaml", regions.REGIONS),
    ):
        if faults := regions.faults(ROOT / name, where):
            raise Failed("\n".join(faults))


def environment(aws: Aws) -> dict[str, str]:
    """What leads SAM there, whatever account the user has at hand."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    endpoint = {"AWS_ENDPOINT_URL": aws.endpoint} if aws.endpoint else {}
    keys = {"AWS_ACCESS_KEY_ID": aws.access_key, "AWS_SECRET_ACCESS_KEY": aws.secret_key}
    return {**own, **endpoint, **keys, "AWS_DEFAULT_REGION": aws.region, "PYTHON": sys.executable}


def answers(aws: Aws, there: Mapping[str, str], built: Path, search: str) -> None:
    """Builds again, for this machine, and raises Failed unless every function applies a change."""
    sam({**there, "PLATFORM": ""}, "build", "--no-cached", "--build-dir", str(built))
    event = ROOT / "events" / "insert.json"
    if faults := Artifact(ROOT, built, aws, STACK).faults(event, search, GENERATION):
        raise Failed("\n".join(faults))


def multi_active(aws: Aws, folder: Path) -> None:
    """Builds it as its user declares it, deploys a stack in each of two regions, and raises Failed unless what is
    written in either is in both at the end."""
    template, built = peers.project(ROOT, folder / "project", (REGION, OTHER_REGION)), folder / "built"
    build = ("build", "--no-cached", "--template-file", str(template), "--build-dir", str(built))
    sam({**environment(aws), "PLATFORM": ""}, *build)
    both = peers.peers((aws, dataclasses.replace(aws, region=OTHER_REGION)), source, {"OpenSearchService": "none"})
    for peer in both:
        deploy(environment(peer.aws), built, peer.given, peer.stack)
        compare(peer.aws, peer.given, peer.stack)
    if faults := peers.faults(ROOT, built, both):
        raise Failed("\n".join(faults))


def check(aws: Aws, built: Path, search: str) -> None:
    """Every step, in order; raises Failed at the first that goes wrong."""
    there = environment(aws)
    timed("sam validate", lambda: sam(there, "validate"))
    timed("sam validate --lint", lambda: sam(there, "validate", "--lint"))
    timed("cfn-lint, for each region", everywhere)
    timed("sam build", lambda: sam(there, "build", "--no-cached", "--build-dir", str(built)))
    size(built / "DistributaryLayer", LAYER_BYTES)
    size(built / "IndexFunction", FUNCTION_BYTES)
    size(built / "TrunkFunction", FUNCTION_BYTES)
    stream = source(aws)
    # The second deployment changes a parameter of a function that the first has made: its alias must follow.
    for days, branches in ((7, ("Derive", "Welcome")), (8, tuple(BRANCHES))):
        given = {**parameters(stream, search, *branches), "TombstoneDays": days}
        timed(f"sam deploy, {len(branches)} functions", functools.partial(deploy, there, built, given))
        timed("the stack is as template.yaml says", functools.partial(compare, aws, given))
    given = {**parameters(stream, search, *BRANCHES), **restricted(aws)}
    for where in ("index", "all"):
        given["VpcFunctions"] = where
        timed(f"sam deploy, VPC and keys, {where}", functools.partial(deploy, there, built, given, RESTRICTED))
        timed("the stack is as template.yaml says", functools.partial(compare, aws, given, RESTRICTED))
    given = parameters(data_stream(aws, stream), search, *BRANCHES)
    del given["TrunkSourceArn"]
    for reading, stack in ON_KINESIS.items():
        given["KinesisReading"] = reading
        timed(f"sam deploy, Kinesis, {reading}", functools.partial(deploy, there, built, given, stack))
        timed("the stack is as template.yaml says", functools.partial(compare, aws, given, stack))
    timed("the built functions apply a change", lambda: answers(aws, there, built.with_name("here"), search))


def main() -> int:
    """0 if every step passed, else 1 with the reason."""
    try:
        with tempfile.TemporaryDirectory() as folder, embedded() as endpoints:
            check(Aws.at_emulator(endpoints.aws, REGION), Path(folder) / "build", endpoints.opensearch)
        with tempfile.TemporaryDirectory() as folder, embedded() as endpoints:
            aws, where = Aws.at_emulator(endpoints.aws, REGION), Path(folder)
            timed("multi-active, edits each way", functools.partial(multi_active, aws, where))
    except (Failed, LocalError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
