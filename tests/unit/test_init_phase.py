"""What a function does before its first event, and that it does so on Lambda alone."""

import gc
import sys
import types

import pytest
from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller

from distributary.consumer.init_phase import prepare
from distributary.consumer.marshaller import StreamMarshaller


@pytest.fixture
def client(monkeypatch):
    """The runtime's client class, as far as it has a marshaller."""
    made = types.SimpleNamespace(marshaller=LambdaMarshaller())
    module = types.SimpleNamespace(LambdaRuntimeClient=made)
    monkeypatch.setitem(sys.modules, "awslambdaric.lambda_runtime_client", module)
    return made


def test_on_lambda_the_function_is_built_and_takes_bytes(monkeypatch, client):
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
    built = []
    try:
        prepare(lambda: built.append(1))
        frozen = gc.get_freeze_count()
    finally:
        gc.unfreeze()
    assert built == [1]
    assert isinstance(client.marshaller, StreamMarshaller)
    assert frozen > 1000


def test_elsewhere_nothing_is_built_or_replaced(monkeypatch, client):
    monkeypatch.delenv("AWS_LAMBDA_INITIALIZATION_TYPE", raising=False)
    before = gc.get_freeze_count()
    prepare(lambda: pytest.fail("built"))
    assert isinstance(client.marshaller, LambdaMarshaller)
    assert gc.get_freeze_count() == before
