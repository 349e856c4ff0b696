"""A fake table behind a real socket, which does to requests and answers what networks and services do."""

import socket
import ssl
import struct
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from botocore.exceptions import ClientError

from distributary.dynamodb.client import decoded, encoded

Fault = Callable[["Exchange"], bool]
"""Whether the connection goes on."""

OPERATIONS = {
    "PutItem": "put_item",
    "DeleteItem": "delete_item",
    "UpdateItem": "update_item",
    "GetItem": "get_item",
    "BatchGetItem": "batch_get_item",
    "TransactWriteItems": "transact_write_items",
    "Query": "query",
    "Scan": "scan",
}
LATE_SECONDS = 0.4


class Exchange:
    """One request, its effect, and its connection."""

    def __init__(self, server: "Server", connection: Any, operation: str, body: bytes) -> None:
        self._server, self.connection, self._operation, self._body = server, connection, operation, body

    def effect(self) -> tuple[int, bytes]:
        """What the table does, and says."""
        return self._server.effect(self._operation, self._body)

    def send(self, status: int, body: bytes, *headers: bytes, length: bool = True) -> None:
        """A whole answer."""
        named = [b"HTTP/1.1 %d OK" % status, b"Content-Type: application/x-amz-json-1.0", *headers]
        if length:
            named.append(b"Content-Length: %d" % len(body))
        self.raw(b"\r\n".join(named) + b"\r\n\r\n" + body)

    def raw(self, data: bytes) -> None:
        self.connection.sendall(data)


def well(exchange: Exchange) -> bool:
    status, body = exchange.effect()
    exchange.send(status, body, b"x-amz-crc32: %d" % zlib.crc32(body))
    return True


def status(code: int) -> Fault:
    """The service, or something before it, answers without an effect."""

    def fault(exchange: Exchange) -> bool:
        exchange.send(code, b"<html>busy</html>")
        return True

    fault.__name__ = f"status_{code}"
    return fault


def throttled(exchange: Exchange) -> bool:
    exchange.send(400, b'{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"slow down"}')
    return True


def _reset(exchange: Exchange) -> bool:
    exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def reset_before(exchange: Exchange) -> bool:
    return _reset(exchange)


def reset_after(exchange: Exchange) -> bool:
    exchange.effect()
    return _reset(exchange)


def half(exchange: Exchange) -> bool:
    """The answer ends before its announced length."""
    code, body = exchange.effect()
    exchange.raw(b"HTTP/1.1 %d OK\r\nContent-Length: %d\r\n\r\n%b" % (code, len(body) + 10, body))
    return False


def half_of_the_head(exchange: Exchange) -> bool:
    exchange.effect()
    exchange.raw(b"HTTP/1.1 200 OK\r\nContent-Len")
    return False


def half_of_the_chunks(exchange: Exchange) -> bool:
    exchange.effect()
    exchange.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1")
    return False


def silent(exchange: Exchange) -> bool:
    """It takes effect, and no answer comes for as long as the client listens."""
    exchange.effect()
    with suppress(OSError):
        exchange.connection.recv(1)
    return False


def late(exchange: Exchange) -> bool:
    """It takes effect after the client has given up, and the answer comes after that."""
    time.sleep(LATE_SECONDS)
    return well(exchange)


def garbage(exchange: Exchange) -> bool:
    exchange.effect()
    exchange.raw(b"\x00\x01 this is no HTTP \r\n\r\n")
    return True


def wrong_checksum(exchange: Exchange) -> bool:
    code, body = exchange.effect()
    exchange.send(code, body, b"X-Amz-Crc32: 1")
    return True


def in_chunks(exchange: Exchange) -> bool:
    code, body = exchange.effect()
    pieces = b"".join(
        b"%x;note=1\r\n%b\r\n" % (len(body[at : at + 7]), body[at : at + 7]) for at in range(0, len(body), 7)
    )
    exchange.raw(b"HTTP/1.1 %d OK\r\nTransfer-Encoding: chunked\r\n\r\n%b0\r\nTrailer: x\r\n\r\n" % (code, pieces))
    return True


def byte_by_byte(exchange: Exchange) -> bool:
    code, body = exchange.effect()
    for byte in b"HTTP/1.1 %d OK\r\nContent-Length: %d\r\n\r\n%b" % (code, len(body), body):
        exchange.raw(bytes([byte]))
    return True


