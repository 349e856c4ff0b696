"""The runtime's own request handling with our marshaller in its place, and wrappers that people put around handlers."""

import functools
import gc
import json
import sys
import types

import pytest
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.utilities.validation import validator
from awslambdaric import bootstrap
from awslambdaric.lambda_runtime_client import LambdaRuntimeClient
from awslambdaric.lambda_runtime_exception import FaultException
from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller

from distributary.consumer import marshaller
from distributary.consumer.consume import consume
from distributary.consumer.marshaller import StreamMarshaller
from distributary.consumer.outcome import APPLIED, failed
from distributary.errors import Unavailable
from distributary.stream.stream_event import StreamEvent
from tests.unit.branches import Bucket, Ledger, deployment
from tests.unit.records import event, sequence, stream_record

BODY = json.dumps(event(stream_record(0), stream_record(1, user="u-2"))).encode()


class Runtime:
    """A client of the Runtime API that notes what was posted."""

    def __init__(self, marshaller):
        self.marshaller, self.results, self.errors = marshaller, [], []

    def post_invocation_result(self, invoke_id, result, content_type, invocation_id=None):
        self.results.append(json.loads(result))

    def post_invocation_error(self, invoke_id, error, fault, invocation_id=None):
        self.errors.append(json.loads(error))


class Log:
    def log_error(self, lines):
        pass


def invoked(handler, body=BODY, marshaller=None):
    """What awslambdaric posts for the body."""
    runtime = Runtime(marshaller or StreamMarshaller(LambdaMarshaller()))
    deadline = 4_000_000_000_000
    arn = "arn:aws:lambda:eu-west-1:123456789012:function:f"
    bootstrap.handle_event_request(
        runtime, handler, "id", body, "application/json", None, None, arn, deadline, None, Log()
    )
    return runtime


def handler_of(ledger, bucket=None):
    deployed = deployment(ledger, bucket or Bucket())
    return lambda event, context: consume(event, context, deployed)


@pytest.fixture
def counted(capsys):
    """How often an event was decoded before the function read it, as its metrics say."""

    def of(handler):
        assert invoked(handler).errors == []
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
        return sum(line["EventsDecoded"][0] for line in lines if "EventsDecoded" in line)

    return of


def test_a_batch_is_consumed_from_its_bytes(counted):
    ledger = Ledger(APPLIED)
    assert counted(handler_of(ledger)) == 0
    assert [change.keys["user_id"] for change in ledger.seen] == ["u-1", "u-2"]


def test_the_response_is_the_runtimes_own():
    runtime = invoked(handler_of(Ledger(APPLIED, **{"u-2": failed(Unavailable("later"))})))
    assert runtime.results == [{"batchItemFailures": [{"itemIdentifier": sequence(1)}]}]


def logged(handler):
    return Logger(service="test").inject_lambda_context(log_event=True)(handler)


def measured(handler):
    return Metrics(namespace="Other", service="test").log_metrics(handler, raise_on_empty_metrics=False)


def traced(handler):
    return Tracer(service="test", disabled=True).capture_lambda_handler(handler)


def validated(handler):
    return validator(handler, inbound_schema={"type": "object", "required": ["Records"]})


def third_party(handler):
    """As many do: copies the event, and passes its copy on."""

    @functools.wraps(handler)
    def wrapped(event, context):
        return handler({**event}, context)

    return wrapped


@pytest.mark.parametrize(
    ("wrapper", "times"), [(logged, 1), (measured, 0), (traced, 0), (validated, 1), (third_party, 0)]
)
def test_a_wrapped_handler_works_and_what_it_costs_is_counted(wrapper, times, counted):
    ledger = Ledger(APPLIED)
    assert counted(wrapper(handler_of(ledger))) == times
    assert len(ledger.seen) == 2


@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", BODY[:-1], BODY + b"x", b'{"a": "\xff"}'])
def test_broken_text_fails_as_it_fails_without_us(body):
    ours, theirs = (invoked(lambda event, context: event, body, each) for each in (None, LambdaMarshaller()))
    assert (ours.results, ours.errors) == (theirs.results, theirs.errors)
    assert ours.errors


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b"null", b"7", b'"aws:dynamodb"', b'{"detail": "aws:dynamodb"}', b"\xef\xbb\xbf{}"]
)
def test_any_other_event_goes_the_runtimes_own_way(body):
    runtime = invoked(lambda event, context: [type(event).__name__, event], body)
    expected = json.loads(body.decode("utf-8-sig"))
    assert runtime.results == [[type(expected).__name__, expected]]


