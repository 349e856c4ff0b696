"""What others may see of a mapping while it delivers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from local.esm.batches import Batch, Decision
from local.esm.records import Record
from local.runtime_api import Answer


@dataclass(frozen=True, slots=True)
class Position:
    """How far a shard is. `checkpoint`: the last sequence number before which everything ended, None before the first.
    `outstanding`: records that were read and have not ended; `oldest`: when the oldest of them was made, in epoch
    seconds. `finished`: the shard is closed and everything in it has ended."""

    shard: str
    checkpoint: str | None
    outstanding: int
    oldest: float | None
    finished: bool


@dataclass(frozen=True, slots=True)
class Delivered:
    """One invocation: its records, what the function answered, what follows, and when it ran, in epoch seconds."""

    shard: str
    batch: Batch
    answer: Answer
    decision: Decision
    began: float
    ended: float


class Watcher(Protocol):
    """Is told in the mapping's own threads: it must be quick, and must raise nothing."""

    def read(self, shard: str, records: Sequence[Record], filtered: Sequence[Mapping[str, Any]]) -> None:
        """Records were read: those to be delivered, and in Lambda's form those that the filter leaves out."""

    def delivered(self, delivered: Delivered) -> None:
        """The function has answered. Its log lines came before."""

    def ended(self, shard: str, done: Sequence[Record], discarded: Sequence[Record], /) -> None:
        """These records will not be delivered again."""


class Nobody:
    """Watches nothing."""

    def read(self, shard: str, records: Sequence[Record], filtered: Sequence[Mapping[str, Any]]) -> None:
        """See `Watcher`."""

    def delivered(self, delivered: Delivered) -> None:
        """See `Watcher`."""

    def ended(self, shard: str, done: Sequence[Record], discarded: Sequence[Record]) -> None:
        """See `Watcher`."""
