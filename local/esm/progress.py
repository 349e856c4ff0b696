"""How far a shard is done, whatever the order in which its lanes finish."""

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Ticket:
    """A record that was read and is not behind the checkpoint yet. `created`: in epoch seconds, 0 if unknown."""

    sequence: str
    created: float = 0.0
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

    @property
    def oldest(self) -> float | None:
        """When the oldest record that is not done was made, in epoch seconds; None if all are done."""
        with self._lock:
            return self._open[0].created if self._open else None

    def read(self, sequence: str, created: float = 0.0) -> Ticket:
        """A record was read."""
        ticket = Ticket(sequence, created)
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
