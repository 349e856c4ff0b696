"""Takes a stream's events from Lambda's runtime as bytes, so that only what is read is decoded.

The runtime decodes every attribute of both images before it calls a handler. Its client has a class attribute,
`marshaller`, that function authors may replace by an object with the same two methods
(https://github.com/aws/aws-lambda-python-runtime-interface-client).
"""

import inspect
import sys
from typing import Any

from distributary.stream.dynamodb_stream import EVENT_SOURCE
from distributary.stream.stream_event import read

_RUNTIME = "awslambdaric.lambda_runtime_client"
_JSON = "application/json"
_METHODS = {"unmarshal_request": ["request", "content_type"], "marshal_response": ["response"]}


class StreamMarshaller:
    """The runtime's marshaller, but for events of a DynamoDB stream: these are handed over as a
    `distributary.stream.stream_event.StreamEvent`. What cannot be read so goes the runtime's own way, and fails as it
    does."""

    def __init__(self, standard: Any) -> None:
        self._standard = standard

    def unmarshal_request(self, request: Any, content_type: str = _JSON) -> Any:
        """The event."""
        event = None
        if content_type == _JSON and isinstance(request, bytes):
            event = read(request, EVENT_SOURCE, self._standard.unmarshal_request)
        return self._standard.unmarshal_request(request, content_type) if event is None else event

    def marshal_response(self, response: Any) -> Any:
        """The response's text and its content type."""
        return self._standard.marshal_response(response)


def install() -> bool:
    """Puts the marshaller into the runtime that imported this function. Returns False, and changes nothing, where
    there is no such runtime, or its marshaller is another one than AWS's."""
    module = sys.modules.get(_RUNTIME)
    owner = getattr(module, "BaseLambdaRuntimeClient", None) or getattr(module, "LambdaRuntimeClient", None)
    standard = getattr(owner, "marshaller", None)
    if isinstance(standard, StreamMarshaller):
        return True
    if not type(standard).__module__.startswith("awslambdaric.") or not _as_expected(standard):
        return False
    owner.marshaller = StreamMarshaller(standard)  # type: ignore[union-attr]
    return True


def _as_expected(standard: Any) -> bool:
    found = {name: getattr(standard, name, None) for name in _METHODS}
    return all(
        callable(method) and list(inspect.signature(method).parameters) == _METHODS[name]
        for name, method in found.items()
    )
