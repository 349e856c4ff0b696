"""A feed on AWS: an execution of the stack's state machine is started, followed and gone on with; its results are read.

An execution's name is made of what it does, so the same command finds the same one. Step Functions keeps the state of
each part: nothing is remembered here.
"""

import hashlib
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from botocore.exceptions import ClientError

from cli.errors import UsageFault
from cli.feed.backfill import Result
from cli.feed.sweep import Swept
from cli.stack import Stack
from distributary.errors import ConfigError
from distributary.feed.invoke import Ended
from distributary.feed.task import Task

POLL_SECONDS = 5.0
RUN, CONCURRENCY = "first", 10
"""The name of a run, and how many parts at the same time, unless the user says others."""

REDRIVABLE = ("FAILED", "ABORTED", "TIMED_OUT")
EXPORTS = "feed/exports"
"""Where the state machine's role may write an export, in the parking bucket."""

NEEDED = "states:StartExecution, RedriveExecution, DescribeExecution, ListExecutions, ListMapRuns and DescribeMapRun"


@dataclass(slots=True)
class Results(Result):
    """As `Result`; what a sweep found; and the parts that failed, with the cause of one."""

    swept: Swept = field(default_factory=Swept)
    failed: list[int] = field(default_factory=list)
    cause: str = ""

    def as_json(self) -> dict[str, Any]:
        """Counts, and the parts."""
        return {**Result.as_json(self), "failed_parts": sorted(self.failed), "cause": self.cause}


@dataclass(frozen=True, slots=True)
class Machine:
    """The state machine of a stack, and the clients that reach it. `told` is called with how many more parts ended."""

    states: Any
    s3: Any
    arn: str
    told: Callable[[int], None] = lambda _: None
    sleep: Callable[[float], None] = time.sleep

    def has_begun(self, name: str) -> bool:
        """Whether there is an execution of this name."""
        with _refusals(name):
            return bool(self._status(name)["status"])

    def run(self, name: str, task: Task, asked: Mapping[str, Any]) -> Results:
        """What became of the task, once the execution of this name has succeeded; of one that ended otherwise, it goes
        on. Parts that failed while others went on are given again by an execution of their own. Raises ConfigError if
        it fails."""
        number = 1
        while True:
            current = name if number == 1 else f"{name}.{number}"
            with _refusals(current):
                before = self._status(current)
                if before["status"] == "SUCCEEDED":
                    found = self._results(before)
                    if not found.failed:
                        _say(f"run {current}: has succeeded before; to do it again, give another --run")
                        return found
                    task, number = replace(task, numbers=tuple(sorted(found.failed))), number + 1
                    continue
                self._begin(current, before["status"], {**asked, "task": task.as_json()})
                return self._followed(current)

    def _arn(self, name: str) -> str:
        return f"{self.arn.replace(':stateMachine:', ':execution:')}:{name}"

    def _status(self, name: str) -> Mapping[str, Any]:
        try:
            found: Mapping[str, Any] = self.states.describe_execution(executionArn=self._arn(name))
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
                raise
            return {"status": ""}
        return found

    def _begin(self, name: str, status: str, given: Mapping[str, Any]) -> None:
        if status in REDRIVABLE:
            self.states.redrive_execution(executionArn=self._arn(name))
            _say(f"run {name}: goes on")
        elif status:
            _say(f"run {name}: is under way")
        else:
            self.states.start_execution(stateMachineArn=self.arn, name=name, input=json.dumps(given))
            _say(f"run {name}: has begun")

    def _followed(self, name: str) -> Results:
        ended = 0
        while True:
            found = self._status(name)
            counts = self._counts(name)
            now = sum(counts.get(status, 0) for status in ("succeeded", "failed", "timedOut"))
            self.told(max(0, now - ended))
            ended = max(now, ended)
            if found["status"] == "SUCCEEDED":
                return self._results(found)
            if found["status"] in REDRIVABLE:
                raise ConfigError(f"run {name}: {self._why(name, found)}; then run this again: it goes on")
            self.sleep(POLL_SECONDS)

    def _map_run(self, name: str) -> str:
        runs = self.states.list_map_runs(executionArn=self._arn(name))["mapRuns"]
        return str(runs[-1]["mapRunArn"]) if runs else ""

    def _counts(self, name: str) -> Mapping[str, int]:
        run = self._map_run(name)
        counts: Mapping[str, int] = self.states.describe_map_run(mapRunArn=run)["itemCounts"] if run else {}
        return counts

    def _why(self, name: str, found: Mapping[str, Any]) -> str:
        """Why it failed: of a part that did, if there is one."""
        if found["status"] == "ABORTED":
            return "it was stopped"
        if (run := self._map_run(name)) and (child := self._failed_child(run)):
            found = child
        return f"{found.get('error', found['status'])}: {_message(found.get('cause', ''))}; correct that"

    def _failed_child(self, run: str) -> Mapping[str, Any] | None:
        listed = self.states.list_executions(mapRunArn=run, statusFilter="FAILED", maxResults=1)["executions"]
        child: Mapping[str, Any] | None = None
        for each in listed:
            child = self.states.describe_execution(executionArn=each["executionArn"])
        return child

    def _results(self, execution: Mapping[str, Any]) -> Results:
        """Out of the files that the state machine wrote.
        https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html"""
        place, results = json.loads(execution["output"])["ResultWriterDetails"], Results()
        files = self._json(place["Bucket"], place["Key"])["ResultFiles"]
        for each in self._children(place["Bucket"], files.get("SUCCEEDED", [])):
            output = json.loads(each["Output"])
            if "swept" in output:
                results.swept.add(output["swept"])
                continue
            results.items += output["items"]
            for end in output["outcomes"]:
                results.ends[Ended(end["status"], end["cause"])] += end["items"]
        for each in self._children(place["Bucket"], [*files.get("FAILED", []), *files.get("PENDING", [])]):
            results.failed.append(json.loads(each["Input"])["part"]["number"])
            results.cause = results.cause or f"{each.get('Error', '')}: {_message(each.get('Cause', ''))}"
        return results

    def _children(self, bucket: str, files: Any) -> Iterator[Any]:
        for file in files:
            yield from self._json(bucket, file["Key"])

    def _json(self, bucket: str, key: str) -> Any:
        return json.loads(self.s3.get_object(Bucket=bucket, Key=key)["Body"].read())


