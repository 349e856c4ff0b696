"""Functions under awslambdaric, each in its own process."""

import dataclasses
import json
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from local import runtime
from local.build import build
from local.runtime import Function
from local.stack import Stack


@pytest.fixture
def probe(stack):
    return stack.function("probe")


def test_a_function_sees_what_lambda_shows_and_nothing_of_this_environment(stack, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_SHELL", "1")
    seen = stack.invoke("probe", {"do": "describe"}).payload
    environment = seen["environment"]
    assert environment["TABLE"] == "distributary-Table"
    assert environment["BUCKET"] == "distributary-bucket-000000000000"
    assert environment["AWS_ENDPOINT_URL"] == stack.aws.endpoint
    assert environment["LAMBDA_TASK_ROOT"].endswith("functions/probe")
    assert "SECRET_OF_THE_SHELL" not in environment
    assert seen["layer"] == "the layer"
    assert (seen["function"], seen["memory"]) == ("distributary-probe", "256")
    assert 0 < seen["left"] <= 1000


def test_only_function_layer_runtime_and_standard_library_are_on_the_path(stack):
    path = stack.invoke("probe", {"do": "describe"}).payload["path"]
    assert [Path(folder).name for folder in path[:3]] == ["probe", "python", "runtime"]
    assert not any("site-packages" in folder for folder in path)


def test_a_process_stays_warm_for_the_next_invocation(stack):
    processes = {stack.invoke("probe", {"do": "describe"}).payload["process"] for _ in range(3)}
    assert len(processes) == 1


def test_concurrent_invocations_have_a_process_each(stack):
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: stack.invoke("probe", {"do": "wait", "seconds": 0.5}), range(2)))
    assert len({answer.payload["process"] for answer in answers}) == 2


def test_an_invocation_beyond_the_reserved_concurrency_is_throttled(stack, probe):
    probe.spec = dataclasses.replace(probe.spec, reserved=1)
    wait = json.dumps({"do": "wait", "seconds": 0.5}).encode()
    with ThreadPoolExecutor(2) as pool:
        errors = [future.exception() for future in [pool.submit(probe.invoke, wait) for _ in range(2)]]
    assert sorted(type(each).__name__ for each in errors) == ["NoneType", "Throttled"]
    assert stack.invoke("probe", {"do": "describe"}).function_error is None


def test_an_exception_is_an_error_of_the_function_and_the_process_lives_on(stack, log):
    before = stack.invoke("probe", {"do": "describe"}).payload["process"]
    answer = stack.invoke("probe", {"do": "fail"})
    assert answer.function_error == "Unhandled"
    assert (answer.payload["errorType"], answer.payload["errorMessage"]) == ("ValueError", "on purpose")
    assert any("on purpose" in line for _, line in log)
    assert stack.invoke("probe", {"do": "describe"}).payload["process"] == before


def test_a_timeout_ends_the_process_and_the_next_invocation_has_a_new_one(stack):
    before = stack.invoke("probe", {"do": "describe"}).payload["process"]
    answer = stack.invoke("probe", {"do": "wait", "seconds": 30})
    assert answer.function_error == "Unhandled"
    assert "Task timed out after 1.00 seconds" in answer.payload["errorMessage"]
    assert stack.invoke("probe", {"do": "describe"}).payload["process"] != before


def test_a_process_that_leaves_is_an_error_of_the_function(stack):
    answer = stack.invoke("probe", {"do": "leave"})
    assert answer.payload["errorType"] == "Runtime.ExitError"
    assert "exit status 3" in answer.payload["errorMessage"]


def test_a_function_killed_in_mid_invocation_is_an_error_and_keeps_its_counts(stack, probe):
    stack.invoke("probe", {"do": "describe"})
    threading.Timer(0.3, probe.kill).start()
    answer = stack.invoke("probe", {"do": "wait", "seconds": 0.9})
    assert answer.payload["errorType"] == "Runtime.ExitError"
    assert probe.metrics.counts()["Begun"] == 1
    assert stack.invoke("probe", {"do": "echo"}).function_error is None


def test_kill_leaves_idle_processes_alone(stack, probe):
    stack.invoke("probe", {"do": "describe"})
    assert probe.kill() == 0


@pytest.fixture
def built(project):
    return build(project.template, ["probe"], project.artifacts)


@pytest.fixture
def other(built, tmp_path):
    """Another build of the same function, whose answer tells that it ran."""
    folder = shutil.copytree(built.functions["probe"], tmp_path / "other")
    (folder / "app.py").write_text((folder / "app.py").read_text() + "\n\ndef name(*_):\n    return 'other'\n")
    return replace(built, functions={"probe": folder})


