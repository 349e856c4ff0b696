"""What `sam build` made and `sam deploy` configured, run by AWS's runtime client with nothing else on the path."""

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.template import ALIAS
from distributary.feed.task import Task
from local.aws import Aws
from local.build import Built, build
from local.runtime import Function
from local.runtime_api import Answer
from local.template import Template

FUNCTIONS = ("derive", "index", "welcome", "replicate", "archive")
MORE = ("drift", "feed", "trunk", "deferred")
USER = {"user_id": {"S": "u-1001"}}


class Artifact:
    """A build folder of SAM's, made for this machine, and the stack that the functions belong to."""

    def __init__(self, root: Path, folder: Path, aws: Aws, stack: str) -> None:
        self._root, self._aws, self._stack = root, aws, stack
        self._template = Template(root / "template.yaml")
        functions = {
            name: folder / f"{name.capitalize()}Function" for name in (*FUNCTIONS, "drift", "feed", "trunk", "deferred")
        }
        layer = folder / "DistributaryLayer" / "python"
        runtime = build(self._template, (), root / ".build" / "local").runtime
        self._built = Built(functions, (layer,), runtime)
        self.said: list[str] = []

    def faults(self, event: Path, endpoint: str, generation: int) -> list[str]:
        """What went wrong when each function was given the event, whose one change inserts `USER`, as if just now.

        The index is made with what the built function holds first, the replica beside it.
        """
        self._make_index(endpoint, generation)
        self._make_replica()
        change = json.loads(event.read_text())
        change["Records"][0]["dynamodb"]["ApproximateCreationDateTime"] = int(time.time())
        faults = [fault for name in FUNCTIONS for fault in self._invoke(name, change)] + self._missing()
        faults += self._trunk(change) + self._deferred()
        return faults + self._feed() + self._drift(change["Records"][0]["dynamodb"]["NewImage"])

    def _environment(self, name: str) -> dict[str, str]:
        """As deployed: tables and bucket under their physical names."""
        logical_id = f"{name.capitalize()}Function"
        found = self._aws.client("cloudformation").describe_stack_resource(
            StackName=self._stack, LogicalResourceId=logical_id
        )
        physical = found["StackResourceDetail"]["PhysicalResourceId"]
        configuration = self._aws.client("lambda").get_function_configuration(FunctionName=physical, Qualifier=ALIAS)
        return dict(configuration["Environment"]["Variables"])

    @contextmanager
    def deployed(self, name: str) -> Iterator[Function]:
        """A function with the environment that it was deployed with, until the block ends."""
        spec = self._template.function(name, {}, self._aws.region)
        deployed = dataclasses.replace(spec, environment=self._environment(name))
        function = Function(deployed, self._built, self._aws.environment(), lambda _, line: self.said.append(line))
        try:
            yield function
        finally:
            function.close()

    def _answer(self, name: str, event: dict[str, Any]) -> tuple[Answer, dict[str, int]]:
        """What a function says, and the metrics that it emits."""
        with self.deployed(name) as function:
            return function.invoke(json.dumps(event).encode()), function.metrics.counts()

    def _trunk(self, event: dict[str, Any]) -> list[str]:
        """It runs every branch: the change is superseded, indexed or archived again, and welcome's is deferred."""
        stream = self._environment("trunk")["STREAMS"].partition("=")[0]
        event = {"Records": [{**record, "eventSourceARN": stream} for record in event["Records"]]}
        answer, metrics = self._answer("trunk", event)
        found = {name: metrics.get(name, 0) for name in ("Received", "Applied", "Superseded", "Deferred")}
        expected = {"Received": 5, "Applied": 2, "Superseded": 2, "Deferred": 1}
        if answer.function_error or answer.payload != {"batchItemFailures": []} or found != expected:
            return [
                f"trunk: {answer.function_error or ''} {answer.payload} {found}, expected {expected}",
                *self.said[-9:],
            ]
        return []

    def _deferred(self) -> list[str]:
        """It finds the change of welcome. The emulator runs no functions, so the change stays."""
        answer, metrics = self._answer("deferred", {})
        if answer.function_error or metrics.get("DeferredBacklog") != 1:
            return [f"deferred: {answer.function_error or ''} {answer.payload} {dict(metrics)}", *self.said[-5:]]
        return []

    def _feed(self) -> list[str]:
        """It plans the parts of a scan of the table that derive reads."""
        task = Task(function="derive", table="users", keys=tuple(USER), segments=2)
        found = self._answer("feed", {"plan": task.as_json()})[0].payload
        expected = {"parts": [{"number": 0, "of": 2}, {"number": 1, "of": 2}]}
        return [] if found == expected else [f"feed: {found}, expected {expected}", *self.said[-5:]]

    def _drift(self, image: dict[str, Any]) -> list[str]:
        """The copy has no item in the source table, until it is put there."""
        found = [self._answer("drift", {})[0].payload]
        self._aws.client("dynamodb").put_item(TableName="users", Item=image)
        found.append(self._answer("drift", {})[0].payload)
        expected = [{"drift": 1, "compared": 1}, {"drift": 0, "compared": 2}]
        return [] if found == expected else [f"drift: {found}, expected {expected}", *self.said[-5:]]

    def _invoke(self, name: str, event: dict[str, Any]) -> list[str]:
        """A function takes changes of its own stream only, so the event's is replaced by it."""
        stream = self._environment(name)["STREAMS"].partition("=")[0]
        event = {"Records": [{**record, "eventSourceARN": stream} for record in event["Records"]]}
        answer, metrics = self._answer(name, event)
        applied = metrics.get("Applied")
        if answer.function_error or answer.payload != {"batchItemFailures": []} or applied != 1:
            return [f"{name}: {answer.function_error or ''} {answer.payload} applied {applied}", *self.said[-5:]]
        return []

    def _make_index(self, endpoint: str, generation: int) -> None:
        path = ":".join(map(str, (*self._built.path("index"), self._root)))
        command = [sys.executable, "-S", "-m", "local.make_index", endpoint, "none", str(generation)]
        subprocess.run(command, env={"PYTHONPATH": path}, check=True, capture_output=True)

    def _make_replica(self) -> None:
        settings = self._environment("replicate")
        self._aws.client("dynamodb", settings["REPLICA_REGION"]).create_table(
            TableName=settings["REPLICA_TABLE"],
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "user_id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "user_id", "KeyType": "HASH"}],
        )

    def _missing(self) -> list[str]:
        """What should stand downstream and does not."""
        derive, replicate = self._environment("derive"), self._environment("replicate")
        profile = {"pk": {"S": f"USER#{USER['user_id']['S']}"}, "sk": {"S": "PROFILE"}}
        row = self._aws.client("dynamodb").get_item(TableName=derive["DERIVED_TABLE"], Key=profile)
        region = replicate["REPLICA_REGION"]
        copy = self._aws.client("dynamodb", region).get_item(TableName=replicate["REPLICA_TABLE"], Key=USER)
        kept = self._aws.client("s3").list_objects_v2(Bucket=self._environment("archive")["ARCHIVE_BUCKET"])
        found = {"the row": "Item" in row, "the copy": "Item" in copy, "the archived change": kept["KeyCount"] == 1}
        return [f"{what} is missing" for what, there in found.items() if not there]
