"""Functions as Lambda runs them: each invocation alone in a process that AWS's own runtime client drives."""

import os
import queue
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from local.build import Built
from local.function_logs import Metrics, Output
from local.processes import TETHER, Child
from local.runtime_api import TIMED_OUT, Answer, Invocation, RuntimeApi, Throttled
from local.template import FunctionSpec

INIT_SECONDS = 10.0
SLOW_STARTS = 3
"""So many starts in a row that take longer than INIT_SECONDS mean that a function cannot start. One alone may be due to
a busy machine, and Lambda tries again as well:
https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html"""
Log = Callable[[str, str], None]
Environment = Mapping[str, str]
Through = Callable[[str, Environment], Environment]
"""Of a function and its environment, the one that a new process gets: it may reach services another way."""


def as_given(_: str, environment: Environment) -> Environment:
    """The environment itself."""
    return environment


class Function:
    """A deployed function: as many warm processes as invocations ever ran at the same time."""

    def __init__(
        self, spec: FunctionSpec, built: Built, environment: Environment, log: Log, through: Through = as_given
    ) -> None:
        self.spec = spec
        self.metrics = Metrics()
        self._built = built
        self._environment, self._through = {**environment, **spec.environment}, through
        self._log = log
        self._lock = threading.Lock()
        self._idle: list[_Process] = []
        self._busy: set[_Process] = set()
        self._closed = False
        self._start_error: str | None = None
        self._slow_starts, self._last_slow_start = 0, 0.0

    @property
    def version(self) -> str:
        """Of what later invocations run; see `Built.version`."""
        return self._built.version(self.spec.name)

    def invoke(self, payload: bytes) -> Answer:
        """Runs the handler once. An error, a timeout and a killed process are answers with a `function_error`.

        Throttled while as many run as the function reserves:
        https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
        """
        process = self._acquire()
        try:
            answer = process.invoke(payload)
            self._note(process, answer)
            return answer
        finally:
            for line in process.said():
                self._line(line)
            self._release(process)

    def start_error(self) -> str | None:
        """Why the handler of the current build cannot be loaded. None if it can, if it was not tried yet, or if it was
        too slow fewer than SLOW_STARTS times in a row."""
        with self._lock:
            return self._start_error

    def restart(self, built: Built) -> None:
        """Later invocations run this build. One that is under way ends with the build that it began with."""
        with self._lock:
            self._built, self._start_error, self._slow_starts = built, None, 0
            old, self._idle = self._idle, []
        for process in old:
            process.close()

    def renew(self) -> None:
        """Later invocations run in new processes, of the same build."""
        with self._lock:
            built = replace(self._built)
        self.restart(built)

    def kill(self) -> int:
        """Ends every process that is in the middle of an invocation; how many these were."""
        with self._lock:
            doomed = list(self._busy)
        for process in doomed:
            process.kill()
        return len(doomed)

    def close(self) -> None:
        """Ends all processes."""
        with self._lock:
            self._closed = True
            doomed = [*self._idle, *self._busy]
            self._idle.clear()
        for process in doomed:
            process.close()

    def _acquire(self) -> "_Process":
        with self._lock:
            if self._closed:
                raise RuntimeError(f"{self.spec.name} is closed")
            if self.spec.reserved is not None and len(self._busy) >= self.spec.reserved:
                raise Throttled(f"{self.spec.name} runs {self.spec.reserved} times already")
            while self._idle:
                process = self._idle.pop()
                if process.running():
                    self._busy.add(process)
                    return process
                process.close()
            environment = self._through(self.spec.name, self._environment)
            process = _Process(self.spec, self._built, environment)
            self._busy.add(process)
            return process

    def _release(self, process: "_Process") -> None:
        with self._lock:
            self._busy.discard(process)
            keep = process.running() and not self._closed and process.built is self._built
            if keep:
                self._idle.append(process)
        if not keep:
            process.close()

    def _note(self, process: "_Process", answer: Answer) -> None:
        with self._lock:
            if process.built is not self._built:
                return
            if answer.started:
                self._start_error, self._slow_starts = None, 0
            elif not answer.timed_out or self._too_slow(process.begun):
                self._start_error = answer.error()

    def _too_slow(self, begun: float) -> bool:
        """Counts a slow start. Those that were under way at the same time count once."""
        if begun >= self._last_slow_start:
            self._slow_starts, self._last_slow_start = self._slow_starts + 1, time.monotonic()
        return self._slow_starts >= SLOW_STARTS

    def _line(self, line: str) -> None:
        if not self.metrics.take(line):
            self._log(self.spec.name, line)