def test_content_that_is_no_json_is_handed_over_as_it_is():
    assert StreamMarshaller(LambdaMarshaller()).unmarshal_request(BODY, "application/octet-stream") == BODY


def test_a_request_that_is_text_already_goes_the_runtimes_own_way():
    class Runtime:
        def unmarshal_request(self, request, content_type="application/json"):
            return json.loads(request)

    assert type(StreamMarshaller(Runtime()).unmarshal_request(BODY)) is StreamEvent
    assert type(StreamMarshaller(Runtime()).unmarshal_request(BODY.decode())) is dict


def test_a_number_that_msgspec_refuses_is_read_the_standard_way():
    records = event(stream_record(new={"x": {"S": "y"}}))
    body = json.dumps(records).replace('"y"', "1e999").encode()
    ledger = Ledger(APPLIED)
    assert invoked(handler_of(ledger), body).errors == []
    assert ledger.seen[0].new.raw["x"] == {"S": float("inf")}


def test_nothing_of_a_batch_outlives_its_invocation():
    body = bytes(bytearray(BODY))
    before = sys.getrefcount(body)
    invoked(handler_of(Ledger(APPLIED, **{"u-2": failed(Unavailable("later"))})), body)

    class Forgetful(Ledger):
        def apply(self, changes, deadline):
            for change in changes:
                assert change.new.raw
            return [APPLIED] * len(changes)

    invoked(handler_of(Forgetful(APPLIED)), body)
    gc.collect()
    assert sys.getrefcount(body) == before


@pytest.fixture
def runtime_module(monkeypatch):
    """Stands for awslambdaric's module; returns its client class."""

    class Client:
        marshaller = LambdaMarshaller()

    module = types.SimpleNamespace(BaseLambdaRuntimeClient=Client)
    monkeypatch.setitem(sys.modules, "awslambdaric.lambda_runtime_client", module)
    return module


def test_it_is_installed_once_and_for_every_kind_of_client(runtime_module):
    assert marshaller.install()
    ours = runtime_module.BaseLambdaRuntimeClient.marshaller
    assert isinstance(ours, StreamMarshaller)
    assert marshaller.install()
    assert runtime_module.BaseLambdaRuntimeClient.marshaller is ours


def test_an_older_runtime_has_it_in_its_only_client(runtime_module):
    runtime_module.LambdaRuntimeClient = runtime_module.BaseLambdaRuntimeClient
    del runtime_module.BaseLambdaRuntimeClient
    assert marshaller.install()
    assert isinstance(runtime_module.LambdaRuntimeClient.marshaller, StreamMarshaller)


class OtherMethods(LambdaMarshaller):
    __module__ = LambdaMarshaller.__module__

    def unmarshal_request(self, request, content_type, more):
        return request


class Without:
    """AWS's, without one of the methods."""

    __module__ = LambdaMarshaller.__module__

    def marshal_response(self, response):
        return json.dumps(response), "application/json"


class Foreign:
    def unmarshal_request(self, request, content_type="application/json"):
        return json.loads(request)

    def marshal_response(self, response):
        return json.dumps(response), "application/json"


@pytest.mark.parametrize("other", [OtherMethods(), Without(), Foreign(), None])
def test_another_marshaller_is_left_in_its_place(runtime_module, other):
    runtime_module.BaseLambdaRuntimeClient.marshaller = other
    assert not marshaller.install()
    assert runtime_module.BaseLambdaRuntimeClient.marshaller is other


def test_without_the_runtime_nothing_is_installed(monkeypatch):
    monkeypatch.delitem(sys.modules, "awslambdaric.lambda_runtime_client", raising=False)
    assert not marshaller.install()


def test_the_runtime_that_is_installed_here_has_the_hook():
    assert isinstance(LambdaRuntimeClient.marshaller, LambdaMarshaller | StreamMarshaller)
    assert marshaller._as_expected(LambdaMarshaller())


def test_an_event_that_is_read_as_a_dict_fails_as_the_runtime_would(monkeypatch):
    """Bytes that are no UTF-8 inside an image that nothing read."""
    body = BODY.replace(b'"u-2"}, "x', b"").replace(b"u-2", b"u-\xff")
    made = StreamMarshaller(LambdaMarshaller()).unmarshal_request(BODY)
    assert isinstance(made, StreamEvent)
    with pytest.raises(FaultException):
        StreamMarshaller(LambdaMarshaller()).unmarshal_request(body)["Records"]
