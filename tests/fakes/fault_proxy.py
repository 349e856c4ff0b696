"""A real HTTP proxy on 127.0.0.1 between a function and its OpenSearch, that does to bulk requests what networks do."""

import http.client
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

Fault = Callable[["Handler"], None]
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


def status(code: int) -> Fault:
    """The proxy answers in the engine's stead, which hears nothing."""

    def fault(handler: "Handler") -> None:
        text = b"<html>a load balancer's own words</html>"
        handler.answer(code, {"Content-Type": "text/html"}, text)

    return fault


def reset_before(handler: "Handler") -> None:
    """The connection is reset; the engine hears nothing."""
    handler.reset()


def reset_after(handler: "Handler") -> None:
    """The write takes effect, and the connection is reset before the answer."""
    handler.forwarded()
    handler.reset()


def half(handler: "Handler") -> None:
    """The write takes effect, and the answer ends in its middle, short of its announced length."""
    code, headers, body = handler.forwarded()
    handler.answer(code, headers, body, cut=len(body) // 2)


def half_without_length(handler: "Handler") -> None:
    """The same, of an answer that has no announced length: only its content tells."""
    code, headers, body = handler.forwarded()
    handler.answer(code, headers, body, cut=len(body) // 2, length=False)


def half_request(handler: "Handler") -> None:
    """Half of the request reaches the engine before the connection is gone."""
    handler.half_sent()
    handler.reset()


def silent(handler: "Handler") -> None:
    """The write takes effect, and no answer ever comes."""
    handler.forwarded()
    handler.server.closing.wait(30)
    handler.reset()


def slow(seconds: float) -> Fault:
    """The answer takes so long."""

    def fault(handler: "Handler") -> None:
        time.sleep(seconds)
        handler.answer(*handler.forwarded())

    return fault


class Proxy(ThreadingHTTPServer):
    """`faults` befall the next bulk requests, one each; `bulks` counts these. `always` befalls all while it is set.
    `requests` counts all, `body_bytes` what they carried."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        at = urlsplit(upstream)
        self.upstream = at.hostname or "127.0.0.1", at.port or 80
        self.faults: deque[Fault | None] = deque()
        self.always: Fault | None = None
        self.bulks = self.requests = self.body_bytes = 0
        self.closing = threading.Event()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def next_fault(self) -> Fault | None:
        with self._lock:
            self.bulks += 1
            return self.faults.popleft() if self.faults else self.always

    def count(self, body_bytes: int) -> None:
        with self._lock:
            self.requests += 1
            self.body_bytes += body_bytes

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone is what these tests are about."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Proxy

    def _serve(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.count(len(self.body))
        fault = self.server.next_fault() if self.path.split("?")[0].endswith("/_bulk") else None
        if fault is None:
            self.answer(*self.forwarded())
        else:
            fault(self)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _serve

    def forwarded(self) -> tuple[int, dict[str, str], bytes]:
        """What the engine answers."""
        upstream = http.client.HTTPConnection(*self.server.upstream, timeout=60)
        try:
            kept = {name: value for name, value in self.headers.items() if name.lower() not in (*_HOP, "host")}
            upstream.request(self.command, self.path, self.body, kept)
            answer = upstream.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            upstream.close()

    def half_sent(self) -> None:
        """A request whose announced length does not come."""
        with socket.create_connection(self.server.upstream) as upstream:
            lines = [f"{self.command} {self.path} HTTP/1.1", "Host: engine", f"Content-Length: {len(self.body)}"]
            lines += [
                f"{name}: {self.headers[name]}" for name in ("Content-Type", "Content-Encoding") if name in self.headers
            ]
            upstream.sendall("\r\n".join([*lines, "", ""]).encode() + self.body[: len(self.body) // 2])

    def answer(
        self, code: int, headers: dict[str, str], body: bytes, cut: int | None = None, length: bool = True
    ) -> None:
        self.send_response_only(code)
        for name, value in headers.items():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        if length:
            self.send_header("Content-Length", str(len(body)))
        self.close_connection = cut is not None or not length
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:cut])

    def reset(self) -> None:
        """A TCP reset, not an orderly end."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def log_message(self, *_: Any) -> None:
        """Nothing is said."""


@contextmanager
def proxied(upstream: str) -> Iterator[Proxy]:
    """A proxy before an engine, while the block runs."""
    proxy = Proxy(upstream)
    thread = threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.closing.set()
        proxy.shutdown()
        thread.join()
        proxy.server_close()
