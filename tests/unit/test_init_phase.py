"""What a function does before its first event, and that it does so on Lambda alone."""

import gc
import json
import os
import subprocess
import sys
import types

import pytest
from awslambdaric.lambda_runtime_hooks_runner import run_after_restore, run_before_snapshot
from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller
from snapshot_restore_py import get_after_restore, register_after_restore, register_before_snapshot

from distributary.consumer.init_phase import prepare
from distributary.consumer.marshaller import StreamMarshaller
from distributary.stream.stream_event import StreamEvent
from tests.unit.records import event, stream_record

ENVIRONMENT = {"PYTHONPATH": os.pathsep.join(sys.path)}
BODY = json.dumps(event(stream_record())).encode()


@pytest.fixture(autouse=True)
def collector():
    """As Python starts with it, and afterwards as the tests have it."""
    before = gc.get_threshold()
    gc.unfreeze()
    gc.set_threshold(700)
    yield
    gc.freeze()
    gc.set_threshold(*before)


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
    prepare(lambda: built.append(1))
    frozen = gc.get_freeze_count()
    assert built == [1]
    assert isinstance(client.marshaller, StreamMarshaller)
    assert frozen > 1000


def test_the_collector_waits_until_the_function_is_built_and_no_longer(monkeypatch, client):
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
    states = []

    def runtime():
        states.append(gc.isenabled())
        raise LookupError

    with pytest.raises(LookupError):
        prepare(runtime)
    assert (states, gc.isenabled()) == ([False], True)
    assert gc.get_threshold()[0] == 100_000


def test_the_collector_leaves_alone_what_the_sdk_has_loaded():
    work = "import gc, distributary.consumer.aws; assert gc.isenabled(); print(gc.get_freeze_count())"
    done = subprocess.run([sys.executable, "-c", work], capture_output=True, text=True, check=True, env=ENVIRONMENT)
    assert int(done.stdout) > 10_000


def test_elsewhere_nothing_is_built_or_replaced(monkeypatch, client):
    monkeypatch.delenv("AWS_LAMBDA_INITIALIZATION_TYPE", raising=False)
    before = gc.get_freeze_count()
    prepare(lambda: pytest.fail("built"))
    assert isinstance(client.marshaller, LambdaMarshaller)
    assert gc.get_freeze_count() == before
    assert gc.get_threshold()[0] < 20_000


def test_a_snapshot_and_its_restore_leave_the_function_as_it_was_built(monkeypatch, client):
    """SnapStart runs a package's own hooks around the snapshot, in the process that `prepare` has prepared."""
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start")
    order = []
    register_before_snapshot(lambda: order.append("before"))
    register_after_restore(lambda: order.append("after"))
    try:
        prepare(lambda: order.append("built"))
        run_before_snapshot()
        monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
        run_after_restore()
        prepare(lambda: order.append("built again"))
    finally:
        get_after_restore().clear()
    assert order == ["built", "before", "after", "built again"]
    assert isinstance(client.marshaller, StreamMarshaller)
    assert isinstance(client.marshaller.unmarshal_request(BODY), StreamEvent)
    assert not isinstance(client.marshaller._standard, StreamMarshaller)
