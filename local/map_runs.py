"""Distributed maps on ministack, as Step Functions runs them.

ministack runs the children of a distributed map as those of an inline one: it knows no map run, tolerates no failure,
writes no results, and goes on with all of them when the execution is stopped. It cannot redrive an execution. Here a
redrive begins with the execution's first state, and each child goes on from the state in which it failed or was
stopped. (Step Functions begins with the state that failed:
https://docs.aws.amazon.com/step-functions/latest/dg/redrive-map-run.html)
"""

import contextvars
import copy
import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ministack.core.responses import error_response_json, json_response, new_uuid
from ministack.services import lambda_svc, s3
from ministack.services import stepfunctions as states

EXCEEDED = "States.ExceedToleratedFailureThreshold"
REDRIVABLE = ("FAILED", "ABORTED", "TIMED_OUT")


@dataclass(slots=True)
class Child:
    """A child execution: the state that comes next, and its input."""

    arn: str
    input: Any
    state: str
    given: Any
    status: str = "PENDING"
    output: Any = None
    error: str = ""
    cause: str = ""
    running: threading.Lock = field(default_factory=threading.Lock)


@dataclass(slots=True)
class MapRun:
    """The children of one distributed map of one execution, and how often that was redriven."""

    arn: str
    execution: Any
    children: list[Child]
    failed: threading.Event = field(default_factory=threading.Event)
    redrives: int = 0

    def goes_on(self, redrives: int) -> bool:
        """Whether it is still what a thread began with: neither stopped nor redriven since."""
        return self.redrives == redrives and self.execution["status"] == "RUNNING"

    def counts(self) -> Counter[str]:
        """Children by status."""
        return Counter(child.status for child in self.children)


_runs: dict[str, MapRun] = {}
_inline = states._execute_map
_handle = states.handle_request


def execute_map(definition: Any, raw_input: Any, execution: Any, context: Any) -> Any:
    """A Map state."""
    processor = definition.get("ItemProcessor", {})
    if processor.get("ProcessorConfig", {}).get("Mode") != "DISTRIBUTED":
        return _inline(definition, raw_input, execution, context)
    given = states._apply_input_path(definition, raw_input)
    run = _run_of(execution) or _begun(definition, given, execution, context)
    run.failed.clear()
    redrives = run.redrives
    tolerated = _asked(definition, given, "ToleratedFailurePercentage") / 100 * len(run.children)
    at_once = int(_asked(definition, given, "MaxConcurrency")) or 1000
    with ThreadPoolExecutor(min(at_once, len(run.children) or 1)) as pool:
        for child in run.children:
            if child.status != "SUCCEEDED":
                given_context = contextvars.copy_context()
                pool.submit(given_context.run, _child, run, child, processor, context, tolerated, redrives)
    if not run.goes_on(redrives):
        raise SystemExit
    if run.failed.is_set():
        raise states._ExecutionError(EXCEEDED, "The specified tolerated failure threshold was exceeded")
    written = _written(definition, given, run, context)
    return {"MapRunArn": run.arn, "ResultWriterDetails": written}, states._next_or_end(definition)


def _run_of(execution: Any) -> MapRun | None:
    return next((run for run in _runs.values() if run.execution is execution), None)


def _begun(definition: Any, given: Any, execution: Any, context: Any) -> MapRun:
    place, label = execution["executionArn"].replace(":execution:", ":mapRun:"), definition.get("Label", "Map")
    machine, _, name = place.rpartition(":")
    children = []
    for index, item in enumerate(states._resolve_path(definition.get("ItemsPath", "$"), given)):
        own = {**context, "Map": {"Item": {"Index": index, "Value": item}}}
        selector = definition.get("ItemSelector")
        value = states._resolve_params_obj(selector, given, own) if selector else item
        arn = f"{machine.replace(':mapRun:', ':execution:')}/{label}:{new_uuid()}"
        children.append(Child(arn, value, definition["ItemProcessor"]["StartAt"], value))
    run = MapRun(f"{machine}/{label}:{name}-{new_uuid()}", execution, children)
    _runs[run.arn] = run
    return run


def _asked(definition: Any, given: Any, name: str) -> float:
    path = definition.get(f"{name}Path")
    return float(states._resolve_path(path, given) if path else definition.get(name, 0))


def _child(run: MapRun, child: Child, processor: Any, context: Any, tolerated: float, redrives: int) -> None:
    """A child until its end, or until the run is stopped: then it goes on from there in a redrive."""
    own = {**copy.copy(context), "variables": {}}
    with child.running:
        child.status = "RUNNING"
        try:
            while child.status == "RUNNING":
                if run.failed.is_set() or not run.goes_on(redrives):
                    child.status = "ABORTED"
                    return
                _step(child, processor["States"][child.state], run.execution, own)
        except states._ExecutionError as error:
            child.status, child.error, child.cause = "FAILED", error.error, error.cause
    if run.counts()["FAILED"] > tolerated:
        run.failed.set()


_STATES: Mapping[str, Callable[..., Any]] = {
    "Task": states._execute_task,
    "Choice": lambda definition, given, _, context: states._execute_choice(definition, given, context),
    "Pass": lambda definition, given, _, context: states._execute_pass(definition, given, context),
    "Wait": lambda definition, given, _, context: states._execute_wait(definition, given, context),
}


def _step(child: Child, definition: Any, execution: Any, context: Any) -> None:
    if definition["Type"] == "Fail":
        raise states._ExecutionError(definition.get("Error", "States.Fail"), definition.get("Cause", ""))
    following = None
    if definition["Type"] != "Succeed":
        child.given, following = _STATES[definition["Type"]](definition, child.given, execution, context)
    if following is None:
        child.status, child.output = "SUCCEEDED", child.given
    else:
        child.state = following


