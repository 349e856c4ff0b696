import io
import itertools
import os
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from local import examples
from local.aws import Aws
from local.emulators import embedded
from local.stack import Project, Stack

ROOT = Path(__file__).parents[2]
_names = itertools.count()


def build_folder(name):
    """The folder of this process for builds of functions whose declarations tests change."""
    return ROOT / ".build" / f"{name}-{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"


def run_example(example, endpoints, calls):
    """What became of an example, and what its writer told of what it wrote."""
    journals = []

    def write(aws, calls):
        journals.append(example.write(aws, calls))
        return journals[0]

    watched, screen = replace(example, write=write), Console(file=io.StringIO())
    return examples.run(watched, endpoints, ROOT / ".build/test-examples", screen, calls), journals[0]


@pytest.fixture(scope="session")
def endpoints():
    with embedded() as found:
        yield found


@pytest.fixture(scope="session")
def aws(endpoints):
    return Aws.at_emulator(endpoints.aws, "us-east-1")


@pytest.fixture(scope="session")
def project():
    return Project(Path(__file__).parent / "project", Path(".build/test-local"))


@pytest.fixture
def log():
    return []


@pytest.fixture
def stack(project, aws, log):
    with Stack(project, aws, {"Needed": "yes"}, lambda function, line: log.append((function, line))) as running:
        yield running


class SourceTable:
    """A table with a stream, of its own name."""

    def __init__(self, aws):
        self.client = aws.client("dynamodb")
        self.name = f"source-{next(_names)}"
        self.arn = self.client.create_table(
            TableName=self.name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )["TableDescription"]["LatestStreamArn"]

    def put(self, id, **attributes):
        self.client.put_item(TableName=self.name, Item={"id": {"S": id}, **attributes})

    def delete(self, id):
        self.client.delete_item(TableName=self.name, Key={"id": {"S": id}})


@pytest.fixture
def table(aws):
    return SourceTable(aws)
