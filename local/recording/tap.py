"""Writes down what a function's process says to services, and what they answer: run inside it, before anything else.

`local/tether.py` loads it by its path, so it imports nothing but the standard library. A proxy would cost each request
the time of two more hops. Sockets to the ports in the environment are written down, each piece behind a line of its
own: socket, direction, seconds, bytes. Of two files, the older one begins anew when the other is full.
"""

import itertools
import os
import socket
import threading
import time
from typing import Any

VARIABLE = "DISTRIBUTARY_TAP"
"""PATH:PORT,PORT"""

FILE_BYTES = 4 << 20
ASKED, ANSWERED = ">", "<"


class Notebook:
    """Two files of a process: PATH.0 and PATH.1."""

    def __init__(self, path: str, most: int = FILE_BYTES) -> None:
        self._path, self._most = path, most
        self._lock = threading.Lock()
        self._turn = itertools.cycle("01")
        self._open()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        self._file, self._left = os.open(f"{self._path}.{next(self._turn)}", flags, 0o600), self._most

    def write(self, number: int, direction: str, data: bytes) -> None:
        """A piece of a socket's bytes."""
        head = f"{number} {direction} {time.time():.6f} {len(data)}\n".encode()
        with self._lock:
            if self._left <= 0:
                os.close(self._file)
                self._open()
            self._left -= len(head) + len(data)
            os.writev(self._file, (head, data))


def install(given: str) -> None:
    """Sockets that are made from now on are written down, if they connect to one of the ports."""
    path, _, ports = given.rpartition(":")
    wanted, numbers, notebook = {int(port) for port in ports.split(",")}, itertools.count(1), Notebook(path)
    plain = socket.socket

    class Tapped(plain):  # type: ignore[misc, valid-type]
        """As its base class; `number` is 0 for one that is not written down."""

        number = 0

        def _mark(self, address: Any) -> None:
            if isinstance(address, tuple) and address[1] in wanted:
                self.number = next(numbers)

        def connect(self, address: Any) -> None:
            self._mark(address)
            super().connect(address)

        def connect_ex(self, address: Any) -> int:
            self._mark(address)
            return super().connect_ex(address)

        def send(self, data: Any, *flags: int) -> int:
            sent = super().send(data, *flags)
            if self.number and sent:
                notebook.write(self.number, ASKED, bytes(memoryview(data).cast("B")[:sent]))
            return sent

        def sendall(self, data: Any, *flags: int) -> None:
            if self.number:  # first: what is asked may end this process before it goes on
                notebook.write(self.number, ASKED, bytes(data))
            super().sendall(data, *flags)

        def recv(self, *given: int) -> bytes:
            data = super().recv(*given)
            if self.number and data:
                notebook.write(self.number, ANSWERED, data)
            return data

        def recv_into(self, buffer: Any, *given: int) -> int:
            many = super().recv_into(buffer, *given)
            if self.number and many:
                notebook.write(self.number, ANSWERED, bytes(memoryview(buffer).cast("B")[:many]))
            return many

    socket.socket = Tapped  # type: ignore[misc]
