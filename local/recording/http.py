"""HTTP/1.1 messages as bytes: found whole in what has arrived, and passed on as they are."""

import hashlib
import re
import zlib
from dataclasses import dataclass
from functools import cached_property

MOST_HEAD = 1 << 16
MOST_TEXT = 1 << 20
"""Of a compressed body, bytes that are looked at."""

_LENGTH = b"\r\ncontent-length:"
_CHUNKED = b"\r\ntransfer-encoding: chunked"
_EXPECT = b"\r\nexpect: 100-continue"
_END = b"\r\n\r\n"
_TARGET = re.compile(rb"\r\nx-amz-target:[ \t]*[^\r.]*\.([A-Za-z]+)", re.IGNORECASE)
_SCOPE = re.compile(rb"Credential=[^/\s]+/[0-9]{8}/([a-z0-9-]+)/([a-z0-9-]+)/")
FAULT = b"distributary-fault"
_FAULT = re.compile(rb"\r\n" + FAULT + rb": ([a-z ]+)")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Malformed(Exception):
    """What arrived is no HTTP/1.1."""


@dataclass(frozen=True)
class Message:
    """`head` ends with an empty line; `body` is as it was sent, in chunks if it was."""

    head: bytes
    body: bytes

    @property
    def raw(self) -> bytes:
        """As it goes over the wire."""
        return self.head + self.body

    @property
    def last(self) -> bool:
        """Whether the connection ends with it."""
        return b"\r\nconnection: close" in self.head.lower() or self.head.startswith(b"HTTP/1.0")

    @property
    def status(self) -> int:
        """Of an answer."""
        return int(self.head.split(b" ", 2)[1])

    @property
    def line(self) -> str:
        """The first one, without the version: of a request its method and path."""
        return self.head.split(b"\r\n", 1)[0].rpartition(b" ")[0].decode(errors="replace")

    @property
    def operation(self) -> str:
        """What a request asks for: the operation of a JSON protocol, or else method and path."""
        target = _TARGET.search(self.head)
        return target[1].decode() if target else self.line.partition("?")[0]

    @property
    def region(self) -> str:
        """That a request is signed for; empty if it is not signed."""
        scope = _SCOPE.search(self.head)
        return scope[1].decode() if scope else ""

    @property
    def service(self) -> str:
        """That a request is signed for; empty if it is not signed."""
        scope = _SCOPE.search(self.head)
        return scope[2].decode() if scope else ""

    @property
    def fault(self) -> str:
        """Of an answer, the fault that the proxy caused; empty if none."""
        found = _FAULT.search(self.head)
        return found[1].decode() if found else ""

    @property
    def digest(self) -> str:
        """By which processes that have both seen a message know it."""
        return hashlib.sha256(self.raw).hexdigest()

    def marked(self, fault: str) -> "Message":
        """With the name of the fault that was caused."""
        first, _, rest = self.head.partition(b"\r\n")
        return Message(first + b"\r\n" + FAULT + b": " + fault.encode() + b"\r\n" + rest, self.body)

    @cached_property
    def text(self) -> bytes:
        """The body without its compression, at most MOST_TEXT bytes of a compressed one."""
        low = self.head.lower()
        body = _unchunked(self.body) if _CHUNKED in low else self.body
        if b"\r\ncontent-encoding: gzip" not in low:
            return body
        try:
            return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(body, MOST_TEXT)
        except zlib.error:
            return body


class Arriving:
    """Bytes of one side of a connection, from which messages are taken."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._told_to_go_on = False

    def add(self, data: bytes) -> None:
        """More of them."""
        self._bytes += data

    @property
    def empty(self) -> bool:
        """Whether nothing is left."""
        return not self._bytes

    def waits(self) -> bool:
        """Whether the client waits for leave to send the body of a request; once for each."""
        head = bytes(self._bytes[: self._bytes.find(_END) + 4]).lower() if not self._told_to_go_on else b""
        waiting = _EXPECT in head
        self._told_to_go_on = self._told_to_go_on or waiting
        return waiting

    def request(self) -> Message | None:
        """The first one, once it is whole. Raises Malformed."""
        found = self._head()
        if found is None:
            return None
        head, low = found
        body = self._body(len(head), low)
        if body is None:
            return None
        self._take(len(head) + len(body))
        if _EXPECT in low:
            at = low.find(_EXPECT)
            head = head[:at] + head[at + len(_EXPECT) :]
        return Message(head, body)

    def answer(self, asked: Message, ended: bool) -> Message | None:
        """To a request, once it is whole; `ended`: nothing more comes. Raises Malformed."""
        while (found := self._head()) is not None and found[0][9:10] == b"1":
            self._take(len(found[0]))
        if found is None:
            return None
        head, low = found
        if asked.head.startswith(b"HEAD ") or head[9:12] in (b"204", b"304"):
            body: bytes | None = b""
        elif _LENGTH in low or _CHUNKED in low:
            body = self._body(len(head), low)
        else:
            body = bytes(self._bytes[len(head) :]) if ended else None
        if body is None:
            return None
        self._take(len(head) + len(body))
        sized = _LENGTH in low or _CHUNKED in low or not body
        return Message(head if sized else head[:-2] + b"connection: close\r\n\r\n", body)

    def _head(self) -> tuple[bytes, bytes] | None:
        end = self._bytes.find(_END)
        if end < 0:
            if len(self._bytes) > MOST_HEAD:
                raise Malformed("a head without an end")
            return None
        head = bytes(self._bytes[: end + 4])
        return head, head.lower()

    def _body(self, begin: int, low: bytes) -> bytes | None:
        if _CHUNKED in low:
            end = self._end_of_chunks(begin)
        else:
            at = low.find(_LENGTH)
            end = begin if at < 0 else begin + _number(low[at + len(_LENGTH) : low.index(b"\r\n", at + 2)], 10)
        return bytes(self._bytes[begin:end]) if end is not None and len(self._bytes) >= end else None

    def _end_of_chunks(self, at: int) -> int | None:
        """Behind the last one and its trailers."""
        while (line := self._bytes.find(b"\r\n", at)) >= 0:
            many = _number(bytes(self._bytes[at:line]).partition(b";")[0], 16)
            at = line + 2
            if many:
                at += many + 2
                continue
            while (end := self._bytes.find(b"\r\n", at)) > at:
                at = end + 2
            return None if end < 0 else end + 2
        return None

    def _take(self, many: int) -> None:
        del self._bytes[:many]
        self._told_to_go_on = False


def _number(text: bytes, base: int) -> int:
    try:
        return int(text, base)
    except ValueError:
        raise Malformed("a length that is no number") from None


def _unchunked(body: bytes) -> bytes:
    parts: list[bytes] = []
    at = 0
    while True:
        end = body.index(b"\r\n", at)
        many = int(body[at:end].partition(b";")[0], 16)
        if not many:
            return b"".join(parts)
        parts.append(body[end + 2 : end + 2 + many])
        at = end + 4 + many
