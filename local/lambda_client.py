"""What commands ask Lambda about a deployed function, answered by a function of this machine."""

import io
import json
from collections.abc import Callable, Mapping
from typing import Any

from local.runtime import Function


class LambdaClient:
    """The part of boto3's Lambda client that commands use. `functions` gives a function by its name."""

    def __init__(self, functions: Callable[[str], Function]) -> None:
        self._functions = functions

    def get_function_configuration(self, *, FunctionName: str) -> Mapping[str, Any]:
        """https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionConfiguration.html"""
        spec = self._functions(_name(FunctionName)).spec
        return {"Environment": {"Variables": dict(spec.environment)}, "Timeout": spec.timeout}

    def get_alias(self, *, FunctionName: str, Name: str) -> Mapping[str, Any]:
        """What was built is the version that every event goes to.
        https://docs.aws.amazon.com/lambda/latest/api/API_GetAlias.html"""
        return {"Name": Name, "FunctionVersion": self._functions(_name(FunctionName)).version}

    def invoke(self, *, FunctionName: str, Payload: bytes) -> Mapping[str, Any]:
        """A start that was too slow is tried again, as Lambda does it.
        https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html"""
        function = self._functions(_name(FunctionName))
        answer = function.invoke(Payload)
        while answer.timed_out and not answer.started and function.start_error() is None:
            answer = function.invoke(Payload)
        error = {"FunctionError": answer.function_error} if answer.function_error else {}
        return {**error, "Payload": io.BytesIO(json.dumps(answer.payload).encode())}


def _name(arn: str) -> str:
    """Of `arn:aws:lambda:REGION:ACCOUNT:function:STACK-NAME`, with or without an alias."""
    return arn.split(":")[6].rpartition("-")[2]
