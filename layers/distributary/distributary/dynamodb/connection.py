"""One connection to a DynamoDB endpoint that never blocks: opened, asked, read, and asked again."""

import errno
import os
import select
import selectors
import socket
import ssl
from collections.abc import Sequence
from enum import Enum
from typing import Any

from distributary.dynamodb.response import Response, ResponseReader
from distributary.stream.struct import Struct, replace

CHUNK = 1 << 18
REQUEST_TIMEOUT = 408
"""No response to a request: the peer gave the connection up before one reached it.
https://www.rfc-editor.org/rfc/rfc9110#name-408-request-timeout"""
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_PENDING = (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError)


class Address(Struct, frozen=True):
    """Where an endpoint is, and how long it may be silent: while a connection is opened, and afterwards, in seconds.
    `tls` is None for http."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    connect_seconds: float
    read_seconds: float

    def resolve(self) -> list[Any]:
        """All addresses of the host, those to be tried first in front. Raises OSError. It blocks."""
        return socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)


class Phase(Enum):
    """What a connection waits for."""

    CONNECTING = 1
    HANDSHAKE = 2
    SENDING = 3
    READING = 4
    IDLE = 5


class Connection:
    """To the first of `found`, which `Address.resolve` gave, whose family the system supports; `others` come after it.
    Raises OSError if there is none. `events` is what it waits for.
    `answered`: it has carried a response, so that it may have been closed since without a fault of the service."""

    def __init__(self, address: Address, found: Sequence[Any]) -> None:
        self.socket: Any
        self.address = address
        self.socket, place, self.others = _opened(found)
        self.events, self.phase, self.answered = WRITE, Phase.CONNECTING, False
        self._request = memoryview(b"")
        self._reader = ResponseReader()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._fault: int | None = self.socket.connect_ex(place)

    @property
    def patience(self) -> float:
        """Seconds that it may be silent now."""
        opening = self.phase in (Phase.CONNECTING, Phase.HANDSHAKE)
        return self.address.connect_seconds if opening else self.address.read_seconds

    @property
    def untouched(self) -> bool:
        """Whether nothing of a response to its request has arrived."""
        return not self._reader.begun

    def ask(self, request: bytes) -> None:
        """Takes the request, to be sent by `proceed`."""
        self._request, self._reader = memoryview(request), ResponseReader()
        if self.phase is Phase.IDLE:
            self.phase = Phase.SENDING

    def proceed(self) -> Response | None:
        """Goes on as far as it can without waiting; it is called first after `ask`, then whenever one of `events`
        happens. The response, once it is there.

        Raises OSError (ssl.SSLError is one) or ValueError, and is of no use then.
        """
        try:
            if self.phase is Phase.CONNECTING:
                self._connected()
            if self.phase is Phase.HANDSHAKE:
                self.socket.do_handshake()
                self.phase = Phase.SENDING
            if self.phase is Phase.SENDING:
                return self._send()
            if self.phase is Phase.READING:
                return self._read()
        except ssl.SSLWantWriteError:
            self.events = WRITE
        except ssl.SSLWantReadError:
            self.events = READ
        except BlockingIOError:
            self.events = WRITE if self.phase is Phase.CONNECTING else READ
        return None

    def is_alive(self) -> bool:
        """Whether an idle connection is still open, as far as this side was told, and silent as it has to be. The
        kernel is asked first, in a fifth of the time that OpenSSL takes."""
        look = select.poll()
        look.register(self.socket, select.POLLIN)
        if not look.poll(0):
            return True
        try:
            self.socket.recv(1)
        except _PENDING:
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Without a word."""
        self.socket.close()

    def _connected(self) -> None:
        begun, self._fault = self._fault, None
        if begun in (errno.EINPROGRESS, errno.EWOULDBLOCK):
            raise BlockingIOError
        fault = begun or self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if fault:
            raise ConnectionError(fault, os.strerror(fault))
        self.phase = Phase.SENDING
        if self.address.tls is not None:
            self.socket = self.address.tls.wrap_socket(
                self.socket, server_hostname=self.address.host, do_handshake_on_connect=False
            )
            self.phase = Phase.HANDSHAKE

    def _send(self) -> Response | None:
        """What is left of the request. A response that comes before all of it was sent refuses it, and nobody reads the
        rest. It is looked for first: once sending has failed, OpenSSL may read no more."""
        if self.events == READ | WRITE and (refusal := self._refusal()):
            return refusal
        try:
            while (sent := self.socket.send(self._request)) < len(self._request):
                self._request = self._request[sent:]
        except _PENDING:
            self.events = READ | WRITE
            return None
        except OSError:
            if refusal := self._refusal():
                return refusal
            raise
        self.events, self.phase = READ, Phase.READING
        return None

    def _refusal(self) -> Response | None:
        try:
            refusal = self._read()
        except _PENDING:
            return None
        return replace(refusal, reusable=False) if refusal else None

    def _read(self) -> Response | None:
        while True:
            response = self._reader.feed(self.socket.recv(CHUNK))
            if response is not None and response.status == REQUEST_TIMEOUT:
                self._reader = ResponseReader()
                raise ConnectionError("the peer waited too long for a request")
            if response is not None:
                self.answered, self.phase = True, Phase.IDLE
                return response


def _opened(found: Sequence[Any]) -> tuple[socket.socket, Any, Sequence[Any]]:
    (family, kind, protocol, _, place), *others = found
    try:
        return socket.socket(family, kind, protocol), place, others
    except OSError as error:
        if error.errno != errno.EAFNOSUPPORT or not others:
            raise
        return _opened(others)