def _written(definition: Any, given: Any, run: MapRun, context: Any) -> Mapping[str, str]:
    """The results, as a ResultWriter exports them.
    https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html"""
    parameters = states._resolve_params_obj(definition["ResultWriter"]["Parameters"], given, context)
    bucket, folder = parameters["Bucket"], f"{parameters['Prefix']}/{run.arn.rpartition(':')[2]}"
    files: dict[str, list[Any]] = {"FAILED": [], "PENDING": [], "SUCCEEDED": []}
    for status, listed in files.items():
        if found := [_result(child) for child in run.children if child.status == status]:
            body = json.dumps(found).encode()
            s3._put_object(bucket, f"{folder}/{status}_0.json", body, {})
            listed.append({"Key": f"{folder}/{status}_0.json", "Size": len(body)})
    manifest = {"DestinationBucket": bucket, "MapRunArn": run.arn, "ResultFiles": files}
    s3._put_object(bucket, f"{folder}/manifest.json", json.dumps(manifest).encode(), {})
    return {"Bucket": bucket, "Key": f"{folder}/manifest.json"}


def _result(child: Child) -> Mapping[str, Any]:
    found = {"ExecutionArn": child.arn, "Input": json.dumps(child.input), "Status": child.status}
    if child.status == "SUCCEEDED":
        return {**found, "Output": json.dumps(child.output)}
    return {**found, "Error": child.error, "Cause": child.cause}


def redrive(data: Any) -> Any:
    """RedriveExecution."""
    execution = states._executions.get(data.get("executionArn"))
    if execution is None:
        return error_response_json("ExecutionDoesNotExist", f"Execution not found: {data}", 400)
    if execution["status"] not in REDRIVABLE:
        return error_response_json("ExecutionNotRedrivable", f"Its status is {execution['status']}", 400)
    for each in _runs.values():
        each.redrives += each.execution is execution
    execution.update(status="RUNNING", stopDate=None, output=None, error=None, cause=None)
    run = contextvars.copy_context().run
    threading.Thread(target=run, args=(states._run_execution, data["executionArn"]), daemon=True).start()
    return json_response({"redriveDate": states.now_iso()})


def list_map_runs(data: Any) -> Any:
    """ListMapRuns."""
    found = [run for run in _runs.values() if run.execution["executionArn"] == data["executionArn"]]
    runs = [{"mapRunArn": run.arn, "executionArn": data["executionArn"]} for run in found]
    return json_response({"mapRuns": runs})


def describe_map_run(data: Any) -> Any:
    """DescribeMapRun."""
    run = _runs[data["mapRunArn"]]
    counts = run.counts()
    by_status = {status.lower(): counts[status] for status in ("PENDING", "RUNNING", "SUCCEEDED", "FAILED", "ABORTED")}
    items = {**by_status, "timedOut": 0, "resultsWritten": 0, "total": len(run.children)}
    return json_response({"mapRunArn": run.arn, "itemCounts": items, "executionCounts": items})


def list_children(data: Any) -> Any:
    """ListExecutions of a map run."""
    wanted = data.get("statusFilter")
    found = [child for child in _runs[data["mapRunArn"]].children if wanted in (None, child.status)]
    listed = [{"executionArn": each.arn, "name": each.arn.rpartition(":")[2], "status": each.status} for each in found]
    return json_response({"executions": listed[: data.get("maxResults", 100)]})


def describe_child(child: Child) -> Any:
    """DescribeExecution of a child."""
    found = {"executionArn": child.arn, "status": child.status, "input": json.dumps(child.input)}
    return json_response({**found, "error": child.error, "cause": child.cause})


_ACTIONS = {"RedriveExecution": redrive, "ListMapRuns": list_map_runs, "DescribeMapRun": describe_map_run}


async def handle(method: str, path: str, headers: Any, body: bytes, query: Any) -> Any:
    """A request to Step Functions."""
    action = headers.get("x-amz-target", "").rpartition(".")[2]
    data = json.loads(body) if body else {}
    if action in _ACTIONS:
        return states._finalize_response(_ACTIONS[action](data))
    if action == "ListExecutions" and "mapRunArn" in data:
        return states._finalize_response(list_children(data))
    if action == "DescribeExecution":
        for run in _runs.values():
            for child in run.children:
                if child.arn == data.get("executionArn"):
                    return states._finalize_response(describe_child(child))
    return await _handle(method, path, headers, body, query)


def matching_retrier(retriers: Sequence[Any], error: str, counts: Mapping[int, int]) -> tuple[Any, int]:
    """The first retrier that names the error decides, also when its attempts are used up."""
    for place, retrier in enumerate(retriers):
        if {"States.ALL", "States.TaskFailed", error} & set(retrier.get("ErrorEquals", [])):
            return (retrier, place) if counts.get(place, 0) < retrier.get("MaxAttempts", 3) else (None, -1)
    return None, -1


def install() -> None:
    """Has ministack use all of this."""
    states._execute_map = execute_map
    states._find_matching_retrier = matching_retrier
    states.handle_request = handle
    forwarded = lambda_svc._execute_function_proxy

    def with_errors(function: Any, event: Any, url: str, request: str) -> Any:
        """An answer of a forwarded function that says so is the function's own error."""
        answer = forwarded(function, event, url, request)
        body = answer.get("body")
        if isinstance(body, dict) and FUNCTION_ERROR in body:
            return {"body": body[FUNCTION_ERROR], "error": True}
        return answer

    lambda_svc._execute_function_proxy = with_errors


FUNCTION_ERROR = "x-amz-function-error"
"""What an answer of a forwarded function has if the function raised: its error."""
