"""A deployed stack whose functions run in this process."""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from threading import Lock
from typing import Any

from botocore.exceptions import ClientError

from distributary.consumer.consume import Deployment, consume
from distributary.errors import DistributaryError
from tests.unit.branches import Context

ACCOUNT = "arn:aws:lambda:eu-west-1:123456789012:function"


class CloudFormation:
    """Knows one stack."""

    def __init__(self, name: str, outputs: Mapping[str, str]) -> None:
        self._name, self._outputs = name, outputs

    def describe_stacks(self, *, StackName: str) -> Any:
        if StackName != self._name:
            missing = {"Error": {"Code": "ValidationError", "Message": f"Stack with id {StackName} does not exist"}}
            raise ClientError(missing, "DescribeStacks")
        outputs = [{"OutputKey": key, "OutputValue": value} for key, value in self._outputs.items()]
        return {"Stacks": [{"Outputs": outputs}]}


class Lambda:
    """Functions by branch, invoked as Lambda does it: an error of the function is an answer. `carries`: the branches of
    the trunk, if there is one."""

    def __init__(
        self,
        functions: Mapping[str, Deployment],
        streams: str = "",
        sources: str = "",
        carries: Sequence[str] = (),
    ) -> None:
        self.sources, self.carries = sources, carries
        self.functions, self.streams, self.events = functions, streams, list[Any]()
        self.version, self.weights = "1", dict[str, float]()
        self.trunk_version = "8"
        self._one_at_a_time = Lock()

    def get_function_configuration(self, *, FunctionName: str) -> Any:
        branch = _branch(FunctionName)
        if branch == "trunk":
            carried = {"TRUNK_BRANCHES": ",".join(self.carries), "STREAMS": self.streams}
            return {"Environment": {"Variables": carried}, "Timeout": 90}
        assert branch in self.functions
        tables = {"LEDGER_TABLE": "ledger", "DERIVED_TABLE": "derived"}
        variables = {"STREAMS": self.streams, "SOURCES": self.sources, **tables}
        return {"Environment": {"Variables": variables}, "Timeout": 60}

    def get_alias(self, *, FunctionName: str, Name: str) -> Any:
        branch = _branch(f"{FunctionName}:{Name}")
        if branch == "trunk":
            return {"FunctionVersion": self.trunk_version}
        assert branch in self.functions
        return {"FunctionVersion": self.version, "RoutingConfig": {"AdditionalVersionWeights": self.weights}}

    def invoke(self, *, FunctionName: str, Payload: bytes) -> Any:
        event = json.loads(Payload)
        self.events.append(event)
        try:
            with self._one_at_a_time, redirect_stdout(io.StringIO()):
                answer = consume(event, Context(), self.functions[_branch(FunctionName)])
        except DistributaryError as error:
            body = {"errorType": type(error).__name__, "errorMessage": str(error)}
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(json.dumps(body).encode())}
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}


def _branch(arn: str) -> str:
    """Of an ARN with the alias that events go to."""
    *_, branch, alias = arn.split(":")
    assert alias == "live"
    return branch


def clients(bucket: str, s3: Any, functions: Lambda, **more: Any) -> Callable[[str], Any]:
    """The clients of a stack `shop`; `more` are services by name."""
    outputs = {"ParkingBucketName": bucket}
    outputs |= {f"{branch.capitalize()}FunctionArn": f"{ACCOUNT}:{branch}" for branch in functions.functions}
    if functions.carries:
        outputs |= {"BreakerTableName": "breakers", "DeferredBucketName": bucket}
        outputs |= {"TrunkFunctionArn": f"{ACCOUNT}:trunk"}
    services = {"cloudformation": CloudFormation("shop", outputs), "s3": s3, "lambda": functions, **more}
    return services.__getitem__
