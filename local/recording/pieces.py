"""Requests and answers, put together from the pieces that `tap` wrote down."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from local.recording.http import Arriving, Malformed, Message
from local.recording.tap import ASKED

SHOWN = 64 << 10
"""Bytes of a body that are shown."""

Groups = Sequence[Sequence[bytes]]
_METHODS = (b"POST ", b"GET ", b"PUT ", b"HEAD ", b"DELETE ")


@dataclass(frozen=True, slots=True)
class Piece:
    """Of what a socket sent or received, at a time in epoch seconds."""

    socket: int
    asked: bool
    at: float
    data: bytes


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request of a function and its answer, None if there was none; times in epoch seconds. `crash`: the fault that
    ended the function before it had an answer."""

    function: str
    asked: Message
    answered: Message | None
    began: float
    ended: float
    crash: str = ""

    def mentions(self, groups: Groups) -> bool:
        """Whether the request, or its answer, has all words of one of these groups."""
        texts = [self.asked.text, self.answered.text if self.answered else b""]
        return any(all(word in text for word in group) for group in groups for text in texts)

    def as_json(self) -> dict[str, Any]:
        """Plain values. No header is shown: they have signatures."""
        return {
            "function": self.function,
            "operation": self.asked.operation,
            "service": self.asked.service,
            "region": self.asked.region,
            "began": self.began,
            "milliseconds": round((self.ended - self.began) * 1000, 1),
            "request": _shown(self.asked.text),
            "status": self.answered.status if self.answered else 0,
            "answer": _shown(self.answered.text) if self.answered else "",
            "fault": self.answered.fault if self.answered else self.crash,
        }


def _shown(text: bytes) -> str:
    return text[:SHOWN].decode(errors="replace")


def pieces(content: bytes) -> Iterator[Piece]:
    """Those of a file, until one that is not whole yet."""
    at = 0
    while (line := content.find(b"\n", at)) >= 0:
        try:
            number, direction, moment, many = content[at:line].split()
            end = line + 1 + int(many)
            piece = Piece(int(number), direction == ASKED.encode(), float(moment), content[line + 1 : end])
        except ValueError:
            return
        if end > len(content):
            return
        yield piece
        at = end


@dataclass(slots=True)
class _Conversation:
    """Of one socket."""

    asking: Arriving = field(default_factory=Arriving)
    answering: Arriving = field(default_factory=Arriving)
    asked: Message | None = None
    began: float = 0.0
    last: float = 0.0

    def add(self, piece: Piece) -> Iterator[tuple[Message, Message | None, float, float]]:
        """What it completes. What comes before the first whole request belongs to one that is forgotten."""
        self.last = piece.at
        if piece.asked:
            yield from self._request(piece)
        elif self.asked is not None:
            self.answering.add(piece.data)
            if (answer := self.answering.answer(self.asked, False)) is not None:
                yield self.asked, answer, self.began, piece.at
                self.asked = None

    def _request(self, piece: Piece) -> Iterator[tuple[Message, Message | None, float, float]]:
        if self.asking.empty:
            if not piece.data.startswith(_METHODS):
                return
            yield from self.rest()
            self.began, self.answering = piece.at, Arriving()
        self.asking.add(piece.data)
        self.asked = self.asking.request()

    def rest(self) -> Iterator[tuple[Message, Message | None, float, float]]:
        """A request without an answer; one whose answer ends with the connection has it."""
        if self.asked is not None:
            yield self.asked, self.answering.answer(self.asked, True), self.began, self.last
            self.asked = None


def exchanges(function: str, found: Iterable[Piece]) -> list[Exchange]:
    """By time."""
    open_: dict[int, _Conversation] = {}
    done: list[Exchange] = []
    for piece in found:
        talk = open_.setdefault(piece.socket, _Conversation())
        try:
            done += [Exchange(function, *each) for each in talk.add(piece)]
        except Malformed:
            del open_[piece.socket]
    for talk in open_.values():
        done += [Exchange(function, *each) for each in talk.rest()]
    return sorted(done, key=lambda each: each.began)


def of_process(function: str, path: Path) -> list[Exchange]:
    """All of one process that is still remembered: the older file first."""
    files = [file for file in (Path(f"{path}.0"), Path(f"{path}.1")) if file.exists()]
    read = [list(pieces(file.read_bytes())) for file in files]
    ordered = sorted(filter(None, read), key=lambda each: each[0].at)
    return exchanges(function, (piece for each in ordered for piece in each))


def find(
    all_of_them: Iterable[Exchange], spans: Sequence[tuple[float, float]], words: Groups, limit: int
) -> list[dict[str, Any]]:
    """The first ones within one of these spans of time that mention one of these groups of words, or any if there is
    none; numbered."""
    within = (each for each in all_of_them if any(begin <= each.began <= end for begin, end in spans))
    wanted = (each for each in within if not words or each.mentions(words))
    numbers = count(1)
    return [{"number": next(numbers), **each.as_json()} for each, _ in zip(wanted, range(limit), strict=False)]