def after_continue(exchange: Exchange) -> bool:
    exchange.raw(b"HTTP/1.1 100 Continue\r\n\r\n")
    return well(exchange)


def last(exchange: Exchange) -> bool:
    """The answer says that the connection ends with it."""
    code, body = exchange.effect()
    exchange.send(code, body, b"Connection: close")
    return False


def hung_up(exchange: Exchange) -> bool:
    """The connection ends after the answer, which does not say so: as while a function is frozen."""
    well(exchange)
    return False


def twice(exchange: Exchange) -> bool:
    """The same answer comes once more, a little later."""
    code, body = exchange.effect()
    exchange.send(code, body)
    time.sleep(0.01)
    exchange.send(code, body)
    return True


def idle_too_long(exchange: Exchange) -> bool:
    """The peer gave the idle connection up before the request reached it."""
    exchange.send(408, b"", b"Connection: close")
    return False


def then_too_long_idle(exchange: Exchange) -> bool:
    """The peer gives the connection up a little after its answer."""
    well(exchange)
    time.sleep(0.01)
    return idle_too_long(exchange)


def without_length(exchange: Exchange) -> bool:
    code, body = exchange.effect()
    exchange.send(code, body, length=False)
    return False


HARMLESS: list[Fault] = [well, in_chunks, byte_by_byte, after_continue, last, hung_up, without_length]
PASSING: list[Fault] = [
    *(status(500), status(503), throttled, reset_before, reset_after, half, half_of_the_head, half_of_the_chunks),
    *(garbage, wrong_checksum),
]
SLOW: list[Fault] = [silent, late]


class Server:
    """Requests meet `faults` in the order in which they come, and afterwards none."""

    def __init__(self, table: Any, context: ssl.SSLContext | None = None) -> None:
        self._table, self._context, self._lock = table, context, threading.Lock()
        self._tokens: dict[str, tuple[int, bytes]] = {}
        self.faults: deque[Fault] = deque()
        self.connections, self.requests, self.most, self._now = 0, 0, 0, 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._open: set[Any] = set()
        scheme, host = ("https", "localhost") if context else ("http", "127.0.0.1")
        self.url = f"{scheme}://{host}:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def effect(self, operation: str, body: bytes) -> tuple[int, bytes]:
        asked = decoded(body)
        token = asked.pop("ClientRequestToken", "")
        with self._lock:
            if token in self._tokens:
                return self._tokens[token]
            answer = self._answer(operation, asked)
            if token and answer[0] == 200:
                self._tokens[token] = answer
        return answer

    def _answer(self, operation: str, asked: Any) -> tuple[int, bytes]:
        try:
            return 200, encoded(getattr(self._table, OPERATIONS[operation])(**asked))
        except ClientError as error:
            said = {key: each for key, each in error.response.items() if key not in ("Error", "ResponseMetadata")}
            code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
            body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message, **said}
            return 400, encoded(body)

    def hang_up(self) -> None:
        """On every connection."""
        for each in list(self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        while self._open:
            time.sleep(0.001)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in list(self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: Any) -> None:
        with suppress(OSError, ValueError):
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            self._open.add(connection)
            while (asked := self._read(connection)) is not None:
                if not self._one(Exchange(self, connection, *asked)):
                    break
        with suppress(OSError):
            connection.close()
        self._open.discard(connection)

    def _one(self, exchange: Exchange) -> bool:
        with self._lock:
            self.requests += 1
            self._now += 1
            self.most = max(self.most, self._now)
            fault = self.faults.popleft() if self.faults else well
        try:
            return fault(exchange)
        finally:
            with self._lock:
                self._now -= 1

    @staticmethod
    def _read(connection: Any) -> tuple[str, bytes] | None:
        held = b""
        while b"\r\n\r\n" not in held:
            piece = connection.recv(65536)
            if not piece:
                return None
            held += piece
        head, _, body = held.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        while len(body) < int(fields[b"content-length"]):
            body += connection.recv(65536)
        target = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"x-amz-target"))
        return target.rpartition(b".")[2].decode(), body


@contextmanager
def serving(table: Any, context: ssl.SSLContext | None = None) -> Iterator[Server]:
    """While the block runs."""
    server = Server(table, context)
    try:
        yield server
    finally:
        server.close()
