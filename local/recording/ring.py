"""The last requests of all functions, in bounded memory."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from local.recording.http import Message

BYTES = 64 << 20
SHOWN = 64 << 10
"""Bytes of a body that are shown."""

_OVERHEAD = 1000
Groups = Sequence[Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request of a function and its answer, None if there was none; times in epoch seconds. `fault`: what was done
    to it on purpose."""

    number: int
    function: str
    asked: Message
    answered: Message | None
    began: float
    ended: float
    fault: str = ""

    @property
    def size(self) -> int:
        """Bytes, about."""
        return _OVERHEAD + len(self.asked.raw) + (len(self.answered.raw) if self.answered else 0)

    def mentions(self, groups: Groups) -> bool:
        """Whether the request, or its answer, has all words of one of these groups."""
        texts = [self.asked.text, self.answered.text if self.answered else b""]
        return any(all(word in text for word in group) for group in groups for text in texts)

    def as_json(self) -> dict[str, Any]:
        """Plain values. No header is shown: they have signatures."""
        return {
            "number": self.number,
            "function": self.function,
            "operation": self.asked.operation,
            "service": self.asked.service,
            "region": self.asked.region,
            "began": self.began,
            "milliseconds": round((self.ended - self.began) * 1000, 1),
            "request": _shown(self.asked.text),
            "status": self.answered.status if self.answered else 0,
            "answer": _shown(self.answered.text) if self.answered else "",
            "fault": self.fault,
        }


def _shown(text: bytes) -> str:
    return text[:SHOWN].decode(errors="replace")


class Ring:
    """Forgets the oldest ones."""

    def __init__(self, size: int = BYTES) -> None:
        self._most, self._bytes = size, 0
        self._kept: deque[Exchange] = deque()

    def add(self, exchange: Exchange) -> None:
        """Remembers one."""
        self._kept.append(exchange)
        self._bytes += exchange.size
        while self._bytes > self._most and len(self._kept) > 1:
            self._bytes -= self._kept.popleft().size

    def find(
        self, functions: Sequence[str], spans: Sequence[tuple[float, float]], words: Groups, limit: int
    ) -> list[Exchange]:
        """The first ones of these functions within one of these spans of time that mention one of these groups of
        words, or any if there is none."""
        found = []
        for each in self._within(functions, spans):
            if not words or each.mentions(words):
                found.append(each)
                if len(found) == limit:
                    break
        return found

    def _within(self, functions: Sequence[str], spans: Sequence[tuple[float, float]]) -> Iterator[Exchange]:
        for each in self._kept:
            if each.function in functions and any(begin <= each.began <= end for begin, end in spans):
                yield each