def machine_of(stack: Stack, told: Callable[[int], None]) -> Machine:
    """The stack's. Raises UsageFault if it has none."""
    if "FeedStateMachineArn" not in stack.outputs:
        raise UsageFault(f"stack '{stack.name}' has no state machine: deploy this version with Feed=true")
    return Machine(stack.clients("stepfunctions"), stack.clients("s3"), stack.output("FeedStateMachineArn"), told)


def name_of(task: Task, run: str) -> str:
    """Of the execution that does this, whatever its pace."""
    what = json.dumps({**task.as_json(), "rate": 0}, sort_keys=True)
    return f"{task.function}-{hashlib.sha256(what.encode()).hexdigest()[:12]}-{run}"


def check_place(on_aws: bool, stack: str | None, run: str, concurrency: int, more: Mapping[str, object] = {}) -> None:
    """Raises UsageFault for a run on AWS without a stack, and for options of such a run that are given for another.
    `more`: values of options that only this command has, false if they were not given."""
    if on_aws and stack is None:
        raise UsageFault("--on-aws: give --stack NAME; functions on this machine are fed from this machine")
    given = {"--run": run != RUN, "--concurrency": concurrency != CONCURRENCY, **more}
    for option in () if on_aws else filter(given.get, given):
        raise UsageFault(f"{option}: it is for a run on AWS: give --on-aws, or leave it out")


def check_name(run: str) -> None:
    """--run. Raises UsageFault."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,30}", run):
        raise UsageFault(f"--run {run}: give up to 30 letters, digits, - and _")


def new_export(task: Task, bucket: str, table_arn: str, run: str) -> tuple[Task, Mapping[str, Any]]:
    """The task over an export that the state machine makes first, and what asks for it."""
    prefix = f"{EXPORTS}/{name_of(task, run)}"
    return replace(task, export=f"s3://{bucket}/{prefix}"), {"export": {"table": table_arn, "prefix": prefix}}


def _message(cause: str) -> str:
    """Lambda gives a function's error as JSON."""
    try:
        return str(json.loads(cause)["errorMessage"])
    except (ValueError, KeyError, TypeError):
        return cause


@contextmanager
def _refusals(name: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code.startswith("AccessDenied"):
            raise UsageFault(f"run {name}: {error}; your credentials need {NEEDED}, and s3:GetObject") from None
        if code == "ExecutionNotRedrivable":
            raise UsageFault(f"run {name}: it ended too long ago to go on with it; give another --run") from None
        raise


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
