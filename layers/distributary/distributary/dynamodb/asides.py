"""Blocking calls that a loop has others' threads make, and that wake it when they have ended."""

import selectors
import socket
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any

from distributary.consumer.parallel import Parallel


class Asides:
    """Those of one loop, which waits in `selector`, under the key data None, and then asks for what has `ended`."""

    def __init__(self, parallel: Parallel, selector: selectors.BaseSelector) -> None:
        self._parallel = parallel
        self._ended: deque[tuple[Any, Future[Any]]] = deque()
        self._under_way: set[Future[Any]] = set()
        self._near, self._far = socket.socketpair()
        self._near.setblocking(False)
        self._far.setblocking(False)
        selector.register(self._near, selectors.EVENT_READ)

    def __bool__(self) -> bool:
        """Whether any is under way, or has ended and was not asked for."""
        return bool(self._under_way)

    def begin(self, call: Callable[[], Any], task: Any) -> None:
        """Has a thread make the call for the task."""
        future = self._parallel.begin(call)
        self._under_way.add(future)
        future.add_done_callback(lambda done: self._wake(done, task))

    def ended(self) -> Iterator[tuple[Any, Future[Any]]]:
        """The tasks whose calls have ended, each with what became of its call."""
        with suppress(BlockingIOError):
            self._near.recv(4096)
        while self._ended:
            task, future = self._ended.popleft()
            self._under_way.discard(future)
            yield task, future

    def close(self) -> None:
        """Waits for what is under way, which would otherwise wake a socket that is closed."""
        wait(self._under_way)
        self._near.close()
        self._far.close()

    def _wake(self, future: Future[Any], task: Any) -> None:
        self._ended.append((task, future))
        with suppress(OSError):
            self._far.send(b"\0")