@pytest.fixture
def function(stack, built):
    running = Function(stack.spec("probe"), built, stack.aws.environment(), lambda *_: None)
    yield running
    running.close()


def test_a_handler_that_cannot_be_loaded_is_reported_at_once(stack, built):
    broken = Function(replace(stack.spec("probe"), handler="nowhere.handler"), built, {}, lambda *_: None)
    answer = broken.invoke(b"{}")
    broken.close()
    assert answer.function_error
    assert not answer.started
    assert "nowhere" in answer.payload["errorMessage"]
    assert "nowhere" in broken.start_error()


@pytest.fixture
def seconds(monkeypatch):
    """Sets how long a start may take: no process starts within 10 ms, and every one within a minute."""
    return lambda seconds: monkeypatch.setattr(runtime, "INIT_SECONDS", seconds)


def test_slow_starts_with_a_good_one_between_them_do_not_mean_it_cannot_start(function, seconds):
    for _ in range(2):
        for _ in range(runtime.SLOW_STARTS - 1):
            seconds(0.01)
            assert "timed out after 0.01 seconds" in function.invoke(b"{}").error()
            assert function.start_error() is None
        seconds(60)
        assert function.invoke(b'{"do": "leave"}').started


def test_a_function_that_is_slow_at_each_start_cannot_start(function, other, seconds):
    seconds(0.01)
    for _ in range(runtime.SLOW_STARTS):
        assert function.start_error() is None
        assert not function.invoke(b"{}").started
    assert "timed out after 0.01 seconds" in function.start_error()
    function.restart(other)
    assert not function.invoke(b"{}").started
    assert function.start_error() is None, "another build begins anew"


def test_slow_starts_at_the_same_time_count_once(function, seconds):
    seconds(0.2)
    with ThreadPoolExecutor(runtime.SLOW_STARTS + 1) as pool:
        answers = list(pool.map(function.invoke, [b"{}"] * (runtime.SLOW_STARTS + 1)))
    assert not any(answer.started for answer in answers)
    assert function.start_error() is None


def test_an_error_of_a_loaded_handler_is_no_error_of_the_start(function):
    assert function.invoke(b'{"do": "fail"}').started
    assert function.invoke(b'{"do": "leave"}').started
    assert function.start_error() is None


def test_a_restarted_function_runs_the_other_build(function, other):
    before = function.invoke(b'{"do": "describe"}').payload["process"]
    function.restart(other)
    assert function.invoke(b'{"do": "name"}').payload == "other"
    assert function.invoke(b'{"do": "describe"}').payload["process"] != before


def test_a_restart_lets_the_running_invocation_end_and_keeps_no_old_process(function, other):
    function.invoke(b'{"do": "echo"}')
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(function.invoke, b'{"do": "wait", "seconds": 0.5}')
        time.sleep(0.1)
        function.restart(other)
        assert function.invoke(b'{"do": "name"}').payload == "other"
        assert running.result().function_error is None
    for _ in range(2):
        assert function.invoke(b'{"do": "name"}').payload == "other"


def test_a_late_start_error_of_the_old_build_is_not_the_new_one_s(stack, built, other):
    """The old build's handler loads slowly and fails after the restart."""
    slow = Path(other.functions["probe"])
    (slow / "app.py").write_text("import time\ntime.sleep(1)\nraise ValueError('old')\n")
    function = Function(stack.spec("probe"), other, stack.aws.environment(), lambda *_: None)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(function.invoke, b"{}")
        time.sleep(0.2)
        function.restart(built)
        assert not running.result().started
    assert function.start_error() is None
    function.close()


def test_metrics_are_added_up_at_the_answer_and_other_lines_are_logged(stack, probe, log):
    for _ in range(20):
        stack.invoke("probe", {"do": "count_and_print", "count": 3})
    assert probe.metrics.counts() == {"Received": 60}
    assert log.count(("probe", "a plain line")) == 20


def test_a_payload_of_six_megabytes_goes_through(stack):
    event = {"do": "echo", "text": "x" * (6 * 1024 * 1024 - 100)}
    assert stack.invoke("probe", event).payload == event


def test_a_warm_invocation_costs_milliseconds(stack):
    stack.invoke("probe", {"do": "echo"})
    began = time.perf_counter()
    for _ in range(20):
        stack.invoke("probe", {"do": "echo"})
    assert (time.perf_counter() - began) / 20 < 0.03


def test_closing_a_stack_ends_its_processes(project, aws):
    import psutil

    with Stack(project, aws, {"Needed": "yes"}, lambda *_: None) as stack:
        process = stack.invoke("probe", {"do": "describe"}).payload["process"]
        assert psutil.pid_exists(process)
    assert not psutil.pid_exists(process)
