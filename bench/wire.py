"""Bytes and connections between a handler and a node: a forwarder that counts, in a process's own thread."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Wire:
    """`sent` counts what went to the node, in bytes."""

    def __init__(self, to: tuple[str, int]) -> None:
        self._to = to
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.sent = 0

    @property
    def url(self) -> str:
        """Where handlers reach the node through it."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @contextmanager
    def forwarding(self) -> Iterator["Wire"]:
        """As long as the block runs."""
        threading.Thread(target=self._accept, daemon=True).start()
        try:
            yield self
        finally:
            self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._to)
                threading.Thread(target=self._copy, args=(near, far, True), daemon=True).start()
                threading.Thread(target=self._copy, args=(far, near, False), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if counted:
                    with self._lock:
                        self.sent += len(data)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
