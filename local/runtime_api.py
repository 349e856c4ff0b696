"""Lambda's Runtime API for one function process (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html)."""

import json
import queue
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any

from local.loopback import LoopbackServer

TIMED_OUT = "Sandbox.Timedout"
_PREFIX = "/2018-06-01/runtime"
_CLOSED = object()


@dataclass(frozen=True, slots=True)
class Invocation:
    """One event on its way to a handler. `deadline` is in seconds since the epoch."""

    request_id: str
    function_arn: str
    payload: bytes
    deadline: float


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of an invocation: the handler's payload, or an error of the function. `started` is False for an error
    that came before the handler was loaded."""

    request_id: str
    payload: Any
    function_error: str | None = None
    started: bool = True

    @property
    def timed_out(self) -> bool:
        """Whether the time for the start, or for the event, was over."""
        return isinstance(self.payload, dict) and self.payload.get("errorType") == TIMED_OUT

    def error(self) -> str:
        """The function's error in one line."""
        given = self.payload if isinstance(self.payload, dict) else {}
        kind, message = given.get("errorType", self.function_error), given.get("errorMessage", self.payload)
        return " ".join(f"{kind}: {message}".split())


class Throttled(Exception):
    """Lambda's 429: the function has no concurrency left, and was not invoked."""


class RuntimeApi:
    """Hands out one invocation at a time and takes its answer. `ready` is set once the handler is loaded."""

    def __init__(self) -> None:
        self.ready = threading.Event()
        self.answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._current = ""
        self._server = LoopbackServer(_handler(self))
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True, name="runtime-api").start()

    @property
    def address(self) -> str:
        """The value of AWS_LAMBDA_RUNTIME_API."""
        return f"127.0.0.1:{self._server.server_port}"

    def offer(self, invocation: Invocation) -> None:
        """The process's next invocation."""
        self._current = invocation.request_id
        self._waiting.put(invocation)

    def close(self) -> None:
        """Releases a process that waits for an invocation, and the port."""
        self._waiting.put(_CLOSED)
        self._server.shutdown()
        self._server.server_close()

    def next(self) -> Invocation | None:
        """Waits for an invocation; None when closed."""
        self.ready.set()
        invocation = self._waiting.get()
        return invocation if isinstance(invocation, Invocation) else None

    def take(self, path: str, body: bytes, error_type: str) -> bool:
        """An answer by the process. False if it answers something else than what it was given."""
        payload = json.loads(body) if body else None
        if path == f"{_PREFIX}/init/error":
            self.answers.put(Answer(self._current, payload, error_type or "Unhandled"))
        elif path == f"{_PREFIX}/invocation/{self._current}/response":
            self.answers.put(Answer(self._current, payload))
        elif path == f"{_PREFIX}/invocation/{self._current}/error":
            self.answers.put(Answer(self._current, payload, "Unhandled"))
        else:
            return False
        return True


def _handler(api: RuntimeApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            if self.path != f"{_PREFIX}/invocation/next":
                self._answer(404, {}, b"")
                return
            invocation = api.next()
            if invocation is None:
                self.close_connection = True
                return
            self._answer(200, _headers(invocation), invocation.payload)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            taken = api.take(self.path, body, self.headers.get("Lambda-Runtime-Function-Error-Type", ""))
            self._answer(202 if taken else 400, {}, b"{}")

        def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: a function's own log shows what it did."""

    return Handler


def _headers(invocation: Invocation) -> dict[str, str]:
    return {
        "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
        "Lambda-Runtime-Deadline-Ms": str(int(invocation.deadline * 1000)),
        "Lambda-Runtime-Invoked-Function-Arn": invocation.function_arn,
    }