class _Process:
    """One execution environment."""

    def __init__(self, spec: FunctionSpec, built: Built, environment: Mapping[str, str]) -> None:
        self.built, self.begun, self._spec = built, time.monotonic(), spec
        path = built.path(spec.name)
        self._api = RuntimeApi()
        self._output = Output()
        self._child = Child(
            [*command(path, "awslambdaric"), spec.handler],
            _environment(spec, path[0], self._api.address, environment),
            path[0],
            self._output.file,
        )
        self._killed = threading.Event()

    def running(self) -> bool:
        return self._child.running() and not self._killed.is_set()

    def kill(self) -> None:
        self._killed.set()
        self._child.kill()

    def close(self) -> None:
        self.kill()
        self._child.stop()
        self._api.close()
        self._output.close()

    def said(self) -> list[str]:
        """The lines written since the last call."""
        return self._output.lines()

    def invoke(self, payload: bytes) -> Answer:
        """Lambda's own limit for loading the handler, then the function's timeout for the event."""
        request_id = str(uuid.uuid4())
        loaded_by = time.monotonic() + INIT_SECONDS
        while not self._api.ready.wait(0.02):
            if time.monotonic() > loaded_by:
                return replace(self._timeout(request_id, INIT_SECONDS), started=False)
            if not self._child.running():
                return replace(self._ended(request_id), started=False)
        deadline = time.time() + self._spec.timeout
        self._api.offer(Invocation(request_id, self._spec.arn, payload, deadline))
        return self._answer(request_id, deadline)

    def _answer(self, request_id: str, deadline: float) -> Answer:
        while True:
            left = deadline - time.time()
            if left <= 0:
                return self._timeout(request_id, self._spec.timeout)
            answer = self._get(min(left, 0.1))
            if answer is not None:
                return answer
            if not self.running():
                return self._ended(request_id)

    def _get(self, seconds: float) -> Answer | None:
        try:
            return self._api.answers.get(timeout=max(seconds, 0.001))
        except queue.Empty:
            return None

    def _timeout(self, request_id: str, seconds: float) -> Answer:
        self.kill()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        message = f"{stamp} {request_id} Task timed out after {seconds:.2f} seconds"
        self._output.write(message)
        return Answer(request_id, {"errorMessage": message, "errorType": TIMED_OUT}, "Unhandled")

    def _ended(self, request_id: str) -> Answer:
        status = self._child.wait()
        last = self._get(0.001)
        if last is not None:
            return Answer(request_id, last.payload, last.function_error)
        how = f"signal: {-status}" if status < 0 else f"exit status {status}"
        message = f"RequestId: {request_id} Error: Runtime exited with error: {how}"
        self._output.write(message)
        return Answer(request_id, {"errorMessage": message, "errorType": "Runtime.ExitError"}, "Unhandled")


def command(path: Sequence[Path], module: str) -> list[str]:
    """Runs a module with nothing to import from but the standard library and this path."""
    folders = os.pathsep.join(str(folder) for folder in path)
    return [sys.executable, "-I", "-S", str(TETHER), folders, module]


def _environment(spec: FunctionSpec, task: Path, address: str, given: Mapping[str, str]) -> dict[str, str]:
    """https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime"""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{spec.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": spec.arn.rsplit(":", 1)[1],
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory),
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{spec.arn.rsplit(':', 1)[1]}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"local/[$LATEST]{uuid.uuid4().hex}",
        "AWS_LAMBDA_RUNTIME_API": address,
        "AWS_EC2_METADATA_DISABLED": "true",
        "LAMBDA_TASK_ROOT": str(task),
        "_HANDLER": spec.handler,
        **given,
    }
