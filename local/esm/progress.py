"""How far a shard is done, whatever the order in which its lanes finish."""

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Ticket:
    """A record that was read and is not behind the checkpoint yet."""

    sequence: str
    done: bool = False


class Progress:
    """The checkpoint: the last sequence number before which, in reading order, everything is done."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: deque[Ticket] = deque()
        self._checkpoint: str | None = None

    @property
    def checkpoint(self) -> str | None:
        """None before the first."""
        with self._lock:
            return self._checkpoint

    @property
    def outstanding(self) -> int:
        """How many records were read and are not done, or wait for an earlier one."""
        with self._lock:
            return len(self._open)

    def read(self, sequence: str) -> Ticket:
        """A record was read."""
        ticket = Ticket(sequence)
        with self._lock:
            self._open.append(ticket)
        return ticket

    def finish(self, tickets: Iterable[Ticket]) -> None:
        """Records were delivered, filtered out or discarded."""
        with self._lock:
            for ticket in tickets:
                ticket.done = True
            while self._open and self._open[0].done:
                self._checkpoint = self._open.popleft().sequence

    def rewind(self, sequence: str | None) -> None:
        """The records after this one will be read again."""
        with self._lock:
            self._checkpoint = sequence
